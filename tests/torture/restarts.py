"""The database server dies in the middle of a pass, and comes back with what it has on disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from ozh_notify.sandbox.mongo import free_port, stop
from tests.helpers.users import discount_user
from tests.torture.environment import Environment
from tests.torture.final_passes import settle
from tests.torture.mongo_faults import look
from tests.torture.report import Report, Skipped

START_LIMIT = 30.0
AWAY = (0.2, 1.0, 3.0, 20.0)
"""Seconds it stays away; the last is longer than the program repeats a write."""


class Server:
    """A server on a folder of its own, for as many lives as it takes."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.kind, self._program = _installed()
        self.process = self.start()

    @property
    def uri(self) -> str:
        """Where it listens, in every life."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def start(self) -> subprocess.Popen[bytes]:
        """One life; what was acknowledged in an earlier one must be there."""
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [*self._program, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self.process
            time.sleep(0.05)
        raise Skipped(f"{self.kind} did not start again")

    def kill(self) -> None:
        """``kill -9``."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _arguments(self) -> list[str]:
        data = self.folder / "data"
        if self.kind == "mongod":
            data.mkdir(exist_ok=True)
            return ["--bind_ip", "127.0.0.1", "--port", str(self.port), "--dbpath", str(data)]
        # Without it an acknowledged write may still be in the memory that dies.
        durable = ["--sync-on-commit"]
        cache = ["--cache-size", "256M"] if self.kind == "secantusd-rs" else []
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(data)]
        return [*where, *durable, *cache]


def killed_and_restarted(place: Environment, report: Report, rounds: int, users: int) -> None:
    """``kill -9`` of the server at a random moment, and its return after a while."""
    server = Server(place.folder)
    report.server = server.kind
    own = Environment(server.uri, server.kind, place.api, place.folder, place.rng)
    away = AWAY if rounds > 1 else AWAY[:2]
    try:
        for _ in range(rounds):
            people = [discount_user() for _ in range(users)]
            eligible = {u["telegram_id"] for u in people}
            own.fresh(people)
            running = own.start("discount", "--json")
            own.await_moment(running, users)
            server.kill()
            seconds = own.rng.choice(away)
            time.sleep(seconds)
            server.start()
            look(own, report, running.wait(), eligible, f"server away for {seconds} s")
            settle(own, report, eligible)
            report.rounds += 1
            report.tried += users
    finally:
        own.client.close()
        stop(server.process)


def _installed() -> tuple[str, list[str]]:
    for kind in ("mongod", "secantusd-rs", "secantusd-py"):
        beside = str(Path(sys.executable).with_name(kind))
        found = beside if os.access(beside, os.X_OK) else shutil.which(kind)
        if found:
            return kind, [found]
    raise Skipped("no server that keeps its data")
