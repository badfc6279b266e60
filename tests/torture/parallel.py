"""Many passes at once."""

from __future__ import annotations

from typing import Any

from tests.helpers.users import ago, discount_user
from tests.torture.checker import judge
from tests.torture.environment import CAMPAIGNS, TEXTS, Environment
from tests.torture.report import Report

PASSES = 8


def eight_at_once(place: Environment, report: Report, rounds: int, users: int) -> None:
    """Eight passes, four of each campaign, over the same users: one message from each."""
    for _ in range(rounds):
        people: list[dict[str, Any]] = [
            discount_user(registered_at=ago(hours=40)) for _ in range(users)
        ]
        place.fresh(people)
        commands = list(CAMPAIGNS.values()) * (PASSES // 2)
        running = [place.start(name, "--rate", "200") for name in commands]
        for one in running:
            ended = one.wait()
            report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        documents = list(place.users.find())
        eligible = {u["telegram_id"] for u in people}
        for key, text in TEXTS.items():
            states = judge(report, documents, place.messages(text), key, eligible)
            report.expect(states["sent"] == users, f"{key}: {states}")
        report.rounds += 1
        report.tried += 2 * users
