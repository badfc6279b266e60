"""Wall clock and monotonic clock, in one object that tests replace; and how far it may be off."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

from ozh_notify.errors import ConfigError

CLOCK_WARNING = timedelta(seconds=60)
"""A difference to MongoDB's clock that is worth a warning."""
CLOCK_LIMIT = timedelta(seconds=240)
"""The largest difference to MongoDB's clock with which a claim's lease is still safe."""


class Clock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds that never jump; they stand still while a machine is suspended."""
        return time.monotonic()

    def age(self, since: datetime, since_monotonic: float) -> timedelta:
        """How long ago by either clock, whichever shows more."""
        elapsed = timedelta(seconds=self.monotonic() - since_monotonic)
        return max(self.now() - since, elapsed)


def difference(before: datetime, server: datetime, after: datetime) -> timedelta:
    """How far our clock is ahead of a server that told its time between two looks at ours."""
    if server < before:
        return before - server
    return min(timedelta(0), after - server)


def clock_warning(ahead: timedelta) -> str | None:
    """A warning about a clock that is this far ahead of MongoDB's, or None.

    Raises:
        ConfigError: it is off by so much that leases of claims cannot be trusted.
    """
    if abs(ahead) <= CLOCK_WARNING:
        return None
    seconds = abs(round(ahead.total_seconds()))
    apart = f"{seconds} seconds" if seconds < 120 else f"{round(seconds / 60)} minutes"
    side = "ahead of" if ahead > timedelta(0) else "behind"
    text = f"this machine's clock is {apart} {side} MongoDB's; set both by NTP"
    if abs(ahead) > CLOCK_LIMIT:
        raise ConfigError(f"{text}. Claims of other passes could not be trusted, nothing was done")
    return text
