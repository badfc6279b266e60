"""Made-up users for the demo: with every kind of reason to be messaged or left alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Document = dict[str, Any]

NAMES = (
    *("Анна", "Мария", "Елена", "Ольга", "Наталья", "Ирина", "Дарья", "Полина", "Алиса"),
    *("Иван", "Пётр", "Сергей", "Дмитрий", "Алексей", "Максим", "Никита", "Егор", "Тимур"),
)
FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")


@dataclass(frozen=True)
class DemoUser:
    """A user document, and what the demo expects to become of them."""

    document: Document
    case: str
    gets: str = ""
    """The campaign whose message this user is to get; empty for none."""
    chat: str = ""
    """What the emulator does in their chat; empty for a chat that works."""

    @property
    def picture(self) -> str | None:
        """The ``file_id`` of the picture that the bot last made for them; None without one."""
        return (self.document.get("last_picture") or {}).get("file_id")


def demo_users(count: int, seed: int, now: datetime) -> list[DemoUser]:
    """``count`` users, each case at least once where there is room; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - the same users each time, not a secret
    people = [CASES[n % len(CASES)] for n in range(count)]
    rng.shuffle(people)
    return [case(_User(rng, 100_000 + n, now)) for n, case in enumerate(people)]


@dataclass(frozen=True)
class _User:
    rng: random.Random
    number: int
    now: datetime

    def ago(self, low: float, high: float) -> datetime:
        """A moment between ``low`` and ``high`` hours ago."""
        moment = self.now - timedelta(hours=self.rng.uniform(low, high))
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def document(self, **fields: Any) -> Document:
        """Somebody who registered long ago and has a balance; ``fields`` say what differs."""
        registered = self.ago(24 * 10, 24 * 60)
        return {
            "telegram_id": self.number,
            "first_name": self.rng.choice(NAMES),
            "language_code": "ru",
            "registered_at": registered,
            "generations_count": self.rng.randint(2, 9),
            "balance": self.rng.randint(1, 5),
            "first_generation_at": registered + timedelta(minutes=5),
            "discount_offered": False,
            "daily_bonus_claimed_today": False,
            **fields,
        }

    def spent(self, **fields: Any) -> Document:
        """Made one picture more than a day ago, and has no balance left."""
        first = {
            "first_generation_at": self.ago(25, 24 * 9),
            "last_picture": {"file_id": f"AgACAgIAAxkBMadeUpPicture{self.number}"},
        }
        return self.document(**{"generations_count": 1, "balance": 0, **first, **fields})

    def new(self, **fields: Any) -> Document:
        """Registered within the last days."""
        first = {"generations_count": 0, "first_generation_at": None}
        return self.document(**{"registered_at": self.ago(1, 70), **first, **fields})

    def held(self, state: str, until: datetime, at: datetime) -> Document:
        """What an earlier pass left in the document of a user it took up ``at`` that moment."""
        run = f"{at:%Y%m%dT%H%M%S}-{self.number:08x}"
        kept = {"state": state, "hold_until": until, "run": run, "at": at, "attempts": 1}
        if state == "unknown":
            kept["claim"] = f"{run}-1"
            kept["error"] = "the pass that claimed this user did not record an outcome"
        return {"ozh_notify": {"discount": kept}}


CASES: tuple[Callable[[_User], DemoUser], ...] = (
    lambda u: DemoUser(u.spent(), "one picture, nothing left", "discount"),
    lambda u: DemoUser(u.spent(), "one picture, nothing left", "discount"),
    lambda u: DemoUser(
        u.spent(balance=0.0, last_picture=None), "a balance of 0.0, the picture is gone", "discount"
    ),
    lambda u: DemoUser(u.new(), "registered yesterday", "daily-bonus"),
    lambda u: DemoUser(u.new(), "registered yesterday", "daily-bonus"),
    lambda u: DemoUser(u.spent(), "has blocked the bot", "discount", "blocked"),
    lambda u: DemoUser(u.new(), "has deleted the account", "daily-bonus", "deactivated"),
    lambda u: DemoUser(u.spent(first_generation_at=u.ago(1, 23)), "one picture, an hour ago"),
    lambda u: DemoUser(u.spent(discount_offered=True), "was offered the discount"),
    lambda u: DemoUser(
        u.spent(**u.held("sent", FAR, u.ago(48, 90))), "was offered, the flag was reset"
    ),
    lambda u: DemoUser(
        u.spent(**u.held("unreachable", u.now + timedelta(days=20), u.ago(200, 240))),
        "blocked the bot ten days ago",
    ),
    lambda u: DemoUser(u.spent(**u.held("unknown", FAR, u.ago(48, 90))), "outcome unknown"),
    lambda u: DemoUser(u.spent(ozh_notify={"muted": True}), "is muted"),
    lambda u: DemoUser(u.spent(telegram_id="@nobody"), "has no usable chat id"),
    lambda u: DemoUser(u.new(daily_bonus_claimed_today=True), "has claimed the bonus today"),
    lambda u: DemoUser(u.document(), "an old hand with a balance"),
)
