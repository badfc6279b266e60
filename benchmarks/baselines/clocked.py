"""What the baselines share: the command line, and one line of JSON with the time of their loop."""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Awaitable, Callable, Iterator

TOKEN = "987654321:AAbenchmark-only-token_abcdefghij"  # noqa: S105 - opens nothing
TEXT = os.environ.get("BENCH_TEXT", "hello")
"""The message; the same as ozh-notify sends."""


def options() -> argparse.Namespace:
    """``URL COUNT``, and how many at a time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--in-flight", type=int, default=128)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--fast", action="store_true", help="uvloop and orjson")
    return parser.parse_args()


def chats(count: int) -> Iterator[int]:
    """Whom to message; workers share it."""
    return iter(range(1000, 1000 + count))


async def clocked(count: int, work: Callable[[], Awaitable[object]]) -> None:
    """Run a loop that sends ``count`` messages; print what it took."""
    before, started = _cpu(), time.perf_counter()
    await work()
    seconds = time.perf_counter() - started
    print(json.dumps({"count": count, "seconds": seconds, "loop_cpu": _cpu() - before}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
