"""Takes messages back: paced, within the flood budget, each told to the journal at once.

Telegram lets a bot delete its own messages in private chats for 48 hours (Bot API,
``deleteMessage``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ozh_notify.clock import Clock
from ozh_notify.errors import OzhError
from ozh_notify.messaging.deletion import DeletionReply, RecallOutcome
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.passes.stop import Stop
from ozh_notify.users.sent_message import SentMessage

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Requests in flight at most."""


class Deletes(Protocol):
    """The bot."""

    async def delete(self, chat_id: int, message_id: int) -> DeletionReply:
        """Delete one of its messages."""


class Marks(Protocol):
    """The journal."""

    async def mark_recalled(self, message: SentMessage, now: datetime) -> bool:
        """Write ``recalled_at``; False where the journal does not have the message any more."""


def expected(message: SentMessage, now: datetime) -> RecallOutcome:
    """What is known of a message before Telegram is asked; LEFT means that it is asked."""
    if message.recalled_at:
        return RecallOutcome.ALREADY
    return RecallOutcome.TOO_OLD if message.is_too_old(now) else RecallOutcome.LEFT


class Recall:
    """Deletes the messages of one run."""

    def __init__(
        self, bot: Deletes, journal: Marks, pacer: Pacer, stop: Stop, clock: Clock
    ) -> None:
        self._bot, self._journal, self._pacer = bot, journal, pacer
        self._stop, self._clock = stop, clock
        self._free = asyncio.Semaphore(AT_ONCE)
        self._flooded = False
        self.error: BaseException | None = None
        """The first error; it ends the command once what was deleted is recorded."""
        self.outcomes: dict[tuple[int, int], DeletionReply] = {}
        """By chat and message id."""

    async def run(self, messages: Sequence[SentMessage]) -> Counter[RecallOutcome]:
        """Delete what can be deleted; what was not asked for is LEFT.

        After an error nothing more is asked for, and what is in flight is finished and recorded.
        """
        asked = []
        for message in messages:
            known = expected(message, self._clock.now())
            self.outcomes[message.chat_id, message.message_id] = DeletionReply(known)
            if known is RecallOutcome.LEFT:
                asked.append(message)
        await asyncio.gather(*(self._one(message) for message in asked))
        return Counter(answer.outcome for answer in self.outcomes.values())

    @property
    def _is_over(self) -> bool:
        return bool(self._stop or self._flooded or self.error)

    async def _one(self, message: SentMessage) -> None:
        async with self._free:
            try:
                await self._delete(message)
            except Exception as error:
                self.error = self.error or error

    async def _delete(self, message: SentMessage) -> None:
        while not self._is_over:
            await self._pacer.turn()
            if self._is_over:
                return
            answer = await self._bot.delete(message.chat_id, message.message_id)
            if not answer.retry_after:
                break
            if not self._pacer.flood(answer.retry_after):
                self._flooded = True
        else:
            return
        self.outcomes[message.chat_id, message.message_id] = answer
        if answer.outcome is RecallOutcome.RECALLED:
            await self._record(message)

    async def _record(self, message: SentMessage) -> None:
        what = f"deleted and not recorded: chat {message.chat_id} message {message.message_id}"
        try:
            is_there = await self._journal.mark_recalled(message, self._clock.now())
        except OzhError:
            log.error(what)
            raise
        if not is_there:
            log.warning("%s: the journal does not have it any more", what)
