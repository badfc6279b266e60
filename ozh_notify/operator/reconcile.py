"""Deliveries that only a person can settle: list them, release them, or mark them sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.mongo.journaled_store import JournaledPassStore
from ozh_notify.users import delivery_state, journal_entry
from ozh_notify.users.delivery_state import Pipeline, State
from ozh_notify.users.journal_copy import copy_update
from ozh_notify.users.recipient import at_path, parse_chat_id

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

    @property
    def at(self) -> Any:
        """When it was last written; a date, unless somebody else wrote it."""
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


@dataclass(frozen=True)
class Listing:
    """What was found, after a sweep."""

    entries: list[StoredDelivery]
    swept: int
    fresh: list[StoredDelivery]
    """Those that this very sweep made unknown, and no log names: a fast clock sweeps too early."""
    sending: int
    """Such deliveries that a pass still holds: they can be settled when its lease is over."""
    sending_until: datetime | None
    """When the last of these leases is over."""

    def as_json(self) -> dict[str, Any]:
        """The counts, and each delivery; moments are ISO 8601."""
        return {
            "swept": self.swept,
            "sending": self.sending,
            "sending_until": self.sending_until,
            "found": len(self.entries),
            "deliveries": [entry.as_json() for entry in self.entries],
        }


class ReconcileStore(JournaledPassStore):
    """The deliveries of one campaign, for a person to settle."""

    async def look(self, which: DeliveryFilter, now: datetime) -> Listing:
        """Sweep, then read; also where nothing is to be settled: a lapsed claim is unknown."""
        swept = await self.sweep(now)
        entries = await self.entries(which)
        sending = [] if which.state is SettleableState.SENDING else await self.sending(which)
        known = {repr(entry.id) for entry in entries}
        others = [user for user in sending if repr(user["_id"]) not in known]
        holds = [at_path(user, f"{self.campaign.state_path}.hold_until") for user in others]
        until = max((hold for hold in holds if isinstance(hold, datetime)), default=None)
        fresh = [e for e in entries if swept and e.at == now and e.named not in which.claims]
        return Listing(entries, swept, fresh, len(others), until)

    async def entries(self, which: DeliveryFilter) -> list[StoredDelivery]:
        """Deliveries in one state, and those of the claims, the oldest first."""
        named = await self._claimed_deliveries(which) if which.claims else []
        if which.claims and not which.chats:
            return named
        known = {repr(entry.id) for entry in named}
        return [*named, *(e for e in await self._in_state(which) if repr(e.id) not in known)]

    async def _claimed_deliveries(self, which: DeliveryFilter) -> list[StoredDelivery]:
        """Deliveries that still hold one of these claims; the partial index on it answers this."""
        state_path = self.campaign.state_path
        claims = sorted({claim for claim, _ in which.claims})
        where: dict[str, Any] = {
            f"{state_path}.claim": {"$exists": True, "$in": claims},
            f"{state_path}.state": {"$in": [State.SENDING.value, State.UNKNOWN.value]},
        }
        if which.run is not None:
            where[f"{state_path}.run"] = {"$eq": which.run}
        return [entry for entry in await self._stored(where) if entry.named in which.claims]

    async def _in_state(self, which: DeliveryFilter) -> list[StoredDelivery]:
        state_path = self.campaign.state_path
        where = self._narrowed(which, which.state.value)
        if which.older_than:
            recent = {f"{state_path}.at": {"$gte": which.older_than, "$type": "date"}}
            where["$nor"] = [recent]
        if which.state is SettleableState.UNKNOWN:
            # Every `unknown` keeps its claim: the partial index on it answers this.
            where[f"{state_path}.claim"] = {"$exists": True}
        return await self._stored(where)

    async def _stored(self, where: dict[str, Any]) -> list[StoredDelivery]:
        """Deliveries as they are, the oldest first."""
        state_path = self.campaign.state_path
        fields = self._fields([self.settings.field_chat_id, state_path])
        cursor = self.users.find(where, fields).sort(f"{state_path}.at", 1)
        found = await self._fetch_all(cursor, "list deliveries")
        # MongoDB also matches inside arrays; we never write one, so skip it.
        return [
            self._entry(user) for user in found if isinstance(at_path(user, state_path), Mapping)
        ]

    async def sending(self, which: DeliveryFilter) -> list[dict[str, Any]]:
        """The users of the filter that are in `sending`; they are only counted."""
        where = self._narrowed(which, State.SENDING.value)
        if which.claims and not which.chats:
            return []
        where[f"{self.campaign.state_path}.claim"] = {"$exists": True}
        fields = {f"{self.campaign.state_path}.hold_until": 1}
        return await self._fetch_all(self.users.find(where, fields), "count what is sending")

    async def settle(
        self, entries: Sequence[StoredDelivery], action: Decision, now: datetime
    ) -> int:
        """Settle each by one conditional write; returns how many had not changed since."""
        return sum([await self._settle(entry, action, now) for entry in entries])

    async def _settle(self, entry: StoredDelivery, action: Decision, now: datetime) -> bool:
        """Settle the journal's entry, then the user's document.

        Where the journal knows better, as after a late confirm that did not reach the document,
        the document is repaired instead.
        """
        known = await self._settle_in_journal(entry, action, now)
        if known:
            await self._write(entry, copy_update(self.campaign, known), {})
            return False
        state_path = self.campaign.state_path
        written = {f"{state_path}.state": action.target.value, f"{state_path}.at": now}
        return await self._write(entry, action.update(self.campaign, entry.delivery, now), written)

    async def _write(
        self, entry: StoredDelivery, update: Pipeline, written: Mapping[str, Any]
    ) -> bool:
        """Update the document if its delivery is as it was read; whether it is ``written`` now."""
        state_path = self.campaign.state_path
        same: dict[str, Any] = {"_id": entry.id}
        for key in IDENTITY:
            known = key in entry.delivery
            same[f"{state_path}.{key}"] = (
                {"$eq": entry.delivery[key]} if known else {"$exists": False}
            )

        async def write() -> bool:
            result = await self.users.update_one(same, update)
            # None matched: it changed meanwhile, or the last try of this very write was applied.
            return bool(result.matched_count) or bool(
                written and await self.users.find_one({"_id": entry.id, **written}, {"_id": 1})
            )

        return await self.retry(write, "settle a delivery")

    async def _settle_in_journal(
        self, entry: StoredDelivery, action: Decision, now: datetime
    ) -> Mapping[str, Any] | None:
        """Settle the entry of this delivery; returns it where it is not as the document says."""
        run = entry.delivery.get("run")
        if entry.chat_id is None or not isinstance(run, str):
            return None
        for _ in range(2):  # the second look tells whether the write was applied
            written = await self.journal.entry_of_run(entry.chat_id, run)
            if written is None or (written["state"], written["at"]) == (action.target.value, now):
                return None
            if written["state"] != entry.delivery.get("state"):
                break
            update = action.entry_update(written, now)
            await self.journal.update_unchanged([(written, update)])
        return written

    def _narrowed(self, which: DeliveryFilter, state: str) -> dict[str, Any]:
        state_path = self.campaign.state_path
        where: dict[str, Any] = {f"{state_path}.state": state}
        if which.run is not None:
            where[f"{state_path}.run"] = {"$eq": which.run}
        if which.chats:
            forms = [*which.chats, *map(str, which.chats)]
            where[self.settings.field_chat_id] = {"$in": forms}
        return where

    def _entry(self, user: Mapping[str, Any]) -> StoredDelivery:
        chat = parse_chat_id(at_path(user, self.settings.field_chat_id))
        return StoredDelivery(user["_id"], chat, at_path(user, self.campaign.state_path))
