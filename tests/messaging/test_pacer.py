"""The pace: rate, gate and flood budget."""

from __future__ import annotations

import asyncio
import time

import pytest

from ozh_notify.clock import Clock
from ozh_notify.messaging.pacer import Pacer


class Scripted(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


async def turns(pacer: Pacer, count: int, workers: int = 1) -> list[float]:
    """The moments of ``count`` turns, in seconds after the first."""
    came: list[float] = []

    async def work() -> None:
        while len(came) < count:
            await pacer.turn()
            came.append(time.monotonic())

    await asyncio.gather(*(work() for _ in range(workers)))
    return [moment - came[0] for moment in came[:count]]


@pytest.mark.parametrize("workers", [1, 8])
async def test_the_rate_is_held_for_all_workers_together(workers: int) -> None:
    """Never faster than set, however many ask; a busy machine may be slower."""
    came = await turns(Pacer(50, 0, Clock()), 50, workers)
    assert came[-1] > 49 / 50 * 0.9


async def test_the_pace_is_steady() -> None:
    """No burst at the start: a tenth of the turns takes about a tenth of the time."""
    came = await turns(Pacer(40, 0, Clock()), 41)
    assert came[4] > 0.05
    assert came[20] > 0.3


async def test_a_high_rate_is_reached() -> None:
    """1000 messages a second are possible; busy machines get a wide margin."""
    came = await turns(Pacer(1000, 0, Clock()), 600)
    assert came[-1] > 0.6 * 0.9
    assert came[-1] < 6


async def test_a_rate_below_one_a_second_is_possible() -> None:
    """The first goes out at once, the next after its time."""
    came = await turns(Pacer(2.5, 0, Clock()), 2)
    assert came[1] > 0.3


def test_the_budget_is_what_all_waits_may_take_together() -> None:
    """A wait it does not cover is refused, and costs nothing."""
    clock = Scripted()
    pacer = Pacer(20, 10, clock)
    assert pacer.flood(4)
    clock.at += 4
    assert pacer.flood(6)
    clock.at += 6
    assert pacer.waited == 10
    assert not pacer.flood(0.1)
    assert pacer.waited == 10


def test_waits_that_overlap_count_once() -> None:
    """All that was in flight gets its own 429: the gate stays closed until the last."""
    clock = Scripted()
    pacer = Pacer(20, 10, clock)
    assert all(pacer.flood(5) for _ in range(50))
    assert pacer.waited == 5
    clock.at += 2
    assert pacer.flood(3)
    assert pacer.waited == 5
    assert pacer.flood(8)
    assert pacer.waited == 10
    assert pacer.flood(1)
    assert pacer.waited == 10


def test_one_wait_beyond_the_budget_is_refused_at_once() -> None:
    """Waiting would not help."""
    pacer = Pacer(20, 120, Scripted())
    assert not pacer.flood(10_072)
    assert pacer.waited == 0


@pytest.mark.parametrize("seconds", [1, 0.1])
def test_a_budget_of_zero_waits_for_nothing(seconds: float) -> None:
    """`OZH_FLOOD_BUDGET_SECONDS=0` is allowed."""
    assert not Pacer(20, 0, Scripted()).flood(seconds)


def test_after_a_429_the_rate_is_half_and_never_lower() -> None:
    """Of what was set, however many follow."""
    clock = Scripted()
    pacer = Pacer(20, 100, clock)
    assert pacer.rate == 20
    for _ in range(5):
        assert pacer.flood(1)
        assert pacer.rate == 10
        clock.at += 5


async def test_the_gate_holds_everybody_and_opens_at_the_rate() -> None:
    """After a 429 nobody sends until it is over, and then not all at once."""
    pacer = Pacer(40, 10, Clock())
    assert pacer.flood(0.5)
    closed = time.monotonic()
    waiting = [asyncio.create_task(turns(pacer, 1)) for _ in range(10)]
    await asyncio.wait({waiting[0]}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(waiting)
    took = time.monotonic() - closed
    # 0.5 s closed, then ten at 20/s: a burst would take hardly longer than the gate.
    assert took > 0.5 + 9 / 20 * 0.5


async def test_what_waited_for_its_turn_when_the_gate_closed_waits_too() -> None:
    """A 429 while others are in line holds them."""
    pacer = Pacer(2, 10, Clock())
    await pacer.turn()
    waiting = asyncio.create_task(turns(pacer, 1))
    await asyncio.sleep(0.05)
    closed = time.monotonic()
    assert pacer.flood(0.8)
    await waiting
    assert time.monotonic() - closed > 0.79
