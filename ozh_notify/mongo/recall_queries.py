"""MongoDB: the messages of one run, and which of them were taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.journal_status import JournalStatusQueries
from ozh_notify.mongo.operator_queries import Document
from ozh_notify.mongo.pass_records import RUN
from ozh_notify.users.delivery_state import State
from ozh_notify.users.sent_message import SentMessage


class RecallQueries(JournalStatusQueries):
    """Reads the messages of a run; writes ``recalled_at``."""

    async def run_document(self, run: str) -> Document | None:
        """What the journal keeps of the pass."""
        with with_time_limit("look for the run"):
            found = await self.entries.find_one({"_id": f"{RUN}{run}"})
        return None if found is None else dict(found)

    async def messages(self, campaign: Campaign, run: str) -> list[SentMessage]:
        """Delivered messages of a run, also those that `--again` or `--resend` replaced since."""
        name = {"campaign": campaign.name}
        with with_time_limit("list the messages of a run"):
            now = await self.entries.find({**name, "run": run}).to_list(None)
            before = await self.entries.find({**name, "previous.run": run}).to_list(None)
        found = [_message(entry, entry, replaced=False) for entry in now]
        for entry in before:
            olds = [old for old in entry["previous"] if old.get("run") == run]
            found += [_message(entry, old, replaced=True) for old in olds]
        return [message for message in found if message]

    async def mark_recalled(self, message: SentMessage, now: datetime) -> None:
        """Write ``recalled_at`` beside the very message; the delivery stays `sent`."""
        same = {"run": message.run, "message_id": message.message_id}
        where: Document = {"_id": message.entry_id, **same}
        field = "recalled_at"
        if message.replaced:
            where = {"_id": message.entry_id, "previous": {"$elemMatch": same}}
            field = "previous.$.recalled_at"
        await self.db.retry(
            lambda: self.entries.update_one(where, {"$set": {field: now}}), "write to the journal"
        )


def _message(
    entry: Mapping[str, Any], one: Mapping[str, Any], *, replaced: bool
) -> SentMessage | None:
    number = one.get("message_id")
    if one.get("state") != State.SENT.value or not isinstance(number, int):
        return None
    return SentMessage(
        entry_id=entry["_id"],
        chat_id=entry["chat_id"],
        user=one.get("user", entry.get("user")),
        message_id=number,
        run=str(one.get("run")),
        sent_at=one["at"],
        recalled_at=one.get("recalled_at"),
        replaced=replaced,
    )
