"""MongoDB's bad days, by the server's own test commands."""

from __future__ import annotations

import json
import time
from typing import Any

from pymongo.errors import OperationFailure

from tests.helpers.users import discount_user
from tests.torture.checker import judge
from tests.torture.endings import settle
from tests.torture.ground import Ended, Ground, Running
from tests.torture.report import Report, Skipped

ENDS = (0, 69, 74, 75)
BLOCKED = 5.0
"""Seconds a command is held up: longer than the program's limit for one write."""
SCANNED = 1100
"""Users of which a scan needs a second batch, so that there is a getMore."""
FAULTS: dict[str, dict[str, Any]] = {
    "close": {"closeConnection": True},
    "10107": {"errorCode": 10107},
    "91": {"errorCode": 91},
    "concern": {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
    "blocked": {"blockConnection": True, "blockTimeMS": int(BLOCKED * 1000)},
}
SHORT = {"update": "concern", "find": "close", "insert": "91", "getMore": "10107"}
"""The fault of the short form."""
FOR_GOOD = 10
"""In one round of so many a fault stays until the pass has ended."""


def failing_command(
    ground: Ground, report: Report, rounds: int, users: int, *, command: str
) -> None:
    """A command fails in each way, so many times each, at a random moment, once or for good.

    Short, it is closed once or fails once. (The program inserts nothing, so a failing insert
    must not be noticed.)
    """
    ground.fresh()
    version = ground.run("--version").out.strip()
    faults = list(FAULTS) * rounds or [SHORT[command]]
    for number, fault in enumerate(faults):
        for_good = number // len(FAULTS) % FOR_GOOD == 1
        mode: Any = "alwaysOn" if for_good else {"times": ground.chance.randint(1, 3)}
        data = {**FAULTS[fault], "failCommands": [command], "appName": version}
        _one(ground, report, users, mode, data)


def _one(ground: Ground, report: Report, users: int, mode: Any, data: dict[str, Any]) -> None:
    [command] = data["failCommands"]
    count = SCANNED if command == "getMore" else users
    eligible = _fresh(ground, count)
    early = command == "getMore" or ground.chance.random() < 0.3
    if early:
        _fail_point(ground, mode, data)
    running = _start(ground, users)
    if not early:
        ground.await_moment(running, users)
        _fail_point(ground, mode, data)
    ended = running.wait()
    _fail_point(ground, "off", {})
    if "blockConnection" in data and command == "update":
        time.sleep(BLOCKED)  # what the program gave up on may be applied only now
    what = f"{command} {mode} { ({**data, 'appName': ''}) }"
    look(ground, report, ended, eligible, what)
    if command == "insert":
        report.expect(ended.code == 0, f"{what}: exit {ended.code}: {ended.err}")
    settle(ground, report, eligible)
    report.rounds += 1
    report.tried += count


def step_down(ground: Ground, report: Report, rounds: int, users: int) -> None:
    """The primary steps down in the middle of a pass, for a second or for longer than it waits."""
    for _ in range(rounds):
        eligible = _fresh(ground, users)
        running = _start(ground, users)
        ground.await_moment(running, users)
        seconds = ground.chance.choice((2, 2, 3, 5))
        try:
            ground.client.admin.command(
                "replSetStepDown", seconds, secondaryCatchUpPeriodSecs=1, force=True
            )
        except OperationFailure as error:
            running.wait()
            raise Skipped(f"{ground.kind} does not step down: {error.details}") from None
        ended = running.wait()
        await_primary(ground, seconds + 10)
        look(ground, report, ended, eligible, f"step-down of {seconds} s")
        settle(ground, report, eligible)
        report.rounds += 1
        report.tried += users


def look(ground: Ground, report: Report, ended: Ended, eligible: set[int], what: str) -> None:
    """How the pass ended, and that every message is in the database or on stderr."""
    report.notes[f"exit {ended.code}"] += 1
    report.expect(ended.code in ENDS, f"{what}: exit {ended.code}: {ended.err}")
    messages = ground.messages()
    if ended.code == 69:
        report.expect(not messages, f"{what}: 69 after {len(messages)} messages")
    if ended.code == 0:
        said = json.loads(ended.out)
        report.expect(not said["retry"], f"{what}: exit 0 with {said}")
    documents = list(ground.users.find())
    judge(report, documents, messages, "discount", eligible, ended=False)
    sent = {message["chat_id"]: message["message_id"] for message in messages}
    for user in documents:
        state = user.get("ozh_notify", {}).get("discount", {}).get("state")
        chat = user["telegram_id"]
        if state == "sending" and chat in sent:
            line = f"chat {chat}: sent message {sent[chat]}"
            told = any("not recorded" in t and line in t for t in ended.err.splitlines())
            report.notes["told on stderr"] += told
            report.expect(told, f"{what}: {chat} was delivered, not recorded, and not told")


def await_primary(ground: Ground, limit: float) -> None:
    """Wait until the server takes writes again."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            ground.client.admin.command("ping")
            ground.client.torture.probe.update_one({"_id": 0}, {"$inc": {"n": 1}}, upsert=True)
        except Exception:
            time.sleep(0.1)
        else:
            return


def _fresh(ground: Ground, users: int) -> set[int]:
    people = [discount_user() for _ in range(users)]
    ground.fresh(people)
    return {u["telegram_id"] for u in people}


def _start(ground: Ground, users: int) -> Running:
    logging = ground.chance.choice(("True", "False"))
    arguments = ("discount", "--json", "--limit", str(users))
    return ground.start(*arguments, LOGGING_ENABLED=logging)


def _fail_point(ground: Ground, mode: Any, data: dict[str, Any]) -> None:
    try:
        ground.client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    except OperationFailure as error:
        raise Skipped(f"{ground.kind} has no fail points: {error.details}") from None
