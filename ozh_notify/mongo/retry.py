"""Repeat a write while it is unknown whether the last try was applied."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pymongo
from pymongo.errors import PyMongoError

from ozh_notify.mongo.errors import is_transient, translate

log = logging.getLogger(__name__)
T = TypeVar("T")

WRITE_SECONDS = 4.0
"""Seconds for one try of a claim or a confirm: both fit into the 10 s after a SIGTERM."""
MIN_TRY_SECONDS = 0.5
"""Minimum seconds for one try, even past the deadline."""
RETRY_SECONDS = 15.0
"""Seconds during which a write of unknown effect is repeated."""


class Retry:
    """Repeats idempotent operations of one pass, within one deadline for all of them."""

    def __init__(self) -> None:
        self._give_up_at = float("inf")

    def set_deadline(self, seconds: float) -> None:
        """Repeat nothing later than this many seconds from now."""
        self._give_up_at = time.monotonic() + seconds

    async def __call__(
        self, operation: Callable[[], Awaitable[T]], doing: str, seconds: float = WRITE_SECONDS
    ) -> T:
        """Run the operation until its effect is known; ``seconds`` bound one try.

        Raises:
            OzhError: MongoDB refuses it, or the time is over.
        """
        give_up_at, pause = time.monotonic() + RETRY_SECONDS, 0.1
        while True:
            try:
                with pymongo.timeout(self.time_for_a_try(seconds)):
                    return await operation()
            except PyMongoError as error:
                late = time.monotonic() + pause > min(give_up_at, self._give_up_at)
                if late or not is_transient(error):
                    is_search = seconds > WRITE_SECONDS
                    raise translate(error, doing, is_search=is_search) from error
                log.warning("could not %s, trying again: %s", doing, type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)

    def time_for_a_try(self, seconds: float = WRITE_SECONDS) -> float:
        """Seconds for one try."""
        left = self._give_up_at - time.monotonic()
        return max(MIN_TRY_SECONDS, min(seconds, left))
