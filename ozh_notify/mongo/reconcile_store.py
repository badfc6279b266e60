"""Queries of `reconcile`: what a person settles, in the journal and in the users' documents."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ozh_notify.mongo.errors import DocumentRefused
from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
from ozh_notify.mongo.users_collection import projection
from ozh_notify.users.delivery_state import State
from ozh_notify.users.journal_copy import copy_update
from ozh_notify.users.journal_period import is_over
from ozh_notify.users.recipient import at_path, parse_chat_id
from ozh_notify.users.settlement import (
    IDENTITY,
    Decision,
    DeliveryFilter,
    SettleableState,
    StoredDelivery,
)
from ozh_notify.users.state_update import Pipeline

log = logging.getLogger(__name__)


class ReconcileStore:
    """The deliveries of one campaign's store, for a person to settle."""

    def __init__(self, store: JournaledPassStore) -> None:
        self.store, self.campaign = store, store.campaign
        self._users, self._db, self._journal = store.users, store.db, store.journal

    async def entries(self, which: DeliveryFilter, now: datetime) -> list[StoredDelivery]:
        """Deliveries in one state, and those of the claims, the oldest first."""
        named = await self._claimed_deliveries(which) if which.claims else []
        if which.claims and not which.chats:
            return named
        known = {repr(entry.id) for entry in named}
        return [*named, *(e for e in await self._in_state(which, now) if repr(e.id) not in known)]

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

    async def _in_state(self, which: DeliveryFilter, now: datetime) -> list[StoredDelivery]:
        state_path = self.campaign.state_path
        where = self._narrowed(which, which.state.value)
        if which.older_than:
            recent = {f"{state_path}.at": {"$gte": which.older_than, "$type": "date"}}
            where["$nor"] = [recent]
        if self._journal.is_kept and which.state is not SettleableState.SENDING:
            return await self._of_journal(which, where, now)
        if which.state is SettleableState.UNKNOWN:
            # Every `unknown` keeps its claim: the partial index on it answers this.
            where[f"{state_path}.claim"] = {"$exists": True}
        return await self._stored(where)

    async def _of_journal(
        self, which: DeliveryFilter, where: dict[str, Any], now: datetime
    ) -> list[StoredDelivery]:
        """Deliveries that the journal has in this state, as the users' documents say them.

        A delivery that was made without the journal has no entry: its document tells of it. Only
        an `unknown` is found by an index there, the one on its claim.
        """
        entries = await self._journal.in_state(which.state.value, which.run, which.chats)
        ids = [entry["user"] for entry in entries]
        deliveries = await self.store.deliveries(ids) if ids else {}
        found = [_of_entry(entry, deliveries.get(repr(entry["user"]))) for entry in entries]
        found = [
            one
            for one in found  # an entry of an earlier period holds nobody
            if not (one.only_in_journal and is_over(self.campaign, one.delivery, now))
        ]
        if which.state is SettleableState.UNKNOWN:
            where[f"{self.campaign.state_path}.claim"] = {"$exists": True}
        known = {repr(one.id) for one in found if not one.only_in_journal}
        found += [one for one in await self._stored(where) if repr(one.id) not in known]
        return sorted(found, key=lambda one: str(one.at))

    async def _stored(self, where: dict[str, Any]) -> list[StoredDelivery]:
        """Deliveries as they are, the oldest first."""
        state_path = self.campaign.state_path
        fields = projection(self.campaign.settings.field_chat_id, state_path)
        cursor = self._users.find(where, fields).sort(f"{state_path}.at", 1)
        found = await self._db.fetch_all(cursor, "list deliveries")
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
        return await self._db.fetch_all(self._users.find(where, fields), "count what is sending")

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
        if entry.only_in_journal:
            return await self._settle_in_journal(entry, action, now) is None
        if await self._is_unchanged(entry):
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
        same = self._same(entry)

        async def write() -> bool:
            result = await self._users.update_one(same, update)
            # None matched: it changed meanwhile, or the last try of this very write was applied.
            return bool(result.matched_count) or bool(
                written and await self._users.find_one({"_id": entry.id, **written}, {"_id": 1})
            )

        try:
            return await self._db.retry(write, "settle a delivery")
        except DocumentRefused as refusal:
            log.warning("could not settle the delivery of user %r: %s", entry.id, refusal.reason)
            return False

    async def _is_unchanged(self, entry: StoredDelivery) -> bool:
        found = await self._db.retry(
            lambda: self._users.find_one(self._same(entry), {"_id": 1}), "read a delivery"
        )
        return found is not None

    def _same(self, entry: StoredDelivery) -> dict[str, Any]:
        """The filter that matches the document while its delivery is as it was read."""
        same: dict[str, Any] = {"_id": entry.id}
        for key in IDENTITY:
            known = key in entry.delivery
            same[f"{self.campaign.state_path}.{key}"] = (
                {"$eq": entry.delivery[key]} if known else {"$exists": False}
            )
        return same

    async def _settle_in_journal(
        self, entry: StoredDelivery, action: Decision, now: datetime
    ) -> Mapping[str, Any] | None:
        """Settle the entry of this delivery; returns it where it is not as the document says."""
        run = entry.delivery.get("run")
        if entry.chat_id is None or not isinstance(run, str):
            return None
        for _ in range(2):  # the second look tells whether the write was applied
            written = await self._journal.entry_of_run(entry.chat_id, run)
            if written is None or (written["state"], written["at"]) == (action.target.value, now):
                return None
            if written["state"] != entry.delivery.get("state"):
                break
            update = action.entry_update(written, now)
            await self._journal.update_unchanged([(written, update)])
        return written

    def _narrowed(self, which: DeliveryFilter, state: str) -> dict[str, Any]:
        state_path = self.campaign.state_path
        where: dict[str, Any] = {f"{state_path}.state": state}
        if which.run is not None:
            where[f"{state_path}.run"] = {"$eq": which.run}
        if which.chats:
            forms = [*which.chats, *map(str, which.chats)]
            where[self.campaign.settings.field_chat_id] = {"$in": forms}
        return where

    def _entry(self, user: Mapping[str, Any]) -> StoredDelivery:
        chat = parse_chat_id(at_path(user, self.campaign.settings.field_chat_id))
        return StoredDelivery(user["_id"], chat, at_path(user, self.campaign.state_path))


def _of_entry(entry: Mapping[str, Any], delivery: Mapping[str, Any] | None) -> StoredDelivery:
    """As the user's document says it, where it is this delivery."""
    same = ("state", "run")
    if delivery is not None and all(delivery.get(key) == entry.get(key) for key in same):
        return StoredDelivery(entry["user"], entry["chat_id"], delivery)
    return StoredDelivery(entry["user"], entry["chat_id"], entry, only_in_journal=True)
