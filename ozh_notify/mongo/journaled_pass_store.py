"""MongoDB: the users of a pass, with the journal beside each claim and each outcome.

The user's document decides who is eligible; the journal decides whether the message may go out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.mongo import journaled_sweep
from ozh_notify.mongo.client import Document, primary_collection
from ozh_notify.mongo.journal import Duplicate, MongoJournal
from ozh_notify.mongo.no_journal import NoJournal, NoPassRecords
from ozh_notify.mongo.pass_experiment import PassExperiment
from ozh_notify.mongo.pass_records import PassRecords, bot_document
from ozh_notify.mongo.pass_store import ClaimedDocument, MongoPassStore
from ozh_notify.users import journal_entry
from ozh_notify.users.audience import Query
from ozh_notify.users.delivery_state import Confirmation, OutcomeRecord, State
from ozh_notify.users.journal_copy import copy_update
from ozh_notify.users.recipient import Claimed, Recipient
from ozh_notify.users.state_update import Pipeline

log = logging.getLogger(__name__)


class JournaledPassStore(MongoPassStore):
    """A :class:`MongoPassStore` that writes the journal before the user's document."""

    def __init__(self, settings: Settings, campaign: Campaign) -> None:
        super().__init__(settings, campaign)
        self.journal: MongoJournal | NoJournal = NoJournal()
        self.records: PassRecords | NoPassRecords = NoPassRecords()
        self._experiment: PassExperiment | None = None
        if settings.journal_collection:
            collection = primary_collection(self.db.client, settings, settings.journal_collection)
            self.journal = MongoJournal(collection, campaign, self.retry)
            self.records = PassRecords(collection, self.retry)
            self._experiment = PassExperiment(collection, self.users, campaign, self.retry)
        self._known_bot: Document | None = None
        self._new_bot: Document | None = None
        self._waiting: dict[str, list[Recipient]] = {}
        """Duplicates by the entry that another document of this pass holds."""

    async def begin_run(self, run: Document) -> Document | None:
        """Store that a pass has begun; returns the bot that delivered last, if any has."""
        await self.db.ping("look at the journal")
        self._known_bot = await self.records.bot()
        await self.records.begin(run)
        if self._experiment:
            await self._experiment.check(run["started_at"])
            await self._experiment.judge(run["started_at"])
        return self._known_bot

    async def end_run(self, run: Document) -> None:
        """Store how the pass has ended."""
        await self.records.end(run)

    def deliver_as(self, bot_id: int, username: str, now: datetime) -> None:
        """Remember this bot with the first message that it delivers."""
        if self._known_bot is None or self._known_bot.get("bot_id") != bot_id:
            self._new_bot = bot_document(bot_id, username, now)

    async def has_delivered(self) -> bool:
        """Whether any bot has ever delivered a message to these users."""
        return self._known_bot is not None or await super().has_delivered()

    async def sweep(self, now: datetime) -> int:
        """Settle lapsed claims by what the journal knows; returns how many are unknown now."""
        return await journaled_sweep.sweep(self, self.journal, now)

    async def claim(self, ids: Sequence[Any], query: Query, claim_id: str, run: str) -> Claimed:
        """Claim users, then take their entries; only who has both may be sent to."""
        if self._experiment:
            await self._experiment.begin(query.now, query.chats)
        written = await super().claim(ids, query, claim_id, run)
        claimed = written.recipients
        # A chat id that became unusable since the scan has no entry; nothing is sent to it.
        unusable = [who for who in claimed if not who.chat_id]
        usable = [who for who in claimed if who.chat_id]
        try:
            taken = await self.journal.take(usable, run, query.again_before)
        except OzhError:
            await self._release_both(ids, claim_id, query)
            raise
        await self._repair(taken.duplicates, run)
        order = {repr(who.id): n for n, who in enumerate(claimed)}
        recipients = sorted([*taken.recipients, *unusable], key=lambda who: order[repr(who.id)])
        return Claimed(recipients, taken.controls, len(taken.duplicates), written.refused)

    async def confirm(self, records: Sequence[OutcomeRecord]) -> Confirmation:
        """Write outcomes to the journal, then to the users' documents."""
        missing, error = await self._confirm_in_journal(records)
        nowhere = {id(record) for record in missing}
        try:
            lost = (await super().confirm(records)).unrecorded
            overwritten = [record for record in lost if id(record) not in nowhere]
        except Exception as second:  # what the journal has, the next sweep copies
            lost, overwritten, error = records, [], error or second
        if not error:
            await self._after_confirm(records)
        unrecorded = [record for record in lost if id(record) in nowhere]
        return Confirmation(unrecorded, overwritten, error)

    async def _confirm_in_journal(
        self, records: Sequence[OutcomeRecord]
    ) -> tuple[list[OutcomeRecord], Exception | None]:
        """The outcomes that the journal does not have, and why."""
        usable = [record for record in records if record.recipient.chat_id]
        unusable = [record for record in records if not record.recipient.chat_id]
        try:
            return [*unusable, *await self.journal.confirm(usable)], None
        except Exception as error:  # also a bug, which must not hide what stands nowhere
            return list(records), error

    async def _release_both(self, ids: Sequence[Any], claim_id: str, query: Query) -> None:
        """Give back a batch whose entries may or may not be taken; nobody is sent to."""
        await self.journal.release(claim_id, query.now)
        await self.release(ids, claim_id, query.now)

    async def _repair(self, duplicates: Sequence[Duplicate], run: str) -> None:
        """Copy what the journal says to documents that another delivery has dealt with."""
        updates = []
        for one in duplicates:
            same_pass = one.entry.get("run") == run and one.entry.get("state") == State.SENDING
            if same_pass:  # its outcome is not known yet
                self._waiting.setdefault(str(one.entry["_id"]), []).append(one.recipient)
                continue
            try:
                updates.append(self._copied(one.recipient, one.entry))
            except (KeyError, TypeError, ValueError) as error:
                # A person wrote the entry by hand, or a later version did.
                log.warning("the journal's entry %s is odd: %r", one.entry.get("_id"), error)
        try:
            await self.update_claimed(updates)
        except OzhError as error:  # they stay in `sending`, which the next sweep mends
            log.warning("could not repair %d users from the journal: %s", len(updates), error)

    async def _after_confirm(self, records: Sequence[OutcomeRecord]) -> None:
        await self._repair_waiting(records)
        if self._new_bot and any(record.outcome.state is State.SENT for record in records):
            bot, self._new_bot = self._new_bot, None
            try:
                await self.records.remember_bot(bot)
            except OzhError as error:  # the next pass does it
                log.warning("%s", error)

    async def _repair_waiting(self, records: Sequence[OutcomeRecord]) -> None:
        if not self._waiting:
            return
        done = {
            journal_entry.id_of(self.campaign, r.recipient) for r in records
        } & self._waiting.keys()
        if not done:
            return
        try:
            entries = await self.journal.read(sorted(done))
        except OzhError as error:  # they stay in `sending`, which the next sweep mends
            log.warning("%s", error)
            return
        duplicates = [Duplicate(who, entries[i]) for i in entries for who in self._waiting.pop(i)]
        await self._repair(duplicates, "")

    def _copied(self, who: Recipient, entry: dict[str, Any]) -> tuple[ClaimedDocument, Pipeline]:
        document = ClaimedDocument(who.id, who.chat_id, {"claim": who.claim})
        return document, copy_update(self.campaign, entry)
