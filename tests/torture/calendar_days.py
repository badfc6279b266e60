"""The daily bonus over midnights, crashes and the nights of a change of summer time."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from datetime import time as dt_time
from typing import Any
from zoneinfo import ZoneInfo

from tests.helpers.users import bonus_user
from tests.torture.checker import judge
from tests.torture.clocks import faked
from tests.torture.environment import WRAPPER, Ended, Environment, kill
from tests.torture.report import Report

UTC = timezone.utc
LATE = 1.5
"""Seconds a message may take to arrive: one sent just before midnight belongs to the old day."""

FOREVER = 10 * 365 * 86_400
"""Seconds that the machine's clock may differ from the server's in this case."""


@dataclass
class Diary:
    """Who got how many messages on which local day of a made-up calendar."""

    place: Environment
    zone: ZoneInfo
    users: int
    first: date
    chats: set[int] = field(default_factory=set)
    got: Counter[tuple[date, int]] = field(default_factory=Counter)
    latest: list[dict[str, Any]] = field(default_factory=list)
    seen: int = 0

    def __post_init__(self) -> None:
        registered = datetime.combine(self.first, datetime.min.time(), self.zone) - timedelta(1)
        people = [bonus_user(registered_at=registered.astimezone(UTC)) for _ in range(self.users)]
        self.chats = {u["telegram_id"] for u in people}
        self.place.fresh(people)

    def live(
        self, day: date, clock: str, *, fold: int = 0, rate: float = 500, dies: bool = False
    ) -> Ended:
        """A pass that starts at that local time; files what the chats got by its clock's day."""
        start = datetime.combine(day, dt_time.fromisoformat(clock), self.zone)
        ahead = start.replace(fold=fold).timestamp() - time.time()
        running = self.place.start(
            "daily-bonus",
            "--rate",
            str(rate),
            program=self.place.wrapped(WRAPPER),
            **faked(ahead),
            TORTURE_CLOCK_LIMIT=str(FOREVER),
            OZH_TIMEZONE=self.zone.key,
            OZH_DAILY_BONUS_DAYS="30",
        )
        if dies:
            self.place.await_moment(running, self.users)
        ended = kill(running) if dies else running.wait()
        self._file(ahead)
        return ended

    def _file(self, ahead: float) -> None:
        time.sleep(0.1)
        self.latest = [m for m in self.place.messages() if m["seq"] > self.seen]
        for message in self.latest:
            self.seen = message["seq"]
            moment = datetime.fromtimestamp(message["time"] + ahead - LATE, self.zone)
            self.got[moment.date(), message["chat_id"]] += 1

    def check(self, report: Report, every: Sequence[date], what: str) -> None:
        """At most once a day; on the days of ``every``, exactly once; the states do not lie."""
        for (day, chat), count in self.got.items():
            report.twice += count - 1
            report.expect(count == 1, f"{what}: chat {chat} got {count} on {day}")
        for day in every:
            missed = [chat for chat in self.chats if not self.got[day, chat]]
            report.lost += len(missed)
            report.expect(not missed, f"{what}: {len(missed)} got nothing on {day}")
        documents = list(self.place.users.find())
        if every:
            messages = [m for m in self.place.messages() if m["chat_id"] in self.chats]
            latest = {m["chat_id"]: m for m in messages}
            judge(report, documents, list(latest.values()), "daily_bonus", self.chats)
        report.rounds += 1
        report.tried += self.users


def days(place: Environment, report: Report, rounds: int, users: int) -> None:
    """Three kinds of nights, each so many times; short, one night of a change of summer time."""
    place.fresh()
    start_up = place.run("discount", **faked(0)).seconds
    for _ in range(rounds or 1):
        _killed_one_day_swept_the_next(place, report, users)
        _into_midnight(place, report, users, start_up)
        for night in NIGHTS if rounds else [HAVANA]:
            _night(place, report, users, *night)


def _killed_one_day_swept_the_next(place: Environment, report: Report, users: int) -> None:
    one, two = date(2026, 3, 10), date(2026, 3, 11)
    diary = Diary(place, ZoneInfo("Europe/Moscow"), users, one)
    diary.live(one, "23:40", rate=20, dies=True)
    diary.live(two, "00:20")
    report.expect(not _sending(place), "a claim of the day before was not swept")
    diary.check(report, [two], "killed the day before")


def _into_midnight(place: Environment, report: Report, users: int, start_up: float) -> None:
    one, two = date(2026, 3, 10), date(2026, 3, 11)
    diary = Diary(place, ZoneInfo("Europe/Moscow"), users, one)
    # Early enough to begin before midnight here, slow enough to be at work when it comes.
    early = math.ceil(start_up * 2 + 1)
    ended = diary.live(one, f"23:59:{60 - early}", rate=users / (early + 3))
    late = [day for day, _ in diary.got if day != one]
    report.notes["before midnight"] += len(diary.got) - len(late)
    if not place.journal.count_documents({"_id": {"$regex": f":{one}$"}}):
        # This machine was too slow: it was a pass of the day after.
        report.notes["began after midnight"] += 1
    else:
        report.expect(ended.code == 75, f"a pass into midnight: exit {ended.code}: {ended.err}")
        report.expect(not late, f"{len(late)} messages went out after midnight")
        diary.live(two, "00:00:30")
        diary.live(two, "23:00")
        diary.check(report, [two], "into midnight")


Phase = tuple[int, str, int]
"""Days after the first, local time, and which of two equal ones."""

Night = tuple[str, date, tuple[Phase, ...]]

# There the clock changes at midnight itself.
HAVANA: Night = (
    "America/Havana",
    date(2026, 3, 7),
    ((0, "23:30", 0), (1, "01:10", 0), (2, "00:10", 0)),
)
NIGHTS: tuple[Night, ...] = (
    (
        "Europe/Berlin",
        date(2026, 3, 28),
        ((0, "12:00", 0), (1, "00:30", 0), (1, "03:30", 0), (2, "00:10", 0)),
    ),
    (
        "Europe/Berlin",
        date(2026, 10, 24),
        ((0, "12:00", 0), (1, "02:30", 0), (1, "02:30", 1), (1, "23:50", 0), (2, "00:10", 0)),
    ),
    HAVANA,
    (
        "America/Havana",
        date(2026, 10, 31),
        ((0, "12:00", 0), (1, "00:30", 0), (1, "00:30", 1), (2, "00:10", 0)),
    ),
)


def _night(
    place: Environment,
    report: Report,
    users: int,
    zone: str,
    first: date,
    phases: tuple[Phase, ...],
) -> None:
    diary = Diary(place, ZoneInfo(zone), users, first)
    for after, clock, fold in phases:
        ended = diary.live(first + timedelta(after), clock, fold=fold)
        report.expect(ended.code == 0, f"{zone} {clock}: exit {ended.code}: {ended.err}")
    diary.check(report, [first + timedelta(n) for n in range(3)], f"{zone} {first}")


def _sending(place: Environment) -> int:
    return place.users.count_documents({"ozh_notify.daily_bonus.state": "sending"})
