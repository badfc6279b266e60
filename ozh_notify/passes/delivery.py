"""Claim -> send -> confirm: three tasks that share one list of claimed users.

The claimer keeps at most one batch claimed ahead, the dispatcher sends at the pacer's rate, the
recorder writes what came of it. Whatever happens, each claimed user gets exactly one outcome.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

from ozh_notify.campaigns import Campaign
from ozh_notify.clock import Clock
from ozh_notify.config.settings import SEND_LIMIT, local
from ozh_notify.errors import Incomplete, OzhError
from ozh_notify.messaging.message import Composer, Unrenderable
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.passes.breaker import Breaker
from ozh_notify.passes.latency import SendTimes
from ozh_notify.passes.ports import MessageSender, PassStore
from ozh_notify.passes.stop import Stop
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidate, Candidates
from ozh_notify.users.delivery_state import (
    FailureCause,
    Outcome,
    OutcomeRecord,
    State,
)
from ozh_notify.users.recipient import Recipient

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.2
"""A batch is what is sent in this time: little is ever in doubt."""
MAX_CLAIM_BATCH = 100
MAX_IN_FLIGHT = 256
MIN_IN_FLIGHT = 4
MAX_WRITE_BATCH = 200
"""Outcomes in one bulk write: a server that writes one after the other lets claims in between."""
RECORD_SECONDS = 0.05
"""How long outcomes gather where the rate is high: one write for many costs a fraction."""
MAX_UNWRITTEN_SECONDS = 0.25
MIN_UNWRITTEN, MAX_UNWRITTEN = 10, 500
"""Nobody is sent to while more outcomes wait for their write than are sent in this time, within
these bounds: where the database is slow, what a crash leaves in doubt is still little."""
HIGH_RATE = 100.0
SIGNAL_GRACE_SECONDS = 4.0
"""Seconds a signal leaves to what is in flight; then its outcome is unknown."""
LEASE_SAFETY_MARGIN = timedelta(minutes=5)
"""A send starts only while the claim is younger than the lease less this and the send limit:
a process that was frozen cannot send what another has settled meanwhile."""


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

    def count(self, state: State) -> None:
        """One more user with this outcome."""
        setattr(self, state.value, getattr(self, state.value) + 1)

    @property
    def settled(self) -> int:
        """Users with an outcome."""
        return self.sent + self.unreachable + self.rejected + self.retry + self.unknown


@dataclass(frozen=True)
class PassContext:
    """What one pass delivers, with what."""

    campaign: Campaign
    query: Query
    run: str
    composer: Composer
    store: PassStore
    sender: MessageSender
    pacer: Pacer
    breaker: Breaker
    stop: Stop
    clock: Clock
    limit: int | None = None
    any_time: bool = False


class DeliveryLoop:
    """Delivers to candidates until they are done or the pass is to stop."""

    def __init__(self, job: PassContext) -> None:
        self.job, self.tally = job, OutcomeCounts()
        self._size = max(1, min(MAX_CLAIM_BATCH, round(job.pacer.rate * BATCH_SECONDS)))
        self._ready: deque[Recipient] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._outcomes: deque[OutcomeRecord] = deque()
        self._all_claimed = self._all_settled = False
        self._something_changed, self._need_claims, self._outcomes_waiting = (
            asyncio.Event(),
            asyncio.Event(),
            asyncio.Event(),
        )
        self._latency = 0.0
        self.latency = SendTimes()
        self._bug: BaseException | None = None

    async def run(self, candidates: Candidates) -> OutcomeCounts:
        """Deliver; whatever ends it early is in ``job.stop``."""
        claimer = asyncio.create_task(self._claim_ahead(candidates))
        recorder = asyncio.create_task(self._record())
        dispatcher = asyncio.create_task(self._dispatch())
        self.job.stop.on_set(dispatcher.cancel)
        self.job.stop.on_set(self._need_claims.set)
        await asyncio.wait({dispatcher})
        if not dispatcher.cancelled() and dispatcher.exception():
            self._stop_for_bug(dispatcher.exception())
        await self._wait_for_in_flight()
        await claimer
        self._give_back()
        for who, outcome in self.job.breaker.release():
            self._settled(who, outcome)
        self._all_settled = True
        self._outcomes_waiting.set()
        await recorder
        if self._bug:
            raise self._bug
        return self.tally

    async def _claim_ahead(self, candidates: Candidates) -> None:
        """Claim batch after batch, at most one ahead of the one being sent."""
        line, number = iter(candidates), 0
        try:
            while not self._may_not_go_on():
                batch = list(islice(line, self._next_size()))
                if not batch:
                    break
                number += 1
                await self._claim(batch, number)
                while len(self._ready) > self._size and not self.job.stop:
                    self._need_claims.clear()
                    await self._need_claims.wait()
        except OzhError as error:
            self.job.stop.set(error)
        except Exception as bug:
            self._stop_for_bug(bug)
        finally:
            self._all_claimed = True
            self._something_changed.set()

    async def _claim(self, batch: list[Candidate], number: int) -> None:
        job = self.job
        query = replace(job.query, now=job.clock.now())
        taken = await job.store.claim(batch, query, f"{job.run}-{number}", job.run)
        self.tally.claimed += len(taken)
        self.tally.skipped += len(batch) - len(taken)
        self._ready.extend(taken)
        self._something_changed.set()

    def _next_size(self) -> int:
        if self.job.limit is None:
            return self._size
        return min(self._size, self.job.limit - self.tally.claimed)

    def _may_not_go_on(self) -> bool:
        """Whether the pass is stopping; looks at the hours too."""
        closed = self.job.campaign.closed_reason(self.job.clock.now(), any_time=self.job.any_time)
        if closed:
            self.job.stop.set(Incomplete(f"the hours ended: {closed}"))
        return bool(self.job.stop)

    async def _dispatch(self) -> None:
        """Start sends at the pacer's rate; a cancellation never loses a claimed user."""
        while not (self._all_claimed and not self._ready and not self._in_flight):
            if (
                self._ready
                and len(self._in_flight) < self._max_in_flight()
                and not self._recorder_lags()
            ):
                await self.job.pacer.turn()
                if self._ready and self._may_send(self._ready[0]):
                    task = asyncio.create_task(self._send(self._ready.popleft()))
                    self._in_flight.add(task)
                    task.add_done_callback(self._on_send_done)
                # Also after a claim too old to send: nothing else would wake the claimer.
                self._need_claims.set()
            else:
                self._something_changed.clear()
                await self._something_changed.wait()

    def _max_in_flight(self) -> int:
        """In flight at most: one until a message is accepted, then twice rate x latency."""
        if not self.job.breaker.delivered:
            return 1
        wanted = math.ceil(2 * self.job.pacer.rate * self._latency)
        return max(MIN_IN_FLIGHT, min(MAX_IN_FLIGHT, wanted))

    def _recorder_lags(self) -> bool:
        """Whether more outcomes wait to be written than may be in doubt."""
        at_most = max(MIN_UNWRITTEN, self.job.pacer.rate * MAX_UNWRITTEN_SECONDS)
        return len(self._outcomes) > min(MAX_UNWRITTEN, at_most)

    def _may_send(self, who: Recipient) -> bool:
        """Look again at what may have changed while the user waited for a turn."""
        job = self.job
        if self._may_not_go_on():
            return False
        now = job.clock.now()
        settings = job.campaign.settings
        if (
            job.campaign.once == "day"
            and local(now, settings).date() != local(who.claimed_at, settings).date()
        ):
            job.stop.set(Incomplete("the local day ended"))
            return False
        youngest = settings.lease - LEASE_SAFETY_MARGIN - SEND_LIMIT
        if job.clock.age(who.claimed_at, who.claimed_monotonic) < youngest:
            return True
        self._settled(self._ready.popleft(), unsent("the claim was too old to send"))
        return False

    async def _send(self, who: Recipient) -> None:
        started = self.job.clock.monotonic()
        try:
            outcome = await self._attempt(who)
        except asyncio.CancelledError:
            outcome = Outcome(State.UNKNOWN, error="interrupted before Telegram answered")
        except Exception as bug:
            self._stop_for_bug(bug)
            outcome = Outcome(State.UNKNOWN, error=f"a bug: {type(bug).__name__}")
        self._observe_latency(self.job.clock.monotonic() - started)
        if outcome.cause is FailureCause.FLOOD:
            if self.job.pacer.flood(outcome.retry_after) and not self.job.stop:
                log.warning("%s; waiting", outcome.error)
                self._ready.appendleft(who)
                return
            self.job.stop.set(Incomplete(f"the flood budget is spent: {outcome.error}"))
        for settled_user, settled in self.job.breaker.observe_and_settle(who, outcome):
            self._settled(settled_user, settled)
        if self.job.breaker.tripped:
            self.job.stop.set(self.job.breaker.tripped)

    async def _attempt(self, who: Recipient) -> Outcome:
        if not who.chat_id:
            return unsent("the chat id became unusable")
        try:
            message = self.job.composer.compose(who.first_name, who.language)
        except Unrenderable as error:
            return Outcome(State.REJECTED, error=str(error), cause=FailureCause.CONTENT)
        return await self.job.sender.send(who.chat_id, message)

    def _observe_latency(self, seconds: float) -> None:
        self.latency.observe(seconds)
        self._latency = seconds if not self._latency else 0.9 * self._latency + 0.1 * seconds

    def _on_send_done(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (bug := task.exception()):
            self._stop_for_bug(bug)
        self._something_changed.set()

    def _stop_for_bug(self, bug: BaseException | None) -> None:
        self._bug = self._bug or bug
        self.job.stop.set(Incomplete("a bug ended the pass"))

    async def _wait_for_in_flight(self) -> None:
        """Let what is in flight finish; after a signal only for so long."""
        while self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=0.2)
            if self.job.stop.since_signal() > SIGNAL_GRACE_SECONDS:
                for task in self._in_flight:
                    task.cancel()

    def _give_back(self) -> None:
        while self._ready:
            self._settled(self._ready.popleft(), unsent("given back unsent"))

    def _settled(self, who: Recipient, outcome: Outcome) -> None:
        self.tally.count(outcome.state)
        log.debug("user %r chat %d: %s %s", who.id, who.chat_id, outcome.state.value, outcome.error)
        self._outcomes.append(OutcomeRecord(who, outcome, self.job.run, self.job.clock.now()))
        self._outcomes_waiting.set()

    async def _record(self) -> None:
        """Write outcomes as they come, all there are at a time."""
        while self._outcomes or not self._all_settled:
            if not self._outcomes:
                self._outcomes_waiting.clear()
                await self._outcomes_waiting.wait()
                continue
            few = len(self._outcomes) < MAX_WRITE_BATCH and self.job.pacer.rate >= HIGH_RATE
            if few and not self._all_settled:
                await asyncio.sleep(RECORD_SECONDS)
            batch = [
                self._outcomes.popleft() for _ in range(min(MAX_WRITE_BATCH, len(self._outcomes)))
            ]
            self._something_changed.set()
            try:
                lost = list((await self.job.store.confirm(batch)).unrecorded)
            except OzhError as error:
                self.job.stop.set(error)
                lost = batch
            except Exception as bug:
                self._stop_for_bug(bug)
                lost = batch
            for record in lost:
                log_unrecorded(record)


def unsent(why: str) -> Outcome:
    """A claimed user given back; never counted as an attempt."""
    return Outcome(State.RETRY, error=why, unsent=True)


def log_unrecorded(record: OutcomeRecord) -> None:
    """Say who got what where the database could not be told; `reconcile` takes these ids."""
    log.error(
        "not recorded: user %r chat %d: %s%s",
        record.recipient.id,
        record.recipient.chat_id,
        record.outcome.state.value,
        f" message {record.outcome.message_id}" if record.outcome.message_id else "",
    )
