"""Claims users batch after batch, at most one batch ahead of the one that is being sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any

from ozh_notify.errors import ConfigError, OzhError
from ozh_notify.passes.context import PassContext
from ozh_notify.passes.latency import MovingAverage
from ozh_notify.passes.queues import DeliveryQueues
from ozh_notify.users.candidates import Candidates
from ozh_notify.users.delivery_state import Outcome, State

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.2
"""A batch is what is sent in this time, so that little is ever in doubt."""
CLAIM_TIMES = 1.5
"""Where a claim is slow, a batch is what is sent in this many times the claim's duration."""
MAX_CLAIM_BATCH = 100
ALL_REFUSED = 10
"""When the server refuses the documents of the first so many users, the collection is at fault.

Before any message was ever delivered, fewer are enough where there are no others.
"""


class Claimer:
    """The first of the three tasks of a delivery."""

    def __init__(self, context: PassContext, queues: DeliveryQueues) -> None:
        self._context, self._queues = context, queues
        self._latency = MovingAverage()
        self._candidates = Candidates(0)
        self._refused = 0

    async def run(self, candidates: Candidates) -> None:
        """Claim until the candidates end, the limit is reached or the pass stops."""
        self._candidates = candidates
        try:
            await self._claim_all(iter(candidates))
        except OzhError as error:
            self._context.stop.set(error)
        except Exception as bug:
            self._context.stop.set_bug(bug)
        finally:
            self._queues.all_claimed = True
            self._queues.notify()

    async def _claim_all(self, candidates: Iterator[Any]) -> None:
        for number in count(1):
            if self._context.must_stop():
                return
            batch = list(islice(candidates, self._next_size()))
            if not batch:
                return
            await self._claim(batch, number)
            await self._queues.wait_until(self._is_needed)

    async def _claim(self, batch: list[Any], number: int) -> None:
        context, queues = self._context, self._queues
        started = context.clock.monotonic()
        query = replace(context.query, now=context.clock.now())
        claim_id = f"{context.run}-{number}"
        claimed = await context.store.claim(batch, query, claim_id, context.run)
        self._latency.observe(context.clock.monotonic() - started)
        handed_on = len(claimed.recipients) + len(claimed.controls)
        number_claimed = handed_on + claimed.duplicates
        queues.counts.claimed += number_claimed
        queues.counts.duplicates += claimed.duplicates
        queues.counts.skipped += len(batch) - number_claimed - len(claimed.refused)
        self._refuse(claimed.refused)
        for control in claimed.controls:
            queues.finish(control, Outcome(State.HELD_OUT))
        queues.ready.extend(claimed.recipients)
        queues.notify()

    def _refuse(self, refused: list[tuple[Any, str]]) -> None:
        """Leave alone users whose document the server refuses to update.

        Raises:
            ConfigError: the server refuses every document so far, so it is not the documents.
        """
        for user_id, reason in refused:
            self._candidates.refuse(user_id, reason)
            log.warning("user %r is left alone: the server refuses to update it: %s",
                        user_id, reason)  # fmt: skip
        self._refused += len(refused)
        enough = ALL_REFUSED
        if not self._context.has_delivered:
            enough = min(ALL_REFUSED, self._candidates.found)
        if refused and self._refused >= enough and not self._queues.counts.claimed:
            raise ConfigError(
                f"MongoDB refuses to update the first {self._refused} users, so nobody was "
                f"claimed: {refused[-1][1]}. A validator of the collection must allow the "
                "delivery state; see docs/backend.md"
            )

    def _is_needed(self) -> bool:
        return bool(self._context.stop) or len(self._queues.ready) < self._batch_size()

    def _next_size(self) -> int:
        if self._context.limit is None:
            return self._batch_size()
        return min(self._batch_size(), self._context.limit - self._queues.counts.claimed)

    def _batch_size(self) -> int:
        return batch_size(self._context.pacer.rate, self._latency.seconds)


def batch_size(rate: float, claim_seconds: float) -> int:
    """Users in one claim, for a rate in messages per second and the time one claim takes."""
    wanted = round(rate * max(BATCH_SECONDS, CLAIM_TIMES * claim_seconds))
    return max(1, min(MAX_CLAIM_BATCH, wanted))
