"""A pass that dies, and a pass that is told to stop."""

from __future__ import annotations

import json
import signal
import time

from tests.helpers.users import bonus_user, discount_user, user
from tests.torture.checker import judge
from tests.torture.environment import Ended, Environment, kill
from tests.torture.final_passes import settle
from tests.torture.report import Report

SAFE_TO_REPEAT = 75
STOP_LIMIT = 10.0
HUNG = 3
"""Requests in flight that Telegram leaves without an answer."""
RATE = 100


def kill_nine(place: Environment, report: Report, rounds: int, users: int) -> None:
    """``kill -9`` at a random moment, then a normal pass; later the lease is over and it is swept.

    In doubt are at most the users claimed and not yet recorded: half a second of the rate, and
    what was in flight.
    """
    for _ in range(rounds):
        people, eligible = _crowd(users)
        place.fresh(people)
        running = place.start("discount", "--rate", str(RATE))
        place.await_moment(running, users)
        kill(running)
        time.sleep(0.1)
        documents = list(place.users.find())
        judge(report, documents, place.messages(), "discount", eligible, ended=False)
        doubt = sum(1 for u in documents if _state(u) == "sending")
        bound = RATE / 2 + place.api.control.requests()["max_in_flight"]
        report.expect(doubt <= bound, f"{doubt} users in doubt, more than {bound}")
        report.notes["most in doubt"] = max(report.notes["most in doubt"], doubt)
        settle(place, report, eligible)
        report.rounds += 1
        report.tried += len(eligible)


def told_to_stop(place: Environment, report: Report, rounds: int, users: int) -> None:
    """SIGTERM and SIGINT in turn, at a random moment: 75 within 10 s, nothing left in doubt.

    A moment after the last message is none: there the pass has run to its end, and says 0. In
    some rounds Telegram does not answer a few of what is in flight: those are in doubt, and not
    waited for.
    """
    for number in range(rounds):
        people, eligible = _crowd(users)
        place.fresh(people)
        hung = HUNG if number % 5 == 4 else 0
        skip = place.rng.randrange(users // 2)
        rule = {"do": "hang_after", "seconds": 2 * STOP_LIMIT, "skip": skip, "times": hung}
        place.api.control.rules([rule] if hung else [])
        running = place.start("discount", "--rate", str(RATE), "--json")
        running.handles(signal.SIGTERM)
        if hung:
            place.await_messages(skip + hung, running)
        else:
            place.await_moment(running, users * 3 // 4)
        at = running.signal((signal.SIGTERM, signal.SIGINT)[number % 2])
        ended = running.wait()
        took = time.monotonic() - at
        report.notes[f"exit {ended.code}"] += 1
        report.expect(took < STOP_LIMIT, f"it took {took:.1f} s to stop")
        documents = list(place.users.find())
        states = judge(report, documents, place.messages(), "discount", eligible, ended=False)
        doubt = states["sending"] + states["unknown"]
        right = SAFE_TO_REPEAT if states["sent"] < len(eligible) else ended.code
        report.expect(ended.code == right, f"exit {ended.code}: {ended.err}")
        report.expect(ended.code in (0, SAFE_TO_REPEAT), f"exit {ended.code}: {ended.err}")
        report.expect(doubt <= hung, f"{doubt} in doubt after a signal: {ended.out} {ended.err}")
        _expect_honest(report, ended, states["sent"])
        place.api.control.rules([])
        settle(place, report, eligible)
        report.rounds += 1
        report.tried += len(eligible)


def _expect_honest(report: Report, ended: Ended, sent: int) -> None:
    """What the pass printed is what the database says."""
    if ended.out.strip():
        said = json.loads(ended.out)["sent"]
        report.expect(said == sent, f"it said {said} sent, the database {sent}")


def _crowd(users: int) -> tuple[list[dict[str, object]], set[int]]:
    wanted = [discount_user() for _ in range(users)]
    others = [user(), bonus_user(), discount_user(balance=1)]
    return [*wanted, *others], {u["telegram_id"] for u in wanted}


def _state(document: dict[str, object]) -> object:
    slots = document.get("ozh_notify")
    delivery = slots.get("discount") if isinstance(slots, dict) else None
    return delivery.get("state") if isinstance(delivery, dict) else None
