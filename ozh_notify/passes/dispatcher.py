"""Sends to claimed users at the pacer's rate, and learns how many sends to have in flight."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from datetime import timedelta

from ozh_notify.config.settings import MAX_IN_FLIGHT, SEND_LIMIT, local
from ozh_notify.errors import Incomplete
from ozh_notify.messaging.composer import Unrenderable
from ozh_notify.passes.breaker import Breaker
from ozh_notify.passes.context import PassContext
from ozh_notify.passes.latency import MovingAverage, SendTimes
from ozh_notify.passes.queues import DeliveryQueues, unsent
from ozh_notify.users.delivery_state import FailureCause, Outcome, State
from ozh_notify.users.recipient import Recipient

log = logging.getLogger(__name__)

MIN_IN_FLIGHT = 4
MAX_UNWRITTEN_SECONDS = 0.25
MIN_UNWRITTEN, MAX_UNWRITTEN = 10, 500
"""Sending pauses while more outcomes wait to be written than we send in this time (within these
bounds), so that a slow database does not leave many users in doubt after a crash."""
SIGNAL_GRACE_SECONDS = 4.0
"""Seconds a signal leaves to what is in flight; then its outcome is unknown."""
LEASE_SAFETY_MARGIN = timedelta(minutes=5)
"""A send starts only while the claim is younger than the lease less this and the send limit:
a process that was frozen cannot send what another has settled meanwhile."""


class Dispatcher:
    """The second of the three tasks of a delivery."""

    def __init__(self, context: PassContext, queues: DeliveryQueues) -> None:
        self.send_times = SendTimes()
        self._context, self._queues = context, queues
        self._breaker = Breaker(context.bot, has_delivered=context.has_delivered)
        self._refused_past_budget = False
        """Whether the last answer was a 429 that the flood budget does not cover."""
        self._latency = MovingAverage()
        self._text_alone = 0
        """Users who got the text without their own picture."""

    async def run(self) -> None:
        """Send until all claimed users are done or the pass stops; sends in flight end first."""
        starting = asyncio.create_task(self._start_sends())
        self._context.stop.on_set(starting.cancel)
        await asyncio.wait({starting})
        if not starting.cancelled() and (bug := starting.exception()):
            self._context.stop.set_bug(bug)
        await self._wait_for_in_flight()
        if self._text_alone:
            text = "%d messages went out as text: Telegram refused the user's own picture"
            log.warning(text, self._text_alone)

    def settle_withheld(self) -> None:
        """Settle the refusals that the breaker still holds back."""
        self._settle(self._breaker.end())
        if self._breaker.tripped:
            self._context.stop.set(self._breaker.tripped)

    async def _start_sends(self) -> None:
        """Start sends at the pacer's rate; a cancellation never loses a claimed user."""
        ready = self._queues.ready
        while True:
            await self._queues.wait_until(lambda: self._can_send() or self._is_done())
            if self._is_done():
                return
            await self._context.pacer.turn()
            if ready and self._may_send(ready[0]):
                task = asyncio.create_task(self._send(ready.popleft()))
                self._queues.in_flight.add(task)
                task.add_done_callback(self._on_send_done)
                self._queues.notify()

    def _is_done(self) -> bool:
        queues = self._queues
        return queues.all_claimed and not queues.ready and not queues.in_flight

    def _can_send(self) -> bool:
        queues = self._queues
        has_room = len(queues.in_flight) < self._max_in_flight()
        return bool(queues.ready) and has_room and not self._recorder_lags()

    def _max_in_flight(self) -> int:
        """In flight at most: one until a message is accepted, then twice rate x latency."""
        if not self._breaker.delivered:
            return 1
        wanted = math.ceil(2 * self._context.pacer.rate * self._latency.seconds)
        return max(MIN_IN_FLIGHT, min(MAX_IN_FLIGHT, wanted))

    def _recorder_lags(self) -> bool:
        """Whether more outcomes wait to be written than may be in doubt."""
        at_most = max(MIN_UNWRITTEN, self._context.pacer.rate * MAX_UNWRITTEN_SECONDS)
        return len(self._queues.outcomes) > min(MAX_UNWRITTEN, at_most)

    def _may_send(self, recipient: Recipient) -> bool:
        """Look again at what may have changed while the user waited for a turn."""
        context = self._context
        if context.must_stop():
            return False
        if not self._is_of_today(recipient):
            context.stop.set(Incomplete("the local day ended"))
            return False
        if self._is_fresh(recipient):
            return True
        too_old = self._queues.ready.popleft()
        self._queues.finish(too_old, unsent("the claim was too old to send"))
        return False

    def _is_of_today(self, recipient: Recipient) -> bool:
        """Whether it is still the day of the claim, where a campaign has periods."""
        settings, now = self._context.campaign.settings, self._context.clock.now()
        if not self._context.campaign.period_days():
            return True
        return local(recipient.claimed_at, settings).date() == local(now, settings).date()

    def _is_fresh(self, recipient: Recipient) -> bool:
        """Whether nobody can have settled the claim yet."""
        oldest = self._context.campaign.settings.lease - LEASE_SAFETY_MARGIN - SEND_LIMIT
        age = self._context.clock.age(recipient.claimed_at, recipient.claimed_monotonic)
        return age < oldest

    async def _send(self, recipient: Recipient) -> None:
        started = self._context.clock.monotonic()
        try:
            outcome = await self._attempt(recipient)
        except asyncio.CancelledError:
            outcome = Outcome(State.UNKNOWN, error="interrupted before Telegram answered")
        except Exception as bug:
            self._context.stop.set_bug(bug)
            outcome = Outcome(State.UNKNOWN, error=f"a bug: {type(bug).__name__}")
        seconds = self._context.clock.monotonic() - started
        self.send_times.observe(seconds)
        self._latency.observe(seconds)
        if outcome.cause is FailureCause.FLOOD and self._waits_for_flood(recipient, outcome):
            return
        if outcome.cause is FailureCause.PICTURE:
            # In front of the queue: a second request takes a turn of the pacer, too.
            log.info("chat %s gets the text alone: %s", recipient.chat_id, outcome.error)
            self._queues.ready.appendleft(replace(recipient, text_alone=True))
            return
        if outcome.state is State.SENT:
            self._refused_past_budget = False
            self._text_alone += recipient.text_alone
        self._settle(self._breaker.observe_and_settle(recipient, outcome))
        if self._breaker.tripped:
            self._context.stop.set(self._breaker.tripped)

    async def _attempt(self, recipient: Recipient) -> Outcome:
        if not recipient.chat_id:
            return unsent("the chat id became unusable")
        try:
            message = self._context.composer.compose(
                recipient.first_name, recipient.language, recipient.chat_id, recipient.fields
            )
        except Unrenderable as error:
            return Outcome(State.REJECTED, error=str(error), cause=FailureCause.CONTENT)
        if recipient.text_alone:
            message = replace(message, media=None)
        return await self._context.sender.send(
            recipient.chat_id,
            message,
            lambda: self._is_fresh(recipient) and self._is_of_today(recipient),
        )

    def _waits_for_flood(self, recipient: Recipient, outcome: Outcome) -> bool:
        """After a 429: whether the user waits in front of the queue.

        The first one that the flood budget does not cover is given back, because it may be about
        this chat alone; a second one before any delivery ends the pass.
        """
        if self._context.stop:
            return False
        if self._context.pacer.flood(outcome.retry_after):
            log.warning("%s; waiting", outcome.error)
            self._queues.ready.appendleft(recipient)
            return True
        if self._refused_past_budget:
            self._context.stop.set(Incomplete(f"the flood budget is spent: {outcome.error}"))
        else:
            log.warning("%s, which the flood budget does not cover: trying one more", outcome.error)
        self._refused_past_budget = True
        return False

    def _settle(self, settled: list[tuple[Recipient, Outcome]]) -> None:
        for recipient, outcome in settled:
            self._queues.finish(recipient, outcome)

    def _on_send_done(self, task: asyncio.Task[None]) -> None:
        self._queues.in_flight.discard(task)
        if not task.cancelled() and (bug := task.exception()):
            self._context.stop.set_bug(bug)
        self._queues.notify()

    async def _wait_for_in_flight(self) -> None:
        """Let what is in flight finish; after a signal only for a short time."""
        in_flight = self._queues.in_flight
        while in_flight:
            await asyncio.wait(set(in_flight), timeout=0.2)
            if self._context.stop.since_signal() > SIGNAL_GRACE_SECONDS:
                for task in in_flight:
                    task.cancel()
