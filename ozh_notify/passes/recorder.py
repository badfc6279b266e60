"""Writes outcomes as they come, all there are at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ozh_notify.errors import OzhError, Unrecorded
from ozh_notify.passes.context import PassContext
from ozh_notify.passes.queues import DeliveryQueues, OutcomeCounts
from ozh_notify.passes.unrecorded import log_unrecorded
from ozh_notify.users.delivery_state import Confirmation, OutcomeRecord, State
from ozh_notify.wording import counted

log = logging.getLogger(__name__)

MAX_WRITE_BATCH = 200
"""Largest bulk write. Smaller writes let claims run in between."""
GATHER_SECONDS = 0.05
"""How long outcomes gather where the rate is high: one write for many costs a fraction."""
HIGH_RATE = 100.0
UNRECORDED_ROW = 3
"""Outcomes in a row that stand nowhere: then something erases what the pass writes."""


class Recorder:
    """The third of the three tasks of a delivery."""

    def __init__(self, context: PassContext, queues: DeliveryQueues) -> None:
        self._context, self._queues = context, queues
        self._unrecorded_in_a_row = 0

    async def run(self) -> None:
        """Write until there are no more outcomes."""
        queues = self._queues
        while True:
            await queues.wait_until(lambda: bool(queues.outcomes) or queues.all_finished)
            if not queues.outcomes:
                return
            few = len(queues.outcomes) < MAX_WRITE_BATCH and self._context.pacer.rate >= HIGH_RATE
            if few and not queues.all_finished:
                await asyncio.sleep(GATHER_SECONDS)
            await self._write(queues.take_outcomes(MAX_WRITE_BATCH))

    async def _write(self, records: Sequence[OutcomeRecord]) -> None:
        try:
            confirmation = await self._context.store.confirm(records)
        except Exception as error:
            confirmation = Confirmation(unrecorded=records, error=error)
        if isinstance(confirmation.error, OzhError):
            self._context.stop.set(confirmation.error)
        elif confirmation.error:
            self._context.stop.set_bug(confirmation.error)
        self._queues.counts.overwritten += len(confirmation.overwritten)
        self._count_unrecorded(records, {id(record) for record in confirmation.unrecorded})

    def _count_unrecorded(self, records: Sequence[OutcomeRecord], unrecorded: set[int]) -> None:
        """Log outcomes that stand nowhere; several in a row end the pass."""
        for record in records:
            if id(record) not in unrecorded:
                self._unrecorded_in_a_row = 0
                continue
            self._unrecorded_in_a_row += 1
            self._queues.counts.unrecorded += 1
            self._queues.delivered_unrecorded += record.outcome.state is State.SENT
            log_unrecorded(record)
            if self._unrecorded_in_a_row == UNRECORDED_ROW:
                text = f"{UNRECORDED_ROW} outcomes in a row could not be recorded"
                self._context.stop.set(Unrecorded(text))


def log_journal_counts(counts: OutcomeCounts) -> None:
    """Log what the journal knew better than the users' documents."""
    if counts.duplicates:
        log.info(
            "%s not messaged, because the journal says that their chats have been dealt with; "
            "their documents are repaired",
            counted(counts.duplicates, "claimed user was", "claimed users were"),
        )
    if counts.overwritten:
        log.warning(
            "%s replaced while the message went out: the journal has the outcome, and the next "
            "pass repairs the document",
            counted(counts.overwritten, "user document was", "user documents were"),
        )
