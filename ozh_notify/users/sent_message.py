"""Pure: one delivered message, as the journal knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MAX_AGE = timedelta(hours=48)
"""A bot may delete its messages for so long (Bot API, ``deleteMessage``)."""


@dataclass(frozen=True)
class SentMessage:
    """One delivered message of a run."""

    campaign: str
    chat_id: int
    user: Any
    message_id: int
    run: str
    sent_at: datetime
    recalled_at: datetime | None

    def is_too_old(self, now: datetime) -> bool:
        """Whether Telegram would refuse to delete it."""
        return now - self.sent_at >= MAX_AGE
