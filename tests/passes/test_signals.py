"""SIGTERM, SIGINT and SIGHUP: at any moment, as process 1, and when servers do not answer."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymongo
import pytest

from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import OZH, Finished, Ozh, server_kind
from tests.helpers.parameters import first_and_long
from tests.helpers.passes import (
    chats,
    check_states,
    deliveries,
    ended,
    states,
    wait_until,
)
from tests.helpers.users import Users, discount_users

BOTH = [signal.SIGTERM, signal.SIGINT]
LIMIT = 10.0
"""Seconds the contract gives a pass after a signal."""


def interrupted(
    ozh: Ozh, process: subprocess.Popen[str], number: signal.Signals
) -> tuple[Finished, dict[str, Any]]:
    """Send the signal; the result of a pass that ends by it as the contract says."""
    at = time.monotonic()
    process.send_signal(number)
    result = ended(ozh, process)
    assert time.monotonic() - at < LIMIT
    assert "Traceback" not in result.err
    said = result.json()
    if re.search(r"not recorded: .*: sent", result.err):
        assert (result.code, said["status"]) == (74, "error"), result.err
        assert f"interrupted by {number.name}" in said["error"]
    else:
        assert result.code == 75, result.out + result.err
        assert (said["status"], said["error"]) == ("incomplete", f"interrupted by {number.name}")
    return result, said


def asked(bot_api: BotApiServer, method: str, times: int = 1) -> Callable[[], bool]:
    """Whether the Bot API has been asked so often."""
    return lambda: bot_api.control.requests()["by_method"].get(method, 0) >= times


# --- in mid-pass ---


MOMENTS: dict[str, tuple[signal.Signals, dict[str, Any] | None, int]] = {
    "at full speed": (signal.SIGINT, None, 5),
    "before anything was delivered": (signal.SIGTERM, {"do": "slow", "seconds": 1}, 1),
    "while some are slow": (signal.SIGTERM, {"do": "slow", "seconds": 1.5, "skip": 4}, 7),
    "in a flood wait": (signal.SIGINT, {"do": "flood", "retry_after": 90, "skip": 4}, 5),
    "when an ssh session closes": (signal.SIGHUP, None, 5),
    "among strangers": (signal.SIGTERM, {"do": "not_found", "times": 9}, 4),
}
"""The signal, what the Bot API does meanwhile, and after how many requests the signal comes."""


@pytest.mark.parametrize("moment", first_and_long(MOMENTS))
def test_a_signal_finishes_what_is_in_flight_and_gives_back_the_rest(
    moment: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """75, nobody in doubt where Telegram answers, nobody lost: the next pass serves the others."""
    users.insert_many(discount_users(60))
    number, rule, requests = MOMENTS[moment]
    bot_api.control.rules([rule] if rule else [])
    bot_api.control.settings(latency_ms=30)
    process = ozh.start("discount", "--json", "--rate", "40")
    wait_until(asked(bot_api, "sendMessage", requests), f"{requests} requests")
    _, said = interrupted(ozh, process, number)
    assert said["unknown"] == 0
    assert said["sent"] == len(chats(bot_api)) < 60
    assert said["retry"] == states(users).count("retry")
    assert said["claimed"] + said["remaining"] == 60
    assert states(users).count("") == said["remaining"] > 0
    check_states(users, bot_api)
    bot_api.control.rules([])
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert result.json()["sent"] == 60 - said["sent"] - said["unreachable"]
    check_states(users, bot_api)


def test_a_second_signal_changes_nothing(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """A second Ctrl-C does not lose messages that are in flight."""
    users.insert_many(discount_users(20))
    bot_api.control.rules([{"do": "slow", "seconds": 1.5}])
    process = ozh.start("discount", "--json", "--rate", "40")
    wait_until(asked(bot_api, "sendMessage"), "the request")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, said = interrupted(ozh, process, signal.SIGINT)
    assert (said["sent"], said["unknown"]) == (1, 0)
    check_states(users, bot_api)


def test_a_telegram_that_does_not_answer_leaves_unknown_in_time(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Messages in flight may have arrived; the claim stays, so that a person can settle it."""
    users.insert_many(discount_users(20))
    bot_api.control.rules([{"do": "hang_after", "seconds": 60, "skip": 2}])
    process = ozh.start("discount", "--json", "--rate", "40")
    wait_until(asked(bot_api, "sendMessage", 4), "two that hang")
    _, said = interrupted(ozh, process, signal.SIGTERM)
    assert said["sent"] == 2
    assert said["unknown"] == len(chats(bot_api)) - 2 >= 2
    in_doubt = [
        delivery for delivery in deliveries(users).values() if delivery.get("state") == "unknown"
    ]
    assert len(in_doubt) == said["unknown"]
    assert all(delivery["claim"] and "interrupted" in delivery["error"] for delivery in in_doubt)
    assert "sending" not in states(users)


# --- before and after ---


