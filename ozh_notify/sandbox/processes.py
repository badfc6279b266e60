"""Processes that live as long as a block, also where a signal ends the block at any moment."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the parent of a process."""


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process, ended with the block; ``options`` are those of :class:`subprocess.Popen`."""
    process = None
    try:
        with _uninterrupted():
            process = subprocess.Popen(command, **options)
        yield process
    finally:
        if process:
            stop(process)


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process this program started."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back a signal whose handler raises: a process half started would be left behind."""
    if threading.current_thread() is not threading.main_thread():  # handlers run in that one only
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING}
    own = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in own:
        signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in own.items():
            signal.signal(number, handler)
    if arrived:
        signal.raise_signal(arrived[0])
