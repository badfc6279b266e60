"""A pass that is frozen until others have settled what it had claimed, and then wakes up."""

from __future__ import annotations

import json
import signal
import time

from tests.helpers.users import discount_user
from tests.torture.checker import judge
from tests.torture.environment import WRAPPER, Environment
from tests.torture.report import Report

SEND_LIMIT, MARGIN, WAKE_MARGIN = 1.0, 4.0, 2.0
LEASE = SEND_LIMIT + MARGIN
"""Seconds; the flood budget, its third part, is 0 here."""
RATE = 50


def past_the_lease(place: Environment, report: Report, rounds: int, users: int) -> None:
    """SIGSTOP, sweep, resend by `reconcile` and a second pass, SIGCONT: nothing goes out twice.

    What had reached a chat before the freeze is in doubt for everybody else, and a person may
    resend it; what had not must not go out again on the old claim.
    """
    for _ in range(rounds):
        people = [discount_user() for _ in range(users)]
        eligible = {u["telegram_id"] for u in people}
        place.fresh(people)
        frozen = place.start(
            "discount",
            "--rate",
            str(RATE),
            program=place.wrapped(WRAPPER),
            OZH_FLOOD_BUDGET_SECONDS="0",
            TORTURE_SEND_LIMIT=str(SEND_LIMIT),
            TORTURE_LEASE_MARGIN=str(MARGIN),
            TORTURE_WAKE_MARGIN=str(WAKE_MARGIN),
        )
        place.await_messages(place.rng.randint(1, users // 2), frozen)
        time.sleep(place.rng.uniform(0, 0.05))
        frozen.signal(signal.SIGSTOP)
        time.sleep(0.3)
        before = {message["chat_id"] for message in place.messages()}
        claimed = place.users.count_documents({"ozh_notify.discount.state": "sending"})
        time.sleep(LEASE + 0.2)
        # The first call sweeps, and leaves to the second what its sweep made unknown.
        place.run("reconcile", "discount", "--resend", "--yes", "--json")
        ended = place.run("reconcile", "discount", "--resend", "--yes", "--json")
        resent = json.loads(ended.out)["settled"] if ended.code == 0 else -1
        report.expect(0 <= resent <= claimed, f"{claimed} claimed, {resent} resent: {ended.err}")
        second = place.run("discount", "--rate", "500")
        report.expect(second.code == 0, f"the second pass: exit {second.code}: {second.err}")
        frozen.signal(signal.SIGCONT)
        woken = frozen.wait()
        report.notes[f"woken: exit {woken.code}"] += 1
        report.notes["claimed at the freeze"] += claimed
        # 74: what it had delivered was resent meanwhile, and stands nowhere as its own.
        report.expect(woken.code in (0, 74, 75), f"woken: exit {woken.code}: {woken.err}")
        time.sleep(0.2)
        documents = list(place.users.find())
        judge(report, documents, place.messages(), "discount", eligible, excused=before)
        report.rounds += 1
        report.tried += users
