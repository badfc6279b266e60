"""What follows every disturbed pass: normal ones, after which everybody is accounted for."""

from __future__ import annotations

from collections import Counter

from tests.torture.checker import judge
from tests.torture.ground import Ground
from tests.torture.report import Report

SENT = {"ozh_notify.discount.state": "sent"}
CLAIMED = {"ozh_notify.discount.claim": {"$exists": True}}


def settle(ground: Ground, report: Report, eligible: set[int]) -> Counter[str]:
    """A normal pass beside the claims that were left, and one after their lease.

    None where all are `sent` already; `judge` makes sure that a pass would find nobody.
    """
    if ground.users.count_documents(SENT) == len(eligible):
        return judge(report, list(ground.users.find()), ground.messages(), "discount", eligible)
    report.expect(not (failed := _normal(ground)), f"the next pass: {failed}")
    if ground.users.count_documents(CLAIMED):
        ground.lapse()
        report.expect(not (failed := _normal(ground)), f"the pass after the lease: {failed}")
    documents = list(ground.users.find())
    states = judge(report, documents, ground.messages(), "discount", eligible)
    report.expect(not states["sending"], f"{states['sending']} were not swept")
    report.unknown += states["unknown"]
    return states


def _normal(ground: Ground) -> str:
    ended = ground.run("discount", "--rate", "1000")
    return f"exit {ended.code}: {ended.err}" if ended.code else ""
