"""The journal fails in mid-pass while the users' documents do not, and the other way round.

A proxy before the server fails the commands on one collection (`tests.helpers.mongo_proxy`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.helpers.mongo_proxy import Rule, proxy
from tests.helpers.users import discount_user
from tests.torture.environment import Environment, kill
from tests.torture.journal_checker import judge_journal, settle_journal
from tests.torture.report import Report

ENDS = (0, 69, 74, 75, 78)
JOURNAL, USERS = "ozh_notify_journal", "users"
SLOW = 5.0
"""Seconds: longer than the program's limit for one write."""
HELD_UP = 1.0
"""Seconds a write is held up, in which the pass dies."""
UNAUTHORIZED = 13
FAULTS: dict[str, dict[str, Any]] = {
    "unreachable": {"do": "cut"},
    "applied, and no answer": {"do": "lose"},
    "91": {"do": "refuse", "code": 91},
    "10107": {"do": "refuse", "code": 10107},
    "slow": {"do": "slow", "seconds": SLOW},
    "no right": {"do": "refuse", "code": UNAUTHORIZED},
}
TRIES = (1, 3, 1000)
"""How often a fault stays: for one try, for a few, for good."""
CONFIRM = b"last_sent_at"
"""What the write of a delivered message holds, and a claim does not."""
OF_USERS: dict[str, Any] = {"command": "update", "collection": USERS, "about": CONFIRM}
OF_JOURNAL: dict[str, Any] = {"command": "update", "collection": JOURNAL, "about": b"message_id"}
PLACES: dict[str, list[dict[str, Any]]] = {
    "both": [OF_JOURNAL, OF_USERS],
    "insert": [{"command": "insert", "collection": JOURNAL}],
    "update": [{"command": "update", "collection": JOURNAL}],
}


def journal_fails(place: Environment, report: Report, rounds: int, users: int) -> None:
    """Inserts and updates of the journal fail in each way, from a random moment on.

    In every third round the outcomes' writes to the users fail with them: then the messages stand
    nowhere, and stderr must name each. In every fifth round the pass dies while the fault lasts.
    """
    faults = [(where, fault) for fault in reversed(FAULTS) for where in PLACES]
    for number in range(rounds):
        where, fault = faults[number % len(faults)]
        times = 1 if fault == "slow" else TRIES[(number // len(faults) + 2) % len(TRIES)]
        rules = [{**rule, **FAULTS[fault], "times": times} for rule in PLACES[where]]
        _round(place, report, users, rules, dies=number % 5 == 4)


def half_confirmed(place: Environment, report: Report, rounds: int, users: int) -> None:
    """One of the two writes of an outcome is done when the other one fails, or when the pass dies.

    In turn the journal has it and the user's document has not, and the other way round.
    """
    ways: list[dict[str, Any]] = [
        {"do": "slow", "seconds": HELD_UP},
        {"do": "cut"},
        {"do": "refuse", "code": UNAUTHORIZED},
    ]
    for number in range(rounds):
        one = (OF_USERS, OF_JOURNAL)[number % 2]
        rule = {**one, **ways[number // 2 % len(ways)]}
        _round(place, report, users, [rule], dies=rule["do"] != "refuse")


def _round(
    place: Environment, report: Report, users: int, rules: list[dict[str, Any]], *, dies: bool
) -> None:
    people = [discount_user() for _ in range(users)]
    chats = {u["telegram_id"] for u in people}
    place.fresh(people)
    with proxy(place.uri) as between:
        # About a second of sending, whatever the number of users.
        rate = ("--rate", str(users))
        running = place.start("discount", "--json", *rate, MONGO_URI=between.uri)
        place.await_messages(place.rng.randrange(1, users // 2), running)
        between.rules = [Rule(**rule) for rule in rules]
        if dies:
            _await(lambda: any(rule.met for rule in between.rules))
            time.sleep(place.rng.uniform(0, 0.3))
            ended = kill(running)
        else:
            ended = running.wait()
    what = f"{rules}"
    report.notes[f"exit {ended.code}"] += 1
    report.notes["rounds without a fault"] += not any(rule.met for rule in between.rules)
    if not dies:
        report.expect(ended.code in ENDS, f"{what}: exit {ended.code}: {ended.err}")
        judge_journal(place, report, "discount", chats, ended=False, told=ended.err)
    time.sleep(rules[0].get("seconds", 0.1))  # what was sent may be applied only now
    before = len(report.breaches)
    settle_journal(place, report, "discount", chats)
    for n in range(before, len(report.breaches)):
        report.breaches[n] = f"{what}: {report.breaches[n]}"
    report.rounds += 1
    report.tried += users


def _await(met: Callable[[], bool], limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and not met():
        time.sleep(0.01)
