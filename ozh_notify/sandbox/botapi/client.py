"""Starts the server and talks to it, for tests and the demo; standard library only."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from .config import DEMO_TOKEN, Config

_ROOT = Path(__file__).resolve().parents[3]
_LISTENING = "listening on "


@dataclass(frozen=True)
class ReceivedMessage:
    """A delivered message. ``time`` is Unix time in seconds, at its arrival."""

    seq: int
    message_id: int
    chat_id: int
    method: str
    text: str
    raw_text: str
    reply_markup: dict[str, Any] | None
    allow_paid_broadcast: bool
    time: float
    bot_id: int
    media: str | None = None
    """The file of a photo, an animation or a video."""
    silent: bool = False
    protect: bool = False
    link_preview: bool = True
    deleted: bool = False


class Control:
    """Calls the control endpoint of a server.

    Each method raises a ValueError if the server did not understand it.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)

    def rules(self, rules: Sequence[dict[str, Any]]) -> None:
        """Replaces all rules; `ozh_notify.sandbox.botapi.rules` lists their keys."""
        self._ask("POST", "rules", list(rules))

    def settings(self, **settings: Any) -> None:
        """Sets ``latency_ms``, ``rate_limit`` (None: no limit) or ``seed``; the others stay."""
        self._ask("POST", "settings", settings)

    def messages(self, after: int = 0) -> list[ReceivedMessage]:
        """The messages delivered after the sequence number ``after``, in order."""
        return [ReceivedMessage(**item) for item in self._ask("GET", f"messages?after={after}")]

    def requests(self) -> dict[str, Any]:
        """``by_method``, ``by_status`` ("cut" for none), ``send_times``, ``max_in_flight``."""
        return dict(self._ask("GET", "requests"))

    def reset(self) -> None:
        """Forgets messages, counts and rules; settings are again those of the start."""
        self._ask("POST", "reset")

    def _ask(self, method: str, what: str, payload: object = None) -> Any:
        host, port = self._address.hostname or "127.0.0.1", self._address.port
        connection = http.client.HTTPConnection(host, port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, f"/control/{what}", json.dumps(payload))
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status != 200:
            raise ValueError(answer.get("error", answer))
        return answer


@dataclass(frozen=True)
class BotApiServer:
    """A server in a process of its own."""

    url: str
    tokens: tuple[str, ...]
    control: Control
    process: subprocess.Popen[str]

    @property
    def token(self) -> str:
        return self.tokens[0]


@contextlib.contextmanager
def run(
    tokens: Sequence[str] = (DEMO_TOKEN,),
    *,
    latency_ms: float = 0,
    username: str = Config.username,
    port: int = 0,
    timeout: float = 15,
) -> Iterator[BotApiServer]:
    """Runs a server process while the block lasts; it also ends when this process dies.

    Raises a RuntimeError with the server's own words when it is not up in ``timeout`` seconds.
    """
    command = [sys.executable, "-m", __package__ or "", "--exit-with-stdin", f"--port={port}"]
    command += [f"--token={token}" for token in tokens]
    command += [f"--latency-ms={latency_ms}", f"--username={username}"]
    with tempfile.TemporaryFile("w+") as errors, _process(command, errors) as process:
        url = _wait_for_url(process, errors, timeout)
        yield BotApiServer(url, tuple(tokens), Control(url), process)


@contextlib.contextmanager
def _process(command: list[str], errors: IO[str]) -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=errors,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for_url(process: subprocess.Popen[str], errors: IO[str], timeout: float) -> str:
    assert process.stdout  # noqa: S101  # a pipe, by the call above
    ready, _, _ = select.select([process.stdout], [], [], timeout)
    line = process.stdout.readline().strip() if ready else ""
    if line.startswith(_LISTENING):
        return line.removeprefix(_LISTENING)
    errors.seek(0)
    said = errors.read().strip() or line or f"nothing in {timeout:g} s"
    raise RuntimeError(f"the Bot API server did not start: {said}")
