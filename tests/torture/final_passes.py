"""What follows every disturbed pass: normal ones, after which everybody is accounted for."""

from __future__ import annotations

from collections import Counter

from tests.torture.checker import judge
from tests.torture.environment import Environment
from tests.torture.report import Report

SENT = {"ozh_notify.discount.state": "sent"}
CLAIMED = {"ozh_notify.discount.claim": {"$exists": True}}


def settle(place: Environment, report: Report, eligible: set[int]) -> Counter[str]:
    """A normal pass beside the claims that were left, and one after their lease.

    None where all are `sent` already; `judge` makes sure that a pass would find nobody.
    """
    if place.users.count_documents(SENT) == len(eligible):
        return judge(report, list(place.users.find()), place.messages(), "discount", eligible)
    report.expect(not (failed := _normal(place)), f"the next pass: {failed}")
    if place.users.count_documents(CLAIMED):
        place.lapse()
        report.expect(not (failed := _normal(place)), f"the pass after the lease: {failed}")
    documents = list(place.users.find())
    states = judge(report, documents, place.messages(), "discount", eligible)
    report.expect(not states["sending"], f"{states['sending']} were not swept")
    report.unknown += states["unknown"]
    return states


def _normal(place: Environment) -> str:
    ended = place.run("discount", "--rate", "1000")
    return f"exit {ended.code}: {ended.err}" if ended.code else ""
