"""MongoDB: everything the journal holds of one user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.journal_status import JournalStatusQueries
from ozh_notify.mongo.operator_queries import Document, ids_named, is_number
from ozh_notify.users.journal_period import ids_of_chat
from ozh_notify.users.recipient import at_path, parse_chat_id


class HistoryQueries(JournalStatusQueries):
    """Read-only queries; use it as a context manager."""

    async def history_of(self, text: str, campaigns: Sequence[Campaign]) -> list[Document]:
        """Entries of a user named by chat id, `_id` or @username.

        A user whose document is gone is found by what the journal keeps: chat id and `_id`.

        Raises:
            ConfigError: neither the users nor the journal know the user.
        """
        problem: ConfigError | None = None
        try:
            users = await self.find(text)
        except ConfigError as error:
            users, problem = [], error
        field = self.settings.field_chat_id
        chats = {chat for user in users if (chat := parse_chat_id(at_path(user, field)))}
        chats |= {int(text)} if is_number(text) else set()
        ids = [user["_id"] for user in users] or ids_named(text)
        found = await self._entries(sorted(chats), ids, campaigns)
        if problem and not found:
            raise problem
        return found

    async def entry_that_holds(self, entry_id: str) -> Document | None:
        """The entry of one campaign, chat and period."""
        with with_time_limit("read the journal"):
            found = await self.entries.find_one({"_id": entry_id})
        return None if found is None else dict(found)

    async def _entries(
        self, chats: Sequence[int], ids: Sequence[Any], campaigns: Sequence[Campaign]
    ) -> list[Document]:
        """By the `_id`, which begins with campaign and chat, and by the user's own index."""
        wheres: list[Document] = [ids_of_chat(c, chat) for c in campaigns for chat in chats]
        wheres.append({"user": {"$in": list(ids)}})
        found: dict[str, Document] = {}
        with with_time_limit("read the journal"):
            for where in wheres:
                entries = await self.entries.find(where).to_list(None)
                found.update({str(entry["_id"]): entry for entry in entries})
        return list(found.values())
