"""What tests of a pass share: waiting for a moment of it, and zones where it is any time of day."""

from __future__ import annotations

import re
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pymongo
import pytest
from pymongo.errors import OperationFailure

from ozh_notify import __version__
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Finished, Ozh
from tests.helpers.users import Users

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
APP = f"ozh-notify {__version__}"
"""The program's name at the server; the tests' own clients have none, and no fault hits them."""


def wait_until(true: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.005)


def ended(ozh: Ozh, process: subprocess.Popen[str], timeout: float = 30) -> Finished:
    """A started pass that has ended by itself; it is killed where it does not."""
    try:
        return ozh.finished(process, *process.communicate(timeout=timeout))
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"it did not end in {timeout} s:\n{out}\n{err}")


def chats(bot_api: BotApiServer) -> list[int]:
    """Chats in the order they received a message."""
    return [message.chat_id for message in bot_api.control.messages()]


def deliveries(users: Users, key: str = "discount") -> dict[int, dict[str, Any]]:
    """Each chat's delivery as it is stored; empty where there is none."""
    found = users.find().sort("_id")
    return {u["telegram_id"]: u.get("ozh_notify", {}).get(key, {}) for u in found}


def states(users: Users, key: str = "discount") -> list[str]:
    """The states of all users in order of their ids; empty where there is none."""
    return [delivery.get("state", "") for delivery in deliveries(users, key).values()]


def check_states(users: Users, bot_api: BotApiServer, key: str = "discount") -> None:
    """What went out is `sent` with its id, once; nothing else is; nobody is left in `sending`."""
    sent = {m.chat_id: m.message_id for m in bot_api.control.messages()}
    assert len(sent) == len(bot_api.control.messages()), "a user was messaged twice"
    stored = deliveries(users, key)
    assert {c: s.get("message_id") for c, s in stored.items() if s.get("state") == "sent"} == sent
    assert "sending" not in {s.get("state") for s in stored.values()}


@contextmanager
def failing(client: pymongo.MongoClient[Any], mode: Any, **data: Any) -> Iterator[None]:
    """The server's own fail point on the program's commands, while the block lasts."""
    command = ("configureFailPoint", "failCommand")
    try:
        client.admin.command(*command, mode=mode, data={**data, "appName": APP})
    except OperationFailure as error:
        pytest.skip(f"the server has no fail points: {error.details}")
    try:
        yield
    finally:
        client.admin.command(*command, mode="off")


def clock_shows(folder: Path, local_time: str) -> dict[str, str]:
    """Variables of a time zone of our own, in which it is that time of day just now.

    So hours end and midnights come within a second, with the machine's clock as it is.
    """
    wanted = datetime.combine(datetime.now(timezone.utc), datetime.min.time(), timezone.utc)
    hours, minutes, seconds = map(float, local_time.split(":"))
    wanted += timedelta(hours=hours, minutes=minutes, seconds=seconds)
    ahead = round((wanted - datetime.now(timezone.utc)).total_seconds())
    ahead -= 86400 * round(ahead / 86400)
    return _zone(folder, ahead)


def zone_of(variables: dict[str, str]) -> ZoneInfo:
    """The zone that :func:`clock_shows` has made."""
    with Path(variables["PYTHONTZPATH"], variables["OZH_TIMEZONE"]).open("rb") as file:
        return ZoneInfo.from_file(file)


def _zone(folder: Path, ahead: int) -> dict[str, str]:
    """A zone that is ``ahead`` seconds of UTC; the file is as RFC 8536 says, version 1."""
    head = struct.pack(">4sc15x6I", b"TZif", b"\0", 0, 0, 0, 0, 1, 4)
    zones = folder / "zones"
    (zones / "Test").mkdir(parents=True, exist_ok=True)
    (zones / "Test" / "Zone").write_bytes(head + struct.pack(">lbb4s", ahead, 0, 0, b"TST\0"))
    return {"PYTHONTZPATH": str(zones), "OZH_TIMEZONE": "Test/Zone"}


def _faketime() -> dict[str, str]:
    """Variables that load libfaketime; the test is skipped where it is not installed."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not installed (Debian package libfaketime)")
    return {"LD_PRELOAD": str(libraries[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def as_if_now(moment: datetime) -> dict[str, str]:
    """Variables of a process whose wall clock shows that moment when it starts."""
    ahead = moment.timestamp() - time.time()
    return {**_faketime(), "FAKETIME": f"{ahead:+.3f}"}


class MovableClock:
    """A process's wall clock that the test sets while it runs."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.variables = {
            **_faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
        }
        self.set(0)

    def set(self, ahead: float) -> None:
        """From now on it is so many seconds ahead of the machine's clock."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead:+.3f}\n")
        new.replace(self._file)  # at once: the program reads it at any moment


def table_rows(text: str) -> dict[str, str]:
    """The figure of each row of the tables that a command printed, by the row's name."""
    return dict(re.findall(r"^│ +(\S.*?) +│ +(\d+) │", text, re.MULTILINE))
