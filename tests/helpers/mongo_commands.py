"""What the driver sends to the server, as it sends it: by the driver's own command monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import monitoring

Command = dict[str, Any]


class _Listener(monitoring.CommandListener):
    """Heard by every client made later; it remembers only while somebody listens."""

    def __init__(self) -> None:
        self.kept: list[Command] | None = None
        self.names: tuple[str, ...] = ()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.kept is not None and event.command_name in self.names:
            self.kept.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


_listener = _Listener()
monitoring.register(_listener)


@contextmanager
def heard(*names: str) -> Iterator[list[Command]]:
    """The commands of these names that clients made inside the block send."""
    kept: list[Command] = []
    _listener.kept, _listener.names = kept, names
    try:
        yield kept
    finally:
        _listener.kept = None
