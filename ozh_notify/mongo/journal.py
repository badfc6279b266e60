"""MongoDB: every query that a pass makes of the journal has a name and says why."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pymongo
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from ozh_notify.campaigns import Campaign
from ozh_notify.mongo.client import Document
from ozh_notify.mongo.errors import READ_SECONDS
from ozh_notify.mongo.retry import Retry
from ozh_notify.users import journal_entry
from ozh_notify.users.delivery_state import OutcomeRecord, State
from ozh_notify.users.journal_period import Entry, ids_of_chat, kept_copy
from ozh_notify.users.recipient import CONTROL, Recipient

log = logging.getLogger(__name__)

DUPLICATE_KEY = 11000


@dataclass(frozen=True)
class Duplicate:
    """A claimed user whose chat another delivery of this period has dealt with."""

    recipient: Recipient
    entry: Document


@dataclass
class TakenEntries:
    """What came of taking the entries of one batch."""

    recipients: list[Recipient] = field(default_factory=list)
    """Users whose entry this pass holds; it may send to them."""
    controls: list[Recipient] = field(default_factory=list)
    """Users whose entry this pass holds, which an experiment holds out."""
    duplicates: list[Duplicate] = field(default_factory=list)

    def add(self, who: Recipient, is_control: bool) -> None:
        """One more user whose entry this pass holds."""
        (self.controls if is_control else self.recipients).append(who)


class MongoJournal:
    """The journal as one campaign's pass writes to it."""

    is_kept = True

    def __init__(
        self, collection: AsyncIOMotorCollection[Document], campaign: Campaign, retry: Retry
    ) -> None:
        self.collection, self.campaign, self._retry = collection, campaign, retry

    async def take(
        self, recipients: Sequence[Recipient], run: str, again_before: datetime | None = None
    ) -> TakenEntries:
        """Take the entries of claimed users; repeatable by `_id`, claim and user.

        Raises:
            OzhError: it is not known which entries were taken.
        """
        new = [journal_entry.new_entry(self.campaign, who, run) for who in recipients]
        there = await self._insert(new)
        taken = TakenEntries()
        for n, who in enumerate(recipients):
            if n not in there:
                taken.add(who, who.is_control)
        if not there:
            return taken
        mine = [(str(new[n]["_id"]), recipients[n]) for n in there]
        await self._take_over(mine, run, again_before)
        entries, vanished = await self.read([i for i, _ in mine]), []
        for i, who in mine:
            if i not in entries:
                vanished.append(who)
            elif journal_entry.is_held_by(entries[i], who):
                taken.add(who, entries[i].get("arm") == CONTROL)
            else:
                taken.duplicates.append(Duplicate(who, entries[i]))
        if vanished:  # somebody deleted an entry in this very moment
            again = await self.take(vanished, run, again_before)
            taken.recipients += again.recipients
            taken.controls += again.controls
            taken.duplicates += again.duplicates
        return taken

    async def confirm(self, records: Sequence[OutcomeRecord]) -> list[OutcomeRecord]:
        """Write outcomes; returns those that the journal does not have afterwards.

        An entry of a control is written when it is taken, so nothing is left to write.
        """
        records = [r for r in records if r.outcome.state is not State.HELD_OUT]
        updates = [
            UpdateOne(
                journal_entry.confirm_filter(self.campaign, record),
                journal_entry.confirm_update(record),
            )
            for record in records
        ]
        if await self._bulk(updates, "record deliveries in the journal") == len(records):
            return []
        ids = [journal_entry.id_of(self.campaign, record.recipient) for record in records]
        entries = await self.read(ids)
        return [
            record
            for i, record in zip(ids, records, strict=True)
            if not journal_entry.has_outcome(entries.get(i), record)
        ]

    async def release(self, claim_id: str, now: datetime) -> None:
        """Give back the entries of a claim that nobody sends to; the sweep mends a failure."""
        where = {"run": claim_id.rpartition("-")[0], "claim": claim_id}
        where["state"] = State.SENDING.value
        try:
            with pymongo.timeout(self._retry.time_for_a_try()):
                await self.collection.update_many(where, journal_entry.release_update(now))
        except PyMongoError as error:
            log.warning(
                "entries of the journal claimed as %s may be left in sending until their lease "
                "ends: %s",
                claim_id,
                type(error).__name__,
            )

    async def entries_of_claims(self, claims: Sequence[Entry]) -> list[Document]:
        """The entries that these claims hold; each claim names its ``run`` and ``claim``."""
        cursor = self.collection.find(self._of_claims(claims))
        return await self._search(cursor, "look for claims in the journal")

    async def entry_of_run(self, chat_id: int, run: str) -> Document | None:
        """The entry that a run wrote of a chat; by the ``_id``, in whatever period."""
        where = {**ids_of_chat(self.campaign, chat_id), "run": run}
        return await self._retry(
            lambda: self.collection.find_one(where, sort=[("_id", -1)]), "read the journal"
        )

    async def in_state(
        self, state: str, run: str | None = None, chats: Sequence[int] = ()
    ) -> list[Document]:
        """Entries in one state, the oldest first."""
        where: Document = {"campaign": self.campaign.name, "state": state}
        if run is not None:
            where["run"] = run
        if chats:
            where["chat_id"] = {"$in": list(chats)}
        cursor = self.collection.find(where).sort("claimed_at", 1)
        return await self._search(cursor, "list deliveries of the journal")

    async def in_sending(self, claimed_before: datetime) -> list[Document]:
        """Entries in `sending`, wherever their users' documents are now."""
        where = {
            "campaign": self.campaign.name,
            "state": State.SENDING.value,
            "claimed_at": {"$lte": claimed_before},
        }
        cursor = self.collection.find(where)
        return await self._search(cursor, "look for open entries of the journal")

    async def update_unchanged(self, changes: Sequence[tuple[Entry, Document]]) -> int:
        """Write to entries that are still as they were read; returns how many were."""
        updates = [UpdateOne(journal_entry.same_delivery(e), update) for e, update in changes]
        return await self._bulk(updates, "write to the journal")

    def _of_claims(self, claims: Sequence[Entry]) -> Document:
        return {key: {"$in": sorted({c[key] for c in claims})} for key in ("run", "claim")}

    async def _insert(self, entries: Sequence[Document]) -> list[int]:
        """Insert entries; returns the numbers of those that exist already."""

        async def write() -> list[int]:
            try:
                await self.collection.insert_many(entries, ordered=False)
            except BulkWriteError as error:
                return duplicates(error)
            return []

        return await self._retry(write, "write to the journal") if entries else []

    async def _take_over(
        self, mine: Sequence[tuple[str, Recipient]], run: str, again_before: datetime | None
    ) -> None:
        """Take over the entries that do not hold, each only as it was read."""
        entries = await self.read([i for i, _ in mine])
        writes: list[UpdateOne | ReplaceOne[Document]] = []
        over: list[Document] = []
        for entry, who in ((entries[i], who) for i, who in mine if i in entries):
            same = journal_entry.same_delivery(entry)
            if journal_entry.may_begin_anew(self.campaign, entry, who.claimed_at):
                over.append(kept_copy(self.campaign, entry))
                writes.append(ReplaceOne(same, journal_entry.new_entry(self.campaign, who, run)))
            elif journal_entry.may_take_over(self.campaign, entry, who.claimed_at, again_before):
                taken = journal_entry.take_over_update(self.campaign, who, run, entry)
                writes.append(UpdateOne(same, taken))
        await self._insert(over)  # a copy that is there already is the same
        await self._bulk(writes, "take over entries of the journal")

    async def read(self, ids: Sequence[str]) -> dict[str, Document]:
        """Entries by their ids."""
        where: Any = {"_id": {"$in": list(ids)}}
        found = await self._retry(
            lambda: self.collection.find(where).to_list(None), "read the journal"
        )
        return {str(entry["_id"]): entry for entry in found}

    async def _search(self, cursor: Any, doing: str) -> list[Document]:
        """Entries by one of the journal's own indexes; where it is missing, this reads them all."""
        return await self._retry(lambda: cursor.clone().to_list(None), doing, READ_SECONDS)

    async def _bulk(self, updates: Sequence[UpdateOne | ReplaceOne[Document]], doing: str) -> int:
        """How many single-document writes matched."""

        async def write() -> int:
            result = await self.collection.bulk_write(updates, ordered=False)
            return int(result.matched_count)

        return await self._retry(write, doing) if updates else 0


def duplicates(error: BulkWriteError) -> list[int]:
    """The numbers of inserts that met an existing `_id`.

    Raises:
        BulkWriteError: something else went wrong, too.
    """
    details = error.details or {}
    failed = list(details.get("writeErrors", ()))
    others = [e for e in failed if e.get("code") != DUPLICATE_KEY]
    if others or details.get("writeConcernErrors"):
        raise BulkWriteError({**details, "writeErrors": others}) from error
    return [int(e["index"]) for e in failed]
