"""Passes whose clocks differ."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.users import discount_user
from tests.torture.checker import judge
from tests.torture.environment import Environment, kill
from tests.torture.final_passes import settle
from tests.torture.report import Report, Skipped

APART = 100
"""Seconds to either side: as far as two passes may be apart without a refusal is 240."""
TOO_FAST = 780
"""Seconds; longer than a lease, so that a sweep would take every live claim."""


def faked(seconds: float) -> dict[str, str]:
    """Variables that shift a process's wall clock.

    Raises:
        Skipped: libfaketime is not installed.
    """
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        raise Skipped("libfaketime is not installed (Debian package libfaketime)")
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME": f"{seconds:+.3f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def minutes_apart(place: Environment, report: Report, rounds: int, users: int) -> None:
    """One pass ahead, one behind, one right, at once; in every second round one of them dies."""
    for number in range(rounds):
        people = [discount_user() for _ in range(users)]
        eligible = {u["telegram_id"] for u in people}
        place.fresh(people)
        clocks = {name: faked(by) for name, by in (("ahead", APART), ("behind", -APART))}
        running = {name: place.start("discount", **clock) for name, clock in clocks.items()}
        running["right"] = place.start("discount")
        if number % 2:
            dying = running.pop(place.rng.choice(sorted(running)))
            place.await_moment(dying, users)
            kill(dying)
        for name, one in running.items():
            ended = one.wait()
            report.expect(ended.code == 0, f"{name}: exit {ended.code}: {ended.err}")
        for clock in clocks.values():
            ended = place.run("discount", **clock)
            report.expect(ended.code == 0, f"after: exit {ended.code}: {ended.err}")
        documents = list(place.users.find())
        judge(report, documents, place.messages(), "discount", eligible, ended=False)
        settle(place, report, eligible)
        report.rounds += 1
        report.tried += users


def too_fast(place: Environment, report: Report, rounds: int, users: int) -> None:
    """A pass and a `reconcile` with a fast clock, beside a pass that has users in hand."""
    clock = faked(TOO_FAST)
    for _ in range(rounds):
        people = [discount_user() for _ in range(users)]
        place.fresh(people)
        running = place.start("discount", "--rate", "40")
        place.await_moment(running, users)
        for command in (("discount",), ("reconcile", "discount", "--resend", "--yes")):
            ended = place.run(*command, **clock)
            report.expect(ended.code == 78, f"{command[0]}: exit {ended.code}: {ended.err}")
        ended = running.wait()
        report.expect(ended.code == 0, f"the pass beside it: exit {ended.code}: {ended.err}")
        eligible = {u["telegram_id"] for u in people}
        settle(place, report, eligible)
        report.rounds += 1
        report.tried += users
