"""What stands in for the journal where `OZH_JOURNAL_COLLECTION` is off: it holds nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ozh_notify.mongo.journal import TakenEntries
from ozh_notify.users.delivery_state import OutcomeRecord
from ozh_notify.users.recipient import Recipient

Document = dict[str, Any]


class NoJournal:
    """Every claimed user may be sent to, and every outcome is in the user's document alone."""

    is_kept = False

    async def take(
        self, recipients: Sequence[Recipient], run: str, again_before: datetime | None = None
    ) -> TakenEntries:
        """Nobody is held."""
        return TakenEntries(list(recipients))

    async def confirm(self, records: Sequence[OutcomeRecord]) -> list[OutcomeRecord]:
        """No outcome is here."""
        return list(records)

    async def release(self, claim_id: str, now: datetime) -> None:
        """Nothing to give back."""

    async def entries_of_claims(self, claims: Sequence[Mapping[str, Any]]) -> list[Document]:
        """No claim has an entry."""
        return []

    async def entry_of_run(self, chat_id: int, run: str) -> Document | None:
        """No entry is there."""

    async def in_state(
        self, state: str, run: str | None = None, chats: Sequence[int] = ()
    ) -> list[Document]:
        """No entry is there."""
        return []

    async def in_sending(self, claimed_before: datetime) -> list[Document]:
        """No entry is left."""
        return []

    async def update_unchanged(self, changes: Sequence[tuple[Mapping[str, Any], Document]]) -> int:
        """No entry is there."""
        return 0

    async def read(self, ids: Sequence[str]) -> dict[str, Document]:
        """No entry is there."""
        return {}


class NoPassRecords:
    """No pass and no bot is remembered."""

    async def bot(self) -> Document | None:
        """No bot is known."""

    async def remember_bot(self, bot: Document) -> None:
        """Remember nothing."""

    async def begin(self, run: Document) -> None:
        """Remember nothing."""

    async def end(self, run: Document) -> None:
        """Remember nothing."""
