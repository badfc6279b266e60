"""Holds Telegram's pace: a steady rate, one gate for all senders after a 429, a flood budget."""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

from ozh_notify.clock import Clock

WINDOW = 0.01
"""Seconds over which the rate is held. A long window would let messages out in bursts."""

LATENESS = 1.2
"""Messages that may be late: with 1 a timer that fires late would lose time for ever."""


class Pacer:
    """Holds ``rate`` messages per second; ``budget`` is the seconds that all waits may take."""

    def __init__(self, rate: float, budget: float, clock: Clock) -> None:
        self.rate = self._set_rate = rate
        self.waited = 0.0
        """Seconds waited so far, in all, because Telegram asked to."""
        self._budget, self._clock = budget, clock
        self._limiter = _limiter(rate)
        self._closed_until = 0.0

    async def turn(self) -> None:
        """Wait until the next message may go out."""
        await self._limiter.acquire()
        while (left := self._closed_until - self._clock.monotonic()) > 0:
            await asyncio.sleep(left)
            # A sender that waited takes a fresh turn, so that the gate opens at the rate.
            await self._limiter.acquire()

    def flood(self, seconds: float) -> bool:
        """Close the gate for some seconds after a 429; False if the budget does not cover them."""
        now = self._clock.monotonic()
        extra = now + seconds - max(now, self._closed_until)
        if extra > 0:
            if self.waited + extra > self._budget:
                return False
            self.waited += extra
            self._closed_until = now + seconds
        if self.rate == self._set_rate:
            self.rate = self._set_rate / 2
            self._limiter = _limiter(self.rate)
        return True


def _limiter(rate: float) -> AsyncLimiter:
    at_once = max(LATENESS, rate * WINDOW)
    return AsyncLimiter(at_once, at_once / rate)
