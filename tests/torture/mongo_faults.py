"""MongoDB's bad days, by the server's own test commands."""

from __future__ import annotations

import json
import time
from typing import Any

from pymongo.errors import OperationFailure

from tests.helpers.users import discount_user
from tests.torture.checker import judge
from tests.torture.environment import Ended, Environment, Running
from tests.torture.final_passes import settle
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
    place: Environment, report: Report, rounds: int, users: int, *, command: str
) -> None:
    """A command fails in each way, so many times each, at a random moment, once or for good.

    Short, it is closed once or fails once. The journal alone is inserted into.
    """
    place.fresh()
    version = place.run("--version").out.strip()
    faults = list(FAULTS) * rounds or [SHORT[command]]
    for number, fault in enumerate(faults):
        for_good = number // len(FAULTS) % FOR_GOOD == 1
        mode: Any = "alwaysOn" if for_good else {"times": place.rng.randint(1, 3)}
        data = {**FAULTS[fault], "failCommands": [command], "appName": version}
        _one(place, report, users, mode, data)


def _one(place: Environment, report: Report, users: int, mode: Any, data: dict[str, Any]) -> None:
    [command] = data["failCommands"]
    count = SCANNED if command == "getMore" else users
    eligible = _fresh(place, count)
    early = command == "getMore" or place.rng.random() < 0.3
    if early:
        _fail_point(place, mode, data)
    running = _start(place, users)
    if not early:
        place.await_moment(running, users)
        _fail_point(place, mode, data)
    ended = running.wait()
    _fail_point(place, "off", {})
    if "blockConnection" in data and command == "update":
        time.sleep(BLOCKED)  # what the program gave up on may be applied only now
    what = f"{command} {mode} { ({**data, 'appName': ''}) }"
    look(place, report, ended, eligible, what)
    settle(place, report, eligible)
    report.rounds += 1
    report.tried += count


def step_down(place: Environment, report: Report, rounds: int, users: int) -> None:
    """The primary steps down in the middle of a pass, for a second or for longer than it waits."""
    for _ in range(rounds):
        eligible = _fresh(place, users)
        running = _start(place, users)
        place.await_moment(running, users)
        seconds = place.rng.choice((2, 2, 3, 5))
        try:
            place.client.admin.command(
                "replSetStepDown", seconds, secondaryCatchUpPeriodSecs=1, force=True
            )
        except OperationFailure as error:
            running.wait()
            raise Skipped(f"{place.kind} does not step down: {error.details}") from None
        ended = running.wait()
        await_primary(place, seconds + 10)
        look(place, report, ended, eligible, f"step-down of {seconds} s")
        settle(place, report, eligible)
        report.rounds += 1
        report.tried += users


def look(place: Environment, report: Report, ended: Ended, eligible: set[int], what: str) -> None:
    """How the pass ended, and that every message is in a document, in the journal or on stderr."""
    report.notes[f"exit {ended.code}"] += 1
    report.expect(ended.code in ENDS, f"{what}: exit {ended.code}: {ended.err}")
    messages = place.messages()
    if ended.code == 69:
        report.expect(not messages, f"{what}: 69 after {len(messages)} messages")
    if ended.code == 0:
        said = json.loads(ended.out)
        report.expect(not said["retry"], f"{what}: exit 0 with {said}")
    documents = list(place.users.find())
    judge(report, documents, messages, "discount", eligible, ended=False)
    sent = {message["chat_id"]: message["message_id"] for message in messages}
    entries = {entry["chat_id"]: entry for entry in place.journal.find({"state": "sent"})}
    for user in documents:
        state = user.get("ozh_notify", {}).get("discount", {}).get("state")
        chat = user["telegram_id"]
        if state == "sending" and chat in sent and chat not in entries:
            line = f"chat {chat}: sent message {sent[chat]}"
            told = any("not recorded" in t and line in t for t in ended.err.splitlines())
            report.notes["told on stderr"] += told
            report.expect(told, f"{what}: {chat} was delivered, not recorded, and not told")


def await_primary(place: Environment, limit: float) -> None:
    """Wait until the server takes writes again."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            place.client.admin.command("ping")
            place.client.torture.probe.update_one({"_id": 0}, {"$inc": {"n": 1}}, upsert=True)
        except Exception:
            time.sleep(0.1)
        else:
            return


def _fresh(place: Environment, users: int) -> set[int]:
    people = [discount_user() for _ in range(users)]
    place.fresh(people)
    return {u["telegram_id"] for u in people}


def _start(place: Environment, users: int) -> Running:
    logging = place.rng.choice(("True", "False"))
    arguments = ("discount", "--json", "--limit", str(users))
    return place.start(*arguments, LOGGING_ENABLED=logging)


def _fail_point(place: Environment, mode: Any, data: dict[str, Any]) -> None:
    try:
        place.client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    except OperationFailure as error:
        raise Skipped(f"{place.kind} has no fail points: {error.details}") from None
