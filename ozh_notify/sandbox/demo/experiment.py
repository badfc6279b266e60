"""The demo's experiment, as if it had been run a month ago: entries of the journal, all judged."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

NAME = "october"
ARMS = {"treated": (800, 104), "control": (800, 64)}
"""Users of each arm, and how many of them came back."""
FIRST_CHAT = 900_000_000
"""Chats that none of the demo's users has."""
SHARE, GOAL_DAYS = 50, 7


def past_experiment(now: datetime) -> list[dict[str, Any]]:
    """Documents of the journal: the experiment, and an entry for each of its users."""
    started = now - timedelta(days=45)
    experiment = {
        "_id": f"experiment:discount:{NAME}",
        "campaign": "discount",
        "name": NAME,
        "share": SHARE,
        "goal_days": GOAL_DAYS,
        "until": (now - timedelta(days=15)).date().isoformat(),
        "started_at": started,
    }
    arms = [(arm, n < back) for arm, (count, back) in ARMS.items() for n in range(count)]
    entries = [
        _entry(FIRST_CHAT + number, arm, came_back, started + timedelta(minutes=25 * number))
        for number, (arm, came_back) in enumerate(arms)
    ]
    return [experiment, *entries]


def _entry(chat: int, arm: str, came_back: bool, at: datetime) -> dict[str, Any]:
    judge_at = at + timedelta(days=GOAL_DAYS)
    return {
        "_id": f"discount:{chat}",
        "campaign": "discount",
        "chat_id": chat,
        "user": chat,
        "state": "sent" if arm == "treated" else "held_out",
        "claim": "20261013T090000Z-0a1b2c3d-1",
        "run": "20261013T090000Z-0a1b2c3d",
        "at": at,
        "claimed_at": at,
        "attempts": 1,
        "experiment": NAME,
        "arm": arm,
        "share": SHARE,
        "judge_at": judge_at,
        "judged_at": judge_at,
        "goal": came_back,
        "baseline": {"generations": 1},
    }
