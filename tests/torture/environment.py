"""The environment a case runs on: its own server, Bot API and database, and the real command."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pymongo

from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.botapi import client as botapi
from tests.helpers.users import Users
from tests.torture.checker import received

TOKEN = "987654321:AAtorture-only-token_abcdefghijklmn"
OZH = str(Path(sys.executable).with_name("ozh-notify"))
WRAPPER = str(Path(__file__).with_name("short_lease.py"))
LATENCY_MS = 20
PASS_LIMIT = 240.0
CAMPAIGNS = {"discount": "discount", "daily_bonus": "daily-bonus"}
"""The command of each campaign."""
TEXTS = {"discount": "DISCOUNT", "daily_bonus": "BONUS"}
"""Texts that tell the campaigns apart in what a chat received."""


@dataclass(frozen=True)
class Ended:
    """A pass that has ended."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass
class Running:
    """A pass that runs."""

    process: subprocess.Popen[str]
    began: float = field(default_factory=time.monotonic)

    def signal(self, number: int) -> float:
        """Send a signal; returns when."""
        self.process.send_signal(number)
        return time.monotonic()

    def wait(self, timeout: float = PASS_LIMIT) -> Ended:
        """Its end; a pass that does not end is killed, and its code is -9."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            err += f"\nit did not end in {timeout} s"
        return Ended(self.process.returncode, out, err, time.monotonic() - self.began)

    def handles(self, number: int, limit: float = 10) -> None:
        """Wait until the process has a handler for a signal: before, nobody could."""
        bit, deadline = 1 << (number - 1), time.monotonic() + limit
        while time.monotonic() < deadline and self.process.poll() is None:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            caught = int(status.partition("SigCgt:")[2].split()[0], 16)
            if caught & bit:
                return
            time.sleep(0.005)


class Environment:
    """Two servers and a folder; :meth:`fresh` gives a new database and an empty chat log."""

    def __init__(
        self, uri: str, kind: str, api: botapi.BotApiServer, folder: Path, rng: random.Random
    ) -> None:
        self.uri, self.kind, self.api, self.folder, self.rng = uri, kind, api, folder, rng
        self.client = pymongo.MongoClient[dict[str, Any]](
            uri, tz_aware=True, appname="torture", datetime_conversion="DATETIME_AUTO"
        )
        for name, text in TEXTS.items():
            (folder / f"{name}.html").write_text(f"{text} <b>{{{{ first_name }}}}</b>")
        self._database = ""

    def fresh(self, documents: Sequence[dict[str, Any]] = ()) -> Users:
        """An empty database with these users; the chats have received nothing."""
        if self._database:
            self.client.drop_database(self._database)
        self._database = f"torture_{uuid.uuid4().hex[:12]}"
        self.api.control.reset()
        self.api.control.settings(latency_ms=LATENCY_MS, seed=self.rng.randrange(2**31))
        if documents:
            self.users.insert_many(list(documents))
        return self.users

    @property
    def users(self) -> Users:
        """The users of the database in use."""
        return self.client[self._database].users

    @property
    def journal(self) -> Users:
        """The journal of the database in use."""
        return self.client[self._database].ozh_notify_journal

    def start(
        self, *arguments: str, program: Sequence[str] = (OZH,), **extra: str | None
    ) -> Running:
        """Start the real command."""
        merged = {**self._environment(), **extra}
        return Running(
            subprocess.Popen(
                [*program, *arguments],
                env={name: value for name, value in merged.items() if value is not None},
                cwd=self.folder,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )

    @staticmethod
    def wrapped(script: str) -> list[str]:
        """The real command, with what a script of this folder changes first."""
        return [sys.executable, script]

    def run(self, *arguments: str, **extra: Any) -> Ended:
        """Run the real command to its end."""
        return self.start(*arguments, **extra).wait()

    def messages(self, text: str = "", after: int = 0) -> list[dict[str, Any]]:
        """What the chats received, of one campaign if its text is named."""
        return [m for m in received(self.api.url, after) if m["text"].startswith(text)]

    def await_messages(self, count: int, running: Running) -> None:
        """Wait until the chats have received so many, or the pass has ended."""
        while running.process.poll() is None and len(self.messages()) < count:
            time.sleep(0.01)

    def await_moment(self, running: Running, users: int, typical: float = 1.0) -> None:
        """Wait for a random moment: mostly after some messages, sometimes after some time.

        By the clock alone most moments of a busy machine would be before the first claim.
        """
        if self.rng.random() < 0.2:
            time.sleep(self.rng.uniform(0, typical))
        else:
            self.await_messages(self.rng.randrange(users), running)
            time.sleep(self.rng.uniform(0, 0.1))

    def lapse(self, key: str = "discount") -> None:
        """Let the leases of dead passes be over, as if the time had passed."""
        path = f"ozh_notify.{key}"
        past = datetime(2001, 1, 1, tzinfo=timezone.utc)
        self.users.update_many({f"{path}.state": "sending"}, {"$set": {f"{path}.hold_until": past}})
        sending = {"campaign": CAMPAIGNS[key], "state": "sending"}
        self.journal.update_many(sending, {"$set": {"claimed_at": past}})

    def _environment(self) -> dict[str, str | None]:
        return {
            "PATH": os.environ["PATH"],
            # Where the program is tried out with a protection taken out.
            "PYTHONPATH": os.environ.get("PYTHONPATH"),
            "MONGO_URI": self.uri,
            "MONGO_DB_NAME": self._database,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "OZH_TELEGRAM_API_URL": self.api.url,
            "OZH_TEMPLATES_DIR": str(self.folder),
            "OZH_TIMEZONE": noon_zone(),
            "OZH_DAILY_BONUS_NOT_BEFORE": "00:00",
            "OZH_RATE_LIMIT": "100",
            "OZH_FIELD_DISCOUNT_OFFERED": "discount_offered",
            "OZH_FIELD_DAILY_BONUS_CLAIMED": "daily_bonus_claimed_today",
        }


def noon_zone() -> str:
    """A zone where it is about noon, so that no case meets midnight by accident."""
    ahead = 12 - datetime.now(timezone.utc).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


@contextmanager
def environment(seed: int, kind: str = "") -> Iterator[Environment]:
    """Servers for one case, ended with it."""
    kind = kind or mongo.available()[0]
    with (
        TemporaryDirectory(prefix="torture-") as folder,
        mongo.run(kind, test_commands=True) as server,
        botapi.run(tokens=(TOKEN,), latency_ms=LATENCY_MS) as api,
    ):
        made = Environment(server.uri, kind, api, Path(folder), random.Random(seed))
        try:
            yield made
        finally:
            made.client.close()


def kill(running: Running) -> Ended:
    """``kill -9``."""
    running.signal(signal.SIGKILL)
    return running.wait()
