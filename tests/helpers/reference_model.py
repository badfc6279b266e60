"""What a walk through a delivery's states keeps in mind: a model, and the servers beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.config.load import load
from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
from ozh_notify.users.delivery_state import Outcome
from ozh_notify.users.recipient import Recipient
from tests.helpers.users import Users

T = TypeVar("T")

UTC = timezone.utc
MOSCOW = timedelta(hours=3)
START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
FAR = datetime(9999, 12, 31, tzinfo=UTC)
LEASE = timedelta(seconds=140, minutes=10)


@dataclass
class ModelDelivery:
    """What the database must say about one campaign and user."""

    state: str | None = None
    hold: datetime | None = None
    claim: str | None = None
    run: str | None = None
    at: datetime | None = None
    message_id: int | None = None
    claimed_at: datetime = START
    entry_claim: str | None = None
    """The claim that the journal's entry keeps for good."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells one delivery of a user from the next."""
        return self.state, self.claim, self.run, self.at


@dataclass
class Held:
    """A user in the hand of a pass; the outcome is None until it has sent or given back."""

    key: str
    recipient: Recipient
    outcome: Outcome | None = None


@dataclass
class Runner:
    """A pass: its clock, what it holds, and how often it has begun again after a crash."""

    name: str
    ahead: timedelta = timedelta()
    hand: list[Held] = field(default_factory=list)
    claims: int = 0


class World:
    """The servers' side of it, shared by all walks."""

    def __init__(self, users: Users, environment: dict[str, str]) -> None:
        variables = {**environment, "OZH_TIMEZONE": "Europe/Moscow", "OZH_DAILY_BONUS_DAYS": "3650"}
        self.users, self.loop = users, asyncio.new_event_loop()
        self.journal = users.database.ozh_notify_journal
        loaded, _ = load(None, variables)
        campaigns: list[Campaign] = [c(loaded) for c in registry().values()]
        self.books = {c.key: JournaledPassStore(loaded, c) for c in campaigns}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await it."""
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """Close all connections."""
        for book in self.books.values():
            self.run(book.close())
        self.loop.close()


def period_of(key: str, moment: datetime) -> object:
    """The period a moment belongs to: the day in Moscow, or all time."""
    return (moment + MOSCOW).date() if key == "daily_bonus" else None


def end_of_period(key: str, moment: datetime) -> datetime:
    """The midnight in Moscow that ends the day, or the end of all days."""
    if key == "discount":
        return FAR
    midnight = (moment + MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1) - MOSCOW
