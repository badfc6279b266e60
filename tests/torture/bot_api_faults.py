"""Telegram's bad days: 429s, and transports that break in every way."""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.helpers.users import discount_user
from tests.torture.checker import judge
from tests.torture.environment import WRAPPER, Environment, Running
from tests.torture.final_passes import settle
from tests.torture.report import Report

BUDGET = 120.0
"""`OZH_FLOOD_BUDGET_SECONDS` by default."""
HOUR = 3600
PASSES_AT_MOST = 12


def floods(place: Environment, report: Report, rounds: int, users: int) -> None:
    """429s of four kinds; nobody twice, nobody lost, and never longer than the budget allows."""
    short = users < 60
    storm, wait = (3.0, 0.5) if short else (30.0, 1)
    kinds: list[tuple[str, dict[str, Any], float]] = [
        ("every third", {"do": "flood", "every": 3, "retry_after": wait}, 0),
        ("storm", {"do": "flood", "retry_after": 2 * wait}, storm),
        ("an hour", {"do": "flood", "retry_after": HOUR, "skip": users // 2}, 0),
        ("bare", {"do": "flood_bare", "every": 5, "times": 1 if short else 6}, 0),
    ]
    for _ in range(rounds):
        for name, rule, until in kinds:
            _flood(place, report, (name, rule, until), users)
    report.tried = rounds * users * len(kinds)


def _flood(
    place: Environment, report: Report, kind: tuple[str, dict[str, Any], float], users: int
) -> None:
    name, rule, until = kind
    people = [discount_user() for _ in range(users)]
    eligible = {u["telegram_id"] for u in people}
    place.fresh(people)
    place.api.control.rules([rule])
    timer = threading.Timer(until, place.api.control.rules, ([],))
    if until:
        timer.start()
    ended = place.run("discount", "--json", "--rate", "50")
    timer.cancel()
    if ended.code < 0:
        report.breaches.append(f"{name}: it did not end: {ended.err}")
        return
    said = json.loads(ended.out)
    report.notes[f"{name}: s waited"] = max(
        report.notes[f"{name}: s waited"], round(said["flood_wait_seconds"])
    )
    report.expect(said["flood_wait_seconds"] <= BUDGET, f"{name}: waited {said}")
    report.expect(ended.seconds < BUDGET + users / 50 + 30, f"{name}: took {ended.seconds:.0f} s")
    expected = 75 if rule.get("retry_after") == HOUR else 0
    report.expect(ended.code == expected, f"{name}: exit {ended.code}: {ended.err}")
    judge(
        report,
        list(place.users.find()),
        place.messages(),
        "discount",
        eligible,
        ended=False,
    )
    place.api.control.rules([])
    if ended.code:
        ended = place.run("discount", "--rate", "500")
        report.expect(ended.code == 0, f"{name}, the next pass: exit {ended.code}: {ended.err}")
    states = judge(report, list(place.users.find()), place.messages(), "discount", eligible)
    report.expect(states["sent"] == users, f"{name}: not all were sent: {states}")
    report.rounds += 1


def broken_transport(place: Environment, report: Report, rounds: int, users: int) -> None:
    """Six faults mixed, 10 % each: what may have arrived is `unknown`, the rest is delivered."""
    short = users < 500
    for _ in range(rounds):
        people = [discount_user() for _ in range(users)]
        eligible = {u["telegram_id"] for u in people}
        place.fresh(people)
        place.api.control.rules(_faults(2.0 if short else 20.0))
        for _ in range(PASSES_AT_MOST):
            ended = _patient(place, 2 if short else 20).wait()
            report.notes[f"exit {ended.code}"] += 1
            report.expect(ended.code in (0, 69, 75), f"exit {ended.code}: {ended.err}")
            if ended.code == 0:
                break
        else:
            report.breaches.append(f"no pass of {PASSES_AT_MOST} ran to its end")
        states = judge(report, list(place.users.find()), place.messages(), "discount", eligible)
        in_doubt = states["unknown"]
        report.unknown += in_doubt
        requests = place.api.control.requests()
        tries = requests["by_method"]["sendMessage"]
        report.expect(tries == users, f"{tries} requests for {users}, all of them ambiguous")
        faults = sum(_faulty(requests, users, states["sent"]))
        report.expect(
            in_doubt + states["sent"] == users, f"neither unknown nor delivered: {states}"
        )
        report.expect(in_doubt <= faults, f"{in_doubt} unknown, but {faults} faults")
        report.rounds += 1
        report.tried += users


FOR_THE_BOT = [
    (400, "Bad Request: Logged out"),
    (420, "FROZEN_METHOD_INVALID"),
    (400, "Bad Request: BALANCE_TOO_LOW"),
    (402, "Payment Required"),
    (403, "Forbidden: bot can't initiate conversation with a user"),
]


def refusals_for_the_bot(place: Environment, report: Report, rounds: int, users: int) -> None:
    """From some message on every send is refused; nobody is held, and the next pass serves all."""
    for number in range(rounds):
        code, text = FOR_THE_BOT[number % len(FOR_THE_BOT)]
        people = [discount_user() for _ in range(users)]
        place.fresh(people)
        # A user who cannot be written to is only suspicious while nothing was ever delivered.
        delivered = 0 if code == 403 else place.rng.choice((0, users // 3))
        refusal = {"do": "error", "code": code, "description": text, "skip": delivered}
        place.api.control.rules([refusal])
        ended = place.run("discount", "--rate", "200")
        report.expect(ended.code == 78, f"{text}: exit {ended.code}: {ended.err}")
        place.api.control.rules([])
        states = settle(place, report, {u["telegram_id"] for u in people})
        report.expect(states["sent"] == users, f"{text}: not all were sent: {states}")
        report.rounds += 1
        report.tried += users


def dropped_connections(place: Environment, report: Report, rounds: int, users: int) -> None:
    """The server closes kept connections without a word: no request goes into a closed one.

    A request that is on its way in the very moment of the close may still be `unknown`.
    """
    for _ in range(rounds):
        people = [discount_user() for _ in range(users)]
        place.fresh(people)
        place.api.control.rules([{"do": "close_after", "probability": place.rng.choice((0.3, 1))}])
        ended = place.run("discount", "--rate", "100")
        report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        place.api.control.rules([])
        states = settle(place, report, {u["telegram_id"] for u in people})
        report.expect(states["unknown"] <= users // 10, f"too many are unknown: {states}")
        report.rounds += 1
        report.tried += users


def _faults(limit: float) -> list[dict[str, Any]]:
    """Each at random, of those the earlier ones let through, so that all get a tenth."""
    tenths: list[dict[str, Any]] = [
        {"do": "error"},
        {"do": "cut_before"},
        {"do": "cut_after", "reset": True},
        {"do": "hang_after", "seconds": limit + 5},
        {"do": "garbage"},
        {"do": "slow_headers", "seconds": 1.0},
    ]
    return [{**rule, "probability": 0.1 / (1 - 0.1 * n)} for n, rule in enumerate(tenths)]


def _patient(place: Environment, seconds: float) -> Running:
    """A pass that waits so long for an answer; 20 s is the program's own limit."""
    if seconds == 20:
        return place.start("discount", "--rate", "50")
    return place.start(
        "discount",
        "--rate",
        "50",
        program=place.wrapped(WRAPPER),
        TORTURE_SEND_LIMIT=f"{seconds}",
    )


def _faulty(requests: dict[str, Any], users: int, sent: int) -> list[int]:
    """Requests that were not answered with a message: by status, and the rest of the 200s."""
    by_status, sends = requests["by_status"], requests["by_method"]["sendMessage"]
    others = sum(count for status, count in by_status.items() if status not in ("200", "cut"))
    return [others, by_status.get("cut", 0), max(0, sends - sent)]
