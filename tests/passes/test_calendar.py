"""Hours, midnights and changes of summer time: during a pass, and over several days."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.config.load import load
from ozh_notify.config.settings import local
from ozh_notify.sandbox.botapi.client import BotApiServer
from ozh_notify.users.delivery_state import State, hold_until
from tests.conftest import Ozh
from tests.helpers.passes import (
    FAR,
    as_if_now,
    chats,
    clock_shows,
    deliveries,
    ended,
    zone_of,
)
from tests.helpers.users import Users, ago, bonus_user
from tests.torture.environment import WRAPPER

UTC = timezone.utc


def both(**fields: Any) -> dict[str, Any]:
    """A user of both campaigns."""
    first = {"generations_count": 1, "balance": 0, "first_generation_at": ago(hours=30)}
    return bonus_user(**{**first, "registered_at": ago(hours=40), **fields})


@pytest.mark.long
def test_the_end_of_the_day_and_of_the_hours_ends_a_pass(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """75 at local midnight, and where quiet hours begin: what is unsent is given back.

    Users reminded before midnight are reminded again on the new day, and nobody twice a day.
    """
    for name in ("discount", "daily_bonus"):
        (tmp_path / f"{name}.html").write_text(name)
    users.insert_many(both() for _ in range(60))
    variables = clock_shows(tmp_path, "23:59:51")
    zone = zone_of(variables)
    midnight = datetime.combine(
        datetime.now(zone).date() + timedelta(days=1), datetime.min.time(), zone
    )
    ozh.environment.update(variables, OZH_TEMPLATES_DIR=str(tmp_path))
    line = ("--json", "--rate", "4")
    daily = ozh.start("daily-bonus", *line)
    discount = ozh.start("discount", *line, OZH_QUIET_HOURS="00:00-09:00")
    day_ended, hours_ended = ended(ozh, daily), ended(ozh, discount)

    assert day_ended.code == hours_ended.code == 75, day_ended.err + hours_ended.err
    assert day_ended.json()["error"] == "the local day ended"
    assert "the hours ended: it is 00:00 in Test/Zone" in hours_ended.json()["error"]
    for key, said in (("daily_bonus", day_ended.json()), ("discount", hours_ended.json())):
        kept = Counter(delivery.get("state") for delivery in deliveries(users, key).values())
        assert 1 <= said["sent"] == kept["sent"] < 60
        assert said["retry"] == kept["retry"]
        assert kept["sending"] == kept["unknown"] == 0
    reminded = {
        c: s for c, s in deliveries(users, "daily_bonus").items() if s.get("state") == "sent"
    }
    assert {delivery["hold_until"] for delivery in reminded.values()} == {midnight}
    sent = [m for m in bot_api.control.messages() if m.text == "daily_bonus"]
    assert max(m.time for m in sent) < midnight.timestamp() + 3

    again = [ozh("daily-bonus", "--json") for _ in range(2)]
    assert [r.json()["sent"] for r in again] == [60, 0], again[0].err
    assert {delivery["attempts"] for delivery in deliveries(users, "daily_bonus").values()} == {1}
    got = Counter(m.chat_id for m in bot_api.control.messages() if m.text == "daily_bonus")
    assert {chat for chat, count in got.items() if count == 2} == set(reminded)
    assert set(got.values()) <= {1, 2}


def test_the_night_of_a_change_of_summer_time_reminds_everybody_once_a_day(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """At 2:00 it becomes 3:00: the day of 23 hours has its reminder, and the next day too.

    The server's clock shows today, so the limit for clocks that differ is lifted.
    """
    berlin = ZoneInfo("Europe/Berlin")
    people = [bonus_user(registered_at=datetime(2026, 3, 28, 9, tzinfo=UTC)) for _ in range(6)]
    users.insert_many(people)
    sent = []
    ozh.program = (sys.executable, WRAPPER)
    for day, hour, minute in ((28, 23, 50), (29, 0, 10), (29, 3, 5), (29, 23, 50), (30, 0, 5)):
        at = datetime(2026, 3, day, hour, minute, tzinfo=berlin)
        ozh.environment.update(as_if_now(at), OZH_TIMEZONE="Europe/Berlin")
        result = ozh("daily-bonus", "--json", TORTURE_CLOCK_LIMIT=str(10 * 365 * 86_400))
        assert result.code == 0, result.err
        sent.append(result.json()["sent"])
    assert sent == [6, 6, 0, 0, 6]
    assert Counter(chats(bot_api)) == {user["telegram_id"]: 3 for user in people}


# --- the end of a hold, as a pure function ---


def campaign(name: str, zone: str) -> Campaign:
    """A campaign in a time zone."""
    loaded, _ = load(None, {"MONGO_URI": "mongodb://h/db", "OZH_TIMEZONE": zone})
    return registry()[name](loaded)


NIGHTS = (
    ("Europe/Moscow", "2026-03-10T11:05+03:00", "2026-03-10T21:00Z"),
    # An hour is missing, or there twice.
    ("Europe/Berlin", "2026-03-28T23:59+01:00", "2026-03-28T23:00Z"),
    ("Europe/Berlin", "2026-03-29T00:01+01:00", "2026-03-29T22:00Z"),
    ("Europe/Berlin", "2026-10-25T00:01+02:00", "2026-10-25T23:00Z"),
    # The hour that is missing, or there twice, begins at midnight.
    ("America/Havana", "2026-03-07T12:00-05:00", "2026-03-08T05:00Z"),
    ("America/Havana", "2026-10-31T12:00-04:00", "2026-11-01T04:00Z"),
    ("America/Havana", "2026-11-01T00:30-04:00", "2026-11-02T05:00Z"),
    ("America/Havana", "2026-11-01T00:30-05:00", "2026-11-02T05:00Z"),
    # The hour before midnight is there twice.
    ("Asia/Beirut", "2026-10-24T23:30+03:00", "2026-10-24T22:00Z"),
    ("Asia/Beirut", "2026-10-24T23:30+02:00", "2026-10-24T22:00Z"),
    # A whole day was left out.
    ("Pacific/Apia", "2011-12-29T23:00-10:00", "2011-12-30T10:00Z"),
)


@pytest.mark.parametrize(("zone", "claimed", "until"), NIGHTS)
def test_a_daily_outcome_holds_until_the_midnight_after_the_claim(
    zone: str, claimed: str, until: str
) -> None:
    """The changes of that night and the time of the write do not matter."""
    daily, at = campaign("daily-bonus", zone), moment(claimed)
    for state in State:
        for later in (timedelta(), timedelta(seconds=20), timedelta(days=2)):
            held = hold_until(daily, state, at, at + later)
            assert held == (None if state is State.RETRY else moment(until)), state


def moment(text: str) -> datetime:
    """An aware moment, in UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


