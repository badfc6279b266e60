"""Stored deliveries, which of them a person may settle, and what each decision writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.users import delivery_state, journal_entry
from ozh_notify.users.delivery_state import State
from ozh_notify.users.state_update import Pipeline

IDENTITY = ("state", "claim", "run", "at")
"""Tells one delivery of a user from the next. Each write repeats what was read."""


class SettleableState(str, Enum):
    """States that a person may settle.

    A delivery in `sending` belongs to a pass until its lease is over. It may be settled only
    where its age is given, or where the log of the pass names its claim.
    """

    UNKNOWN = State.UNKNOWN.value
    RETRY = State.RETRY.value
    UNREACHABLE = State.UNREACHABLE.value
    REJECTED = State.REJECTED.value
    SENDING = State.SENDING.value


class Decision(Enum):
    """What a person decided."""

    RESEND = "resend"
    MARK_SENT = "mark-sent"

    def update(self, campaign: Campaign, delivery: Mapping[str, Any], now: datetime) -> Pipeline:
        """What it writes: (h) or (i)."""
        transition = (
            delivery_state.requeue_update
            if self is Decision.RESEND
            else delivery_state.mark_sent_update
        )
        return transition(campaign, delivery, now)

    def entry_update(self, entry: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """What it writes to the journal's entry."""
        if self is Decision.RESEND:
            return journal_entry.requeue_update(entry, now)
        return journal_entry.mark_sent_update(now)

    @property
    def target(self) -> State:
        """The state it leads to."""
        return State.RETRY if self is Decision.RESEND else State.SENT


@dataclass(frozen=True)
class DeliveryFilter:
    """Which deliveries: those in one state, and those whose claims a log names.

    ``run``, ``chats`` and ``older_than`` only leave some out. Where there are ``claims`` and no
    ``chats``, only these claims are meant.
    """

    state: SettleableState = SettleableState.UNKNOWN
    run: str | None = None
    chats: tuple[int, ...] = ()
    claims: tuple[tuple[str, int], ...] = ()
    """Each with its chat: the users of one batch share a claim."""
    older_than: datetime | None = None
    """With `sending`: only deliveries last written before this moment, or without a date."""


SHOWN = ("state", "run", "attempts", "message_id", "error")
"""What machines are shown of a delivery besides its user and time."""


@dataclass(frozen=True)
class StoredDelivery:
    """One delivery as read."""

    id: Any
    chat_id: int | None
    delivery: Mapping[str, Any] = field(repr=False)
    only_in_journal: bool = False
    """The user's document does not say it: somebody replaced or deleted the document."""

    @property
    def at(self) -> Any:
        """When it was last written. It is a date, unless another program wrote it."""
        return self.delivery.get("at")

    @property
    def named(self) -> tuple[Any, int | None]:
        """Claim and chat, as the log of a pass names a delivery."""
        return self.delivery.get("claim"), self.chat_id

    def as_json(self) -> dict[str, Any]:
        """What machines are shown of it."""
        shown = {key: self.delivery.get(key) for key in SHOWN}
        moment = self.at.isoformat() if isinstance(self.at, datetime) else self.at
        return {"user": str(self.id), "chat_id": self.chat_id, "at": moment, **shown}
