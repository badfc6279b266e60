"""MongoDB: the messages of one run, and which of them were taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo import UpdateMany

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
        found = [_message(entry, entry) for entry in now]
        for entry in before:
            found += [_message(entry, old) for old in entry["previous"] if old.get("run") == run]
        # A pass that was killed while it began a new period leaves one message in two entries.
        return list({(m.chat_id, m.message_id): m for m in found if m}.values())

    async def mark_recalled(self, message: SentMessage, now: datetime) -> bool:
        """Write ``recalled_at`` beside the very message; the delivery stays `sent`.

        A pass may move the message meanwhile: `--again` to `previous`, a new period to a copy of
        the entry. So the message is looked for by its run, in both places.

        Returns False where the journal does not have the message any more.
        """
        chat = {"campaign": message.campaign, "chat_id": message.chat_id}
        same = {"run": message.run, "message_id": message.message_id}
        before = {f"previous.{key}": value for key, value in same.items()}
        that_one: list[Mapping[str, Any]] = [{f"one.{key}": value for key, value in same.items()}]
        mark = {"$set": {"previous.$[one].recalled_at": now}}
        writes = [
            UpdateMany({**chat, **same}, {"$set": {"recalled_at": now}}),
            UpdateMany({**chat, **before}, mark, array_filters=that_one),
        ]
        result = await self.db.retry(
            lambda: self.entries.bulk_write(writes, ordered=False), "write to the journal"
        )
        return bool(result.matched_count)


def _message(entry: Mapping[str, Any], one: Mapping[str, Any]) -> SentMessage | None:
    number = one.get("message_id")
    if one.get("state") != State.SENT.value or not isinstance(number, int):
        return None
    return SentMessage(
        campaign=entry["campaign"],
        chat_id=entry["chat_id"],
        user=one.get("user", entry.get("user")),
        message_id=number,
        run=str(one.get("run")),
        sent_at=one["at"],
        recalled_at=one.get("recalled_at"),
    )