def test_a_hangup_that_is_ignored_stops_nothing(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Under nohup a pass outlives the session that started it."""
    users.insert_many(discount_users(20))
    process = subprocess.Popen(
        ["nohup", OZH, "discount", "--json", "--rate", "20"],
        env=ozh.environment,
        cwd=ozh.folder,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until(asked(bot_api, "sendMessage", 3), "three messages")
    process.send_signal(signal.SIGHUP)
    result = ended(ozh, process)
    assert (result.code, result.json()["sent"]) == (0, 20), result.err


@pytest.mark.long
@pytest.mark.parametrize("number", BOTH)
def test_a_signal_before_the_first_claim_claims_nobody(
    number: signal.Signals, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Here while Telegram is slow to say who the bot is."""
    users.insert_many(discount_users(5))
    bot_api.control.rules([{"do": "slow", "method": "getMe", "seconds": 30}])
    process = ozh.start("discount", "--json")
    wait_until(asked(bot_api, "getMe"), "getMe")
    _, said = interrupted(ozh, process, number)
    assert (said["claimed"], said["bot"]) == (0, None)
    assert states(users) == [""] * 5
    assert chats(bot_api) == []


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
def test_ctrl_c_during_the_imports_is_an_interruption_too(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """From the program's first line on, whatever is being loaded just then: no traceback."""
    users.insert_many(discount_users(3))
    bot_api.control.rules([{"do": "slow", "method": "getMe", "seconds": 30}])
    for later in (0.0, 0.04, 0.08, 0.14, 0.22, 0.32):
        process = ozh.start("discount", "--json")
        wait_until(functools.partial(catches, process.pid, signal.SIGTERM), "its first line")
        time.sleep(later)
        process.send_signal(signal.SIGINT)
        result = ended(ozh, process)
        assert result.code == 75, f"after {later} s: {result.code} {result.out} {result.err}"
        assert "Traceback" not in result.err
        assert result.out == "" or result.json()["status"] == "incomplete"
    assert states(users) == [""] * 3


@pytest.mark.long
def test_a_signal_after_the_result_changes_it_no_more(ozh: Ozh, users: Users) -> None:
    """A pass that ran to its end says so, also while the interpreter is being shut down."""
    for number, later in zip(BOTH * 3, (0.0, 0.02, 0.04, 0.06, 0.08), strict=False):
        process = ozh.start("discount", "--json")
        assert process.stdout
        line = process.stdout.readline()
        time.sleep(later)
        process.send_signal(number)
        result = ended(ozh, process)
        assert '"status": "ok"' in line
        assert result.code == 0, f"after {later} s: {result}"


# --- as process 1 ---


def namespaces() -> bool:
    """Whether this account may make a process 1 of its own."""
    try:
        tried = subprocess.run(
            ["unshare", "--pid", "--fork", "--kill-child", "true"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


SLOW_IMPORT = "import time; open('loading', 'w').close(); time.sleep(60)"
"""In the place of the command line's library: the program is caught while it loads."""


@pytest.mark.long
@pytest.mark.skipif(not namespaces(), reason="needs unshare, and the right to a PID namespace")
@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize("early", [True, False])
def test_as_process_1_of_a_container_it_hears_signals(
    early: bool,
    number: signal.Signals,
    ozh: Ozh,
    users: Users,
    bot_api: BotApiServer,
    tmp_path: Path,
) -> None:
    """Linux ignores them for process 1 unless it has a handler of its own; also while it loads."""
    users.insert_many(discount_users(40))
    if early:
        (tmp_path / "typer.py").write_text(SLOW_IMPORT)
        ozh.environment["PYTHONPATH"] = str(tmp_path)
    outer = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", OZH, "discount", "--json", "--rate", "20"],
        env=ozh.environment,
        cwd=ozh.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    wait_until(lambda: children.read_text().split(), "process 1")
    inner = int(children.read_text())
    if early:
        wait_until((ozh.folder / "loading").exists, "the first import")
    else:
        wait_until(lambda: len(chats(bot_api)) >= 3, "three messages")
    at = time.monotonic()
    os.kill(inner, number)
    result = ended(ozh, outer)
    assert time.monotonic() - at < LIMIT
    assert result.code == 75, result.out + result.err
    assert "Traceback" not in result.err
    assert len(chats(bot_api)) < 40
    check_states(users, bot_api)


# --- when MongoDB hangs ---


@pytest.mark.long
def test_a_signal_while_mongodb_hangs_ends_it_in_time(ozh: Ozh, bot_api: BotApiServer) -> None:
    """What was delivered and cannot be recorded is told, and nothing is waited for in vain."""
    with (
        mongo.run(server_kind()) as server,
        pymongo.MongoClient[dict[str, Any]](server.uri) as client,
    ):
        users = client[ozh.environment["MONGO_DB_NAME"]].users
        users.insert_many(discount_users(40))
        bot_api.control.rules([{"do": "hang_after", "seconds": 60, "skip": 6}])
        process = ozh.start("discount", "--json", "--rate", "20", MONGO_URI=server.uri)
        wait_until(asked(bot_api, "sendMessage", 7), "one that hangs")
        os.killpg(server.process.pid, signal.SIGSTOP)
        try:
            time.sleep(1)
            result, said = interrupted(ozh, process, signal.SIGTERM)
        finally:
            os.killpg(server.process.pid, signal.SIGCONT)
        assert said["sent"] == 6
        assert said["unknown"] == len(chats(bot_api)) - 6 >= 1
        time.sleep(0.5)  # what the program gave up on may be applied only now
        for chat, delivery in deliveries(users).items():
            if chat in chats(bot_api) and delivery["state"] not in ("sent", "unknown"):
                assert delivery["state"] == "sending"
                assert re.search(rf"not recorded: .* chat {chat}: (sent|unknown)", result.err)
