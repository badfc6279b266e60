"""Why a pass ends early: the first reason wins."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

from ozh_notify.errors import Incomplete, OzhError


class Stop:
    """Set once; whoever has registered is told."""

    def __init__(self) -> None:
        self.reason: OzhError | None = None
        self._signalled_at: float | None = None
        self._told: list[Callable[[], object]] = []
        self._told_of_signal: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        return self.reason is not None

    def set(self, reason: OzhError) -> None:
        """Stop the pass for this reason, unless it is stopping already."""
        if self.reason is None:
            self.reason = reason
            for tell in self._told:
                tell()

    def on_set(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` when the pass is to stop; at once when it is stopping already."""
        self._told.append(tell)
        if self:
            tell()

    def since_signal(self) -> float:
        """Seconds since the first signal; 0 without one."""
        return time.monotonic() - self._signalled_at if self._signalled_at else 0.0

    def on_signal(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` at the first signal, also when the pass is stopping already."""
        self._told_of_signal.append(tell)

    def listen(self) -> None:
        """Let SIGTERM and SIGINT stop the pass, also where this is process 1."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupted, number)

    def _interrupted(self, number: signal.Signals) -> None:
        if self._signalled_at is None:
            self._signalled_at = time.monotonic()
            for tell in self._told_of_signal:
                tell()
        self.set(Incomplete(f"interrupted by {number.name}"))
