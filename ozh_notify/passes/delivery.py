"""Claim -> send -> confirm: three tasks that share the users a pass has in hand.

The claimer claims at most one batch ahead, the dispatcher sends at the pacer's rate, the
recorder writes the outcomes. Whatever happens, each claimed user gets exactly one outcome.
"""

from __future__ import annotations

import asyncio

from ozh_notify.passes.claimer import Claimer
from ozh_notify.passes.context import PassContext
from ozh_notify.passes.dispatcher import Dispatcher
from ozh_notify.passes.latency import SendTimes
from ozh_notify.passes.queues import DeliveryQueues, OutcomeCounts
from ozh_notify.passes.recorder import Recorder
from ozh_notify.users.candidates import Candidates


class DeliveryLoop:
    """Delivers to candidates until they are done or the pass stops."""

    def __init__(self, context: PassContext) -> None:
        self._stop = context.stop
        self._queues = DeliveryQueues(context.run, context.clock)
        self._claimer = Claimer(context, self._queues)
        self._dispatcher = Dispatcher(context, self._queues)
        self._recorder = Recorder(context, self._queues)

    @property
    def counts(self) -> OutcomeCounts:
        """What has come of the pass so far."""
        return self._queues.counts

    @property
    def delivered_unrecorded(self) -> int:
        """Delivered messages that could be recorded nowhere."""
        return self._queues.delivered_unrecorded

    @property
    def send_times(self) -> SendTimes:
        """How long the sends took."""
        return self._dispatcher.send_times

    async def run(self, candidates: Candidates) -> OutcomeCounts:
        """Deliver; the reason of an early end is in ``context.stop``."""
        queues = self._queues
        self._stop.on_set(queues.notify)
        claiming = asyncio.create_task(self._claimer.run(candidates))
        recording = asyncio.create_task(self._recorder.run())
        await self._dispatcher.run()
        await claiming
        queues.release_ready()
        self._dispatcher.settle_withheld()
        queues.all_finished = True
        queues.notify()
        await recording
        if self._stop.bug:
            raise self._stop.bug
        return queues.counts
