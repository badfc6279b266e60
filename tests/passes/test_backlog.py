"""What a slow database leaves in doubt, and how many ids are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, time, timedelta, timezone
from typing import Any, cast

import pytest
from bson import ObjectId

from ozh_notify.campaigns import Campaign
from ozh_notify.campaigns.daily_bonus import DailyBonus
from ozh_notify.campaigns.discount import Discount
from ozh_notify.clock import Clock
from ozh_notify.config.load import load
from ozh_notify.config.settings import MAX_IN_FLIGHT
from ozh_notify.messaging.composer import Composer
from ozh_notify.messaging.message import Message
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.passes.claimer import batch_size
from ozh_notify.passes.context import PassContext
from ozh_notify.passes.delivery import DeliveryLoop
from ozh_notify.passes.dispatcher import MAX_UNWRITTEN
from ozh_notify.passes.ports import MessageSender, PassStore
from ozh_notify.passes.queues import OutcomeCounts
from ozh_notify.passes.recorder import MAX_WRITE_BATCH
from ozh_notify.passes.stop import Stop
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidates
from ozh_notify.users.delivery_state import (
    Confirmation,
    FailureCause,
    Outcome,
    OutcomeRecord,
    State,
)
from ozh_notify.users.recipient import Claimed, Recipient

IN_DOUBT = MAX_UNWRITTEN + MAX_WRITE_BATCH + MAX_IN_FLIGHT


class Slow:
    """Claims and sends at once but records slowly; remembers the largest number in doubt."""

    def __init__(self, seconds: float, claim_seconds: float = 0) -> None:
        self.seconds, self.claim_seconds = seconds, claim_seconds
        self.sent = self.recorded = self.in_doubt = 0

    async def claim(self, ids: Sequence[Any], query: Query, claim_id: str, run: str) -> Claimed:
        """All of them."""
        await asyncio.sleep(self.claim_seconds)
        at = Clock().monotonic()
        return Claimed([Recipient(i, 1, "", "", claim_id, query.now, at, 1) for i in ids])

    async def send(self, chat_id: int, message: Message, is_allowed: Any = None) -> Outcome:
        """Delivered."""
        self.sent += 1
        self.in_doubt = max(self.in_doubt, self.sent - self.recorded)
        return Outcome(State.SENT, self.sent)

    async def confirm(self, records: Sequence[OutcomeRecord]) -> Confirmation:
        """Written after a pause."""
        await asyncio.sleep(self.seconds)
        self.recorded += len(records)
        return Confirmation()


@pytest.mark.long
@pytest.mark.parametrize(
    ("rate", "users", "seconds", "at_most"),
    [(100, 150, 1.0, 60), (100_000, 4000, 0.3, IN_DOUBT)],
)
async def test_sending_waits_for_a_recorder_that_lags(
    rate: int, users: int, seconds: float, at_most: int
) -> None:
    """Even with a slow database, only half a second of messages is sent and not recorded."""
    slow = Slow(seconds)
    counts, stop = await delivered(slow, rate, users)
    assert (counts.sent, slow.recorded, stop.reason) == (users, users, None)
    assert slow.in_doubt <= at_most


async def test_a_slow_claim_does_not_cap_the_rate() -> None:
    """A claim of 0.4 s is learned, and the batch grows: 200 users at 100/s take two seconds."""
    began = Clock().monotonic()
    counts, _ = await delivered(Slow(0, claim_seconds=0.4), 100, 200)
    assert counts.sent == 200
    assert Clock().monotonic() - began < 3.2


class LateClock(Clock):
    """A wall clock that can be moved on, as while a machine is suspended."""

    late = timedelta()

    def now(self) -> datetime:
        """Later by what was slept."""
        return super().now() + self.late

    def to_end_of_day(self, seconds: float) -> None:
        """So many seconds before the next midnight in UTC."""
        now = self.now()
        midnight = datetime.combine(now.date() + timedelta(days=1), time.min, timezone.utc)
        self.late += midnight - timedelta(seconds=seconds) - now


class Freezing(Slow):
    """Freezes when nothing but the write of the first request is left to do."""

    def __init__(self, clock: LateClock, sleep: timedelta) -> None:
        super().__init__(0)
        self.clock, self.sleep = clock, sleep

    async def send(self, chat_id: int, message: Message, is_allowed: Any = None) -> Outcome:
        """Ask once more, as the transport does."""
        assert is_allowed()
        self.clock.late += self.sleep
        if is_allowed():
            return await super().send(chat_id, message)
        return Outcome(State.RETRY, cause=FailureCause.SERVICE)


async def test_a_pass_frozen_right_before_a_request_does_not_send_it() -> None:
    """Others may have settled its claims meanwhile, and a person may have had them resent."""
    clock = LateClock()
    frozen = Freezing(clock, timedelta(hours=1))
    counts, _ = await delivered(frozen, 100, 5, clock)
    assert (counts.sent, counts.retry, frozen.sent) == (0, 5, 0)


async def test_a_reminder_frozen_over_midnight_is_not_sent_on_the_next_day() -> None:
    """The day's pass after midnight reminds the user: a late request would be the second one."""
    clock = LateClock()
    clock.to_end_of_day(8)
    frozen = Freezing(clock, timedelta(seconds=10))
    counts, _ = await delivered(frozen, 100, 5, clock, DailyBonus)
    assert (counts.sent, frozen.sent) == (0, 0)


def test_a_batch_grows_with_the_claim_within_a_hundred() -> None:
    """What is sent in 0.2 s, or in one and a half claims where they are slow."""
    assert batch_size(20, 0.01) == 4
    assert batch_size(20, 0.4) == 12
    assert batch_size(1, 0.01) == 1
    assert batch_size(1000, 0.01) == 100


async def delivered(
    slow: Slow,
    rate: float,
    users: int,
    clock: Clock | None = None,
    campaign_class: type[Campaign] = Discount,
) -> tuple[OutcomeCounts, Stop]:
    """Deliver to so many users by a scripted database and bot."""
    clock = clock or Clock()
    variables = {"MONGO_URI": "mongodb://h/d", "OZH_TIMEZONE": "UTC"}
    campaign = campaign_class(load(None, variables)[0])
    stop = Stop()
    found = Candidates(10_000)
    for number in range(users):
        found.add(number, number + 1)
    context = PassContext(
        campaign=campaign,
        query=Query(campaign, clock.now()),
        run="run",
        bot="",
        composer=Composer(campaign),
        store=cast("PassStore", slow),
        sender=cast("MessageSender", slow),
        pacer=Pacer(rate, 0, clock),
        stop=stop,
        clock=clock,
        has_delivered=True,
    )
    return await DeliveryLoop(context).run(found), stop


@pytest.mark.parametrize(
    "ids", [[ObjectId() for _ in range(50)], list(range(50)), [ObjectId(), 5, "x", ObjectId()], []]
)
def test_ids_of_any_type_are_kept_in_their_order(ids: list[Any]) -> None:
    """ObjectIds, which are packed, and every other type that a collection may use, also mixed."""
    found = Candidates(1000)
    for number, one in enumerate(ids):
        found.add(one, number)
    assert list(found) == ids
    assert [type(one) for one in found] == [type(one) for one in ids]
    found.own_share_first(1, 3)
    assert sorted(map(repr, found)) == sorted(map(repr, ids))
