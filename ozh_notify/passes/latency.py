"""How long sends and claims take: a histogram and a moving average."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
"""Upper bounds in seconds; a send may take 20 (``settings.SEND_LIMIT``)."""


class SendTimes:
    """Counts of sends by their duration."""

    def __init__(self) -> None:
        self.total = 0.0
        """Seconds of all sends together."""
        self._counts = [0] * (len(BOUNDS) + 1)

    def observe(self, seconds: float) -> None:
        """One more send."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """``(upper bound, sends that took at most that)``, as Prometheus wants them."""
        bounds = [*map(str, BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True))


class MovingAverage:
    """Of durations in seconds; a new one counts a tenth."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """One more duration."""
        self.seconds = 0.9 * self.seconds + 0.1 * seconds if self.seconds else seconds
