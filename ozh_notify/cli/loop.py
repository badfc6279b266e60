"""The event loop of a command: uvloop's where the extra ``fast`` is installed."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own; ``--help`` does without these imports."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        import asyncio  # noqa: PLC0415

        return asyncio.run(work)
    result: T = uvloop.run(work)
    return result
