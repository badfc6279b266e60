"""What a pass needs of the outside: one protocol for MongoDB, one for Telegram."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from ozh_notify.clock import Clock
from ozh_notify.messaging.message import Message
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidates
from ozh_notify.users.delivery_state import Confirmation, Outcome, OutcomeRecord
from ozh_notify.users.recipient import Claimed


class PassStore(Protocol):
    """The users of one database, as one campaign sees them.

    Every method may raise an ``OzhError``: its text says what failed and what to do.
    """

    async def begin_run(self, run: dict[str, Any]) -> dict[str, Any] | None:
        """Store that a pass has begun; returns the bot that delivered last, if any has."""

    def deliver_as(self, bot_id: int, username: str, now: datetime) -> None:
        """Remember this bot with the first message that it delivers."""

    async def end_run(self, run: dict[str, Any]) -> None:
        """Store how the pass has ended."""

    async def check_clock(self, clock: Clock) -> None:
        """Compare this machine's clock with MongoDB's; one that is far off is an error."""

    def also_read(self, paths: Sequence[str]) -> None:
        """Read these fields with each user: the message names them."""

    async def sample(self, size: int) -> list[dict[str, Any]]:
        """The newest users, to see whether the field mapping can be right."""

    async def sweep(self, now: datetime) -> int:
        """Move lapsed claims to `unknown`; returns how many."""

    async def in_hand(self) -> int:
        """How many users are in `sending`: claimed by some pass and not settled."""

    async def has_delivered(self) -> bool:
        """Whether any bot has ever delivered a message to these users."""

    async def scan(self, query: Query, keep: int) -> Candidates:
        """Ids of all eligible users, newest first; at most ``keep`` of them are kept."""

    async def funnel(self, query: Query) -> dict[str, int]:
        """Why the other users of the population are held back: a count per reason."""

    async def users_by_id(self, ids: Sequence[Any]) -> list[dict[str, Any]]:
        """The documents of a few users, in the order of ``ids``."""

    async def claim(self, ids: Sequence[Any], query: Query, claim_id: str, run: str) -> Claimed:
        """Claim the users of a batch who still qualify."""

    async def confirm(self, records: Sequence[OutcomeRecord]) -> Confirmation:
        """Write outcomes; returns which of them are not where they belong."""

    def set_deadline(self, seconds: float) -> None:
        """Repeat no write past so many seconds from now."""

    async def close(self) -> None:
        """Close all connections."""


class MessageSender(Protocol):
    """The bot, as a pass sees it."""

    async def open(self) -> str:
        """Check the token; returns the bot's user name."""

    async def send(
        self, chat_id: int, message: Message, is_allowed: Callable[[], bool] = ...
    ) -> Outcome:
        """Send once, if still allowed; every expected ending is an outcome, not an exception."""

    async def close(self) -> None:
        """Close all connections."""
