"""The two clocks of a pass; everything else is told what time it is."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone


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
