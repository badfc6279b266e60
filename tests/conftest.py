"""Real servers and the installed command; nothing is patched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection

from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.botapi import client as botapi

TOKEN = "987654321:AAtests-only-token_abcdefghijklmnop"
API_KEY = "backend-key-that-nobody-may-see"
PASSWORD = "p4ssw0rd-that-nobody-may-see"
# `nohup`, and a shell that starts the tests with `&`, leave these signals ignored; the processes
# that a test starts would inherit that, and obey none of them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

OZH = str(Path(sys.executable).with_name("ozh-notify"))


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)


class Ozh:
    """Runs the installed command; every output is looked through for secrets."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment, self.folder = environment, folder
        self.program: tuple[str, ...] = (OZH,)
        self.outputs: list[str] = []

    def __call__(self, *arguments: str, timeout: float = 60, **extra: str | None) -> Finished:
        process = self.start(*arguments, **extra)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"ozh-notify {arguments} did not end in {timeout} s:\n{out}\n{err}")
        return self.finished(process, out, err)

    def start(self, *arguments: str, **extra: str | None) -> subprocess.Popen[str]:
        """Start it and return at once; hand what it printed to :meth:`finished`."""
        merged: dict[str, str | None] = {**self.environment, **extra}
        env = {name: value for name, value in merged.items() if value is not None}
        return subprocess.Popen(
            [*self.program, *arguments],
            env=env,
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finished(self, process: subprocess.Popen[str], out: str, err: str) -> Finished:
        """What a started command has printed, kept for the search for secrets."""
        self.outputs += [out, err]
        return Finished(process.returncode, out, err)


def server_kind() -> str:
    """The most faithful server that is installed."""
    return mongo.available()[0]


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """A real server, in the order OZH_TEST_MONGO_URI, mongod, secantusd-rs, secantusd-py."""
    with ExitStack() as stack:
        uri = os.environ.get("OZH_TEST_MONGO_URI")
        yield uri or stack.enter_context(mongo.run(server_kind(), test_commands=True)).uri


@pytest.fixture(scope="session")
def mongo_client(mongo_uri: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    """The tests' own eyes on the database."""
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as opened:
        yield opened


@pytest.fixture
def users(
    mongo_client: pymongo.MongoClient[dict[str, Any]],
) -> Iterator[Collection[dict[str, Any]]]:
    """The users' collection of a fresh database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield mongo_client[name].users
    mongo_client.drop_database(name)


@pytest.fixture(scope="session")
def bot_api_server() -> Iterator[botapi.BotApiServer]:
    """The Bot API emulator, as a process of its own."""
    with botapi.run(tokens=(TOKEN,)) as server:
        yield server


@pytest.fixture
def bot_api(bot_api_server: botapi.BotApiServer) -> botapi.BotApiServer:
    """The emulator, with nothing remembered."""
    bot_api_server.control.reset()
    return bot_api_server


@pytest.fixture
def environment(
    mongo_uri: str, users: Collection[dict[str, Any]], bot_api: botapi.BotApiServer
) -> dict[str, str]:
    """Variables of a pass against the test servers, and nothing of this machine's but PATH."""
    return {
        "PATH": os.environ["PATH"],
        "MONGO_URI": mongo_uri,
        "MONGO_DB_NAME": users.database.name,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "API_KEY": API_KEY,
        "OZH_TELEGRAM_API_URL": bot_api.url,
        "OZH_TIMEZONE": "UTC",
        "OZH_RATE_LIMIT": "500",
        "OZH_DAILY_BONUS_NOT_BEFORE": "00:00",
        # A fresh collection may hold no such field yet, which the mapping's guard would refuse.
        "OZH_FIELD_DISCOUNT_OFFERED": "discount_offered",
        "OZH_FIELD_DAILY_BONUS_CLAIMED": "daily_bonus_claimed_today",
    }


@pytest.fixture
def ozh(environment: dict[str, str], tmp_path: Path) -> Iterator[Ozh]:
    """The installed command; fails the test if any output holds a secret."""
    folder = tmp_path / "work"
    folder.mkdir()
    command = Ozh(environment, folder)
    yield command
    secret_part = TOKEN.partition(":")[2]
    for output in command.outputs:
        for secret in (TOKEN, secret_part, API_KEY, PASSWORD):
            assert secret not in output, f"a secret was printed:\n{output}"
