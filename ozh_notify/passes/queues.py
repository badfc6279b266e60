"""The users a pass has in hand: claimed, in flight, and waiting for their outcome's write."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ozh_notify.clock import Clock
from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State
from ozh_notify.users.recipient import Recipient

log = logging.getLogger(__name__)


@dataclass
class OutcomeCounts:
    """Counts of one pass."""

    claimed: int = 0
    skipped: int = 0
    sent: int = 0
    unreachable: int = 0
    rejected: int = 0
    retry: int = 0
    unknown: int = 0
    held_out: int = 0
    duplicates: int = 0
    unrecorded: int = 0
    overwritten: int = 0

    def count(self, state: State) -> None:
        """One more user with this outcome."""
        setattr(self, state.value, getattr(self, state.value) + 1)

    @property
    def settled(self) -> int:
        """Users with an outcome."""
        delivered_or_not = self.sent + self.unreachable + self.rejected + self.retry + self.unknown
        return delivered_or_not + self.held_out + self.duplicates


class DeliveryQueues:
    """Users move from ``ready`` to ``in_flight`` to ``outcomes``; each gets one outcome.

    Each change is followed by :meth:`notify`, which wakes every waiting task.
    """

    def __init__(self, run: str, clock: Clock) -> None:
        self.ready: deque[Recipient] = deque()
        """Claimed, not sent to yet."""
        self.in_flight: set[asyncio.Task[None]] = set()
        """Sends that have started and not ended."""
        self.outcomes: deque[OutcomeRecord] = deque()
        """Outcomes that are not written yet."""
        self.all_claimed = False
        """Whether no more users will be added to ``ready``."""
        self.all_finished = False
        """Whether no more outcomes will be added."""
        self.counts = OutcomeCounts()
        self.delivered_unrecorded = 0
        """Delivered messages that could be recorded nowhere."""
        self._run, self._clock = run, clock
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Something changed: every waiting task looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at after each change."""
        while not condition():
            await self._changed.wait()

    def finish(self, recipient: Recipient, outcome: Outcome) -> None:
        """Count the one outcome of a claimed user and queue it for its write."""
        self.counts.count(outcome.state)
        log.debug(
            "user %r chat %d: %s %s",
            recipient.id,
            recipient.chat_id,
            outcome.state.value,
            outcome.error,
            extra={
                "user": str(recipient.id),
                "chat_id": recipient.chat_id,
                "state": outcome.state.value,
                "run": self._run,
                "message_id": outcome.message_id,
            },
        )
        self.outcomes.append(OutcomeRecord(recipient, outcome, self._run, self._clock.now()))
        self.notify()

    def release_ready(self) -> None:
        """Give back every user who was claimed and not sent to."""
        while self.ready:
            self.finish(self.ready.popleft(), unsent("given back unsent"))

    def take_outcomes(self, at_most: int) -> list[OutcomeRecord]:
        """The oldest outcomes, to be written now."""
        taken = [self.outcomes.popleft() for _ in range(min(at_most, len(self.outcomes)))]
        self.notify()
        return taken


def unsent(why: str) -> Outcome:
    """The outcome of a claimed user who is given back; never counted as an attempt."""
    return Outcome(State.RETRY, error=why, unsent=True)
