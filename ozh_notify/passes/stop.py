"""Why a pass ends early; the first reason counts."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

from ozh_notify.errors import Incomplete, OzhError


class Stop:
    """A flag that is set once, with callbacks."""

    def __init__(self) -> None:
        self.reason: OzhError | None = None
        self.bug: BaseException | None = None
        """The unexpected error that stopped the pass; raised once what was sent is recorded."""
        self._signalled_at: float | None = None
        self._on_set: list[Callable[[], object]] = []
        self._on_signal: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        return self.reason is not None

    def set(self, reason: OzhError) -> None:
        """Stop the pass for this reason, unless it is stopping already."""
        if self.reason is None:
            self.reason = reason
            for callback in self._on_set:
                callback()

    def set_bug(self, bug: BaseException) -> None:
        """Stop the pass because of an unexpected error; the first one is kept."""
        self.bug = self.bug or bug
        self.set(Incomplete("a bug ended the pass"))

    def on_set(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the pass is to stop; at once when it is stopping already."""
        self._on_set.append(callback)
        if self:
            callback()

    def since_signal(self) -> float:
        """Seconds since the first signal; 0 without one."""
        return time.monotonic() - self._signalled_at if self._signalled_at else 0.0

    def on_signal(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` at the first signal, also when the pass is stopping already."""
        self._on_signal.append(callback)

    def listen(self) -> None:
        """Let signals stop the pass, also where this is process 1.

        A SIGHUP that is ignored, as under nohup, stays ignored.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._interrupted, number)

    def _interrupted(self, number: signal.Signals) -> None:
        if self._signalled_at is None:
            self._signalled_at = time.monotonic()
            for callback in self._on_signal:
                callback()
        self.set(Incomplete(f"interrupted by {number.name}"))