@pytest.mark.long
@pytest.mark.parametrize(
    "zone",
    [
        *("UTC", "Europe/Moscow", "Europe/Berlin", "America/Havana", "Asia/Beirut"),
        *("Africa/Cairo", "America/Nuuk", "Australia/Lord_Howe", "Pacific/Chatham"),
    ],
)
def test_a_period_ends_with_the_local_day_of_the_claim_and_not_a_second_later(zone: str) -> None:
    """Every 20 minutes of a year: the last second before is that day, the next is another."""
    daily = campaign("daily-bonus", zone)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    while at.year == 2026:
        end = daily.period_end(at)
        today = local(at, daily.settings).date()
        assert at < end <= at + timedelta(hours=26)
        assert local(end - timedelta(seconds=1), daily.settings).date() == today
        assert local(end, daily.settings).date() > today
        start = daily.period_start(at)
        assert start is not None
        assert start <= at
        assert local(start.astimezone(UTC), daily.settings).date() == today
        at += timedelta(minutes=20)


def test_the_discount_holds_for_ever_or_for_thirty_days() -> None:
    """It is sent once; an unreachable user may be reachable in a month."""
    discount, at = campaign("discount", "Europe/Moscow"), moment("2026-03-10T11:05+03:00")
    late = at + timedelta(minutes=2)
    expected = {
        State.SENT: FAR,
        State.UNKNOWN: FAR,
        State.UNREACHABLE: late + timedelta(days=30),
        State.REJECTED: late + timedelta(days=30),
        State.RETRY: None,
    }
    assert {state: hold_until(discount, state, at, late) for state in expected} == expected
    assert FAR.date() == date(9999, 12, 31)
