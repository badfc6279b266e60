"""Runs a coroutine; asyncio is imported here, so that ``--help`` does without it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own."""
    import asyncio  # noqa: PLC0415

    return asyncio.run(work)
