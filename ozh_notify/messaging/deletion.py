"""What Telegram says to the deletion of one message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from telegram.error import TelegramError

from ozh_notify.errors import ConfigError
from ozh_notify.messaging.replies import RequestRefused, TooManyRequests

NOT_FOUND = re.compile(r"message to delete not found|message_id_invalid|chat not found", re.I)
TOO_OLD = re.compile(r"message can't be deleted", re.I)


class RecallOutcome(str, Enum):
    """What came of one message."""

    RECALLED = "recalled"
    ALREADY = "recalled before"
    TOO_OLD = "too old"
    NOT_FOUND = "not found"
    BLOCKED = "blocked"
    REFUSED = "refused"
    LEFT = "left"
    """Not asked for, or without a clear answer: the next recall tries again."""


@dataclass(frozen=True)
class DeletionReply:
    """What Telegram says to one deletion; ``retry_after`` in seconds with a 429."""

    outcome: RecallOutcome
    error: str = ""
    retry_after: float = 0


def classify_deletion(error: TelegramError) -> DeletionReply:
    """What a failed deletion means.

    Raises:
        ConfigError: the token is refused.
    """
    text = error.message
    if isinstance(error, TooManyRequests):
        return DeletionReply(RecallOutcome.LEFT, text, max(error.seconds, 0.001))
    if not isinstance(error, RequestRefused):
        return DeletionReply(RecallOutcome.LEFT, text)
    if error.code in (401, 404):
        raise ConfigError(f"TELEGRAM_BOT_TOKEN: Telegram rejects it: {text}")
    if NOT_FOUND.search(text):
        return DeletionReply(RecallOutcome.NOT_FOUND, text)
    if TOO_OLD.search(text):
        return DeletionReply(RecallOutcome.TOO_OLD, text)
    blocked = error.code == 403
    return DeletionReply(RecallOutcome.BLOCKED if blocked else RecallOutcome.REFUSED, text)
