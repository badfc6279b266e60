"""A throw-away MongoDB-compatible server on 127.0.0.1, as a process of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ozh_notify.errors import ConfigError
from ozh_notify.sandbox.processes import started, stop

__all__ = ["MongoServer", "available", "free_port", "run", "stop"]

START_LIMIT = 30.0
"""Seconds for a server to answer."""

KINDS = ("mongod", "secantusd-rs", "secantusd-py")
"""Servers that can be started here, the most faithful first."""


@dataclass(frozen=True)
class MongoServer:
    """A running server."""

    uri: str
    kind: str
    process: subprocess.Popen[bytes]


def available() -> list[str]:
    """The kinds of :data:`KINDS` that are installed."""
    return [kind for kind in KINDS if _program(kind)]


@contextmanager
def run(
    kind: str = "secantusd-py", *, port: int = 0, test_commands: bool = False
) -> Iterator[MongoServer]:
    """Start a server with an empty database; ends it and removes its files.

    Raises:
        ConfigError: the server is not installed, or does not start.
    """
    program = _program(kind)
    if program is None:
        raise ConfigError(
            "the embedded server is not installed: in a clone, "
            "pip install -c constraints.txt '.[demo]' (it has wheels for Python 3.10 to 3.13)"
        )
    port = port or free_port()
    folder = tempfile.mkdtemp(prefix="ozh-notify-")
    try:
        with (
            open(Path(folder, "log"), "wb") as log,
            started(
                [*program, *_arguments(kind, port, folder, test_commands)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                # In memory, too, the Python server has a folder of its own, and may leave it.
                env={**os.environ, "TMPDIR": folder},
                start_new_session=True,
            ) as process,
            _ended_with_this_process(process, folder),
        ):
            _await(process, port, Path(folder, "log"))
            yield MongoServer(f"mongodb://127.0.0.1:{port}/?directConnection=true", kind, process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_with_this_process(server: subprocess.Popen[bytes], folder: str) -> Iterator[None]:
    """Also where this process is killed: then the shell's stdin ends."""
    script = 'read -r _; kill "$1"; sleep 1; rm -rf "$2"'
    with started(
        ["/bin/sh", "-c", script, "sh", str(server.pid), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as watcher:
        try:
            yield
        finally:
            watcher.terminate()
            if watcher.stdin:
                watcher.stdin.close()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(kind: str) -> list[str] | None:
    if kind == "secantusd-py":
        if importlib.util.find_spec("secantus") is None:
            return None
        beside = Path(sys.executable).with_name(kind)
        found = str(beside) if os.access(beside, os.X_OK) else shutil.which(kind)
    else:
        found = shutil.which(kind)
    return [found] if found else None


def _arguments(kind: str, port: int, folder: str, test_commands: bool) -> list[str]:
    if kind == "mongod":
        data = Path(folder, "data")
        data.mkdir()
        extra = ["--setParameter", "enableTestCommands=1"] if test_commands else []
        return ["--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", str(data), *extra]
    extra = ["--cache-size", "512M"] if kind == "secantusd-rs" else []
    if test_commands:
        extra += ["--enable-test-commands"]
    storage = ":memory:" if kind == "secantusd-py" else str(Path(folder, "data"))
    return ["--host", "127.0.0.1", "--port", str(port), "--storage-path", storage, *extra]


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    words = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise ConfigError("the embedded server did not start: " + " | ".join(words))
