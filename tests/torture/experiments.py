"""An experiment in which passes die: both arms stay complete, and nobody held out is messaged."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.helpers.users import discount_user
from tests.torture.environment import Environment, kill
from tests.torture.report import Report

NAME = "torture"
SHARE = 30
RATE = 200
KILLS = 3
"""Passes of one round that die before the ones that end."""


def killed_at_random(place: Environment, report: Report, rounds: int, users: int) -> None:
    """``kill -9`` at random moments; then passes that end, and a look at every entry."""
    until = (datetime.now(timezone.utc) + timedelta(days=30)).date().isoformat()
    extra = {
        "OZH_DISCOUNT_HOLDOUT": str(SHARE),
        "OZH_DISCOUNT_EXPERIMENT": NAME,
        "OZH_DISCOUNT_EXPERIMENT_UNTIL": until,
    }
    for _ in range(rounds):
        people: list[dict[str, Any]] = [discount_user() for _ in range(users)]
        place.fresh(people)
        place.users.database.ozh_notify_journal.drop()
        for _ in range(KILLS):
            running = place.start("discount", "--rate", str(RATE), **extra)
            place.await_moment(running, users // (KILLS + 1))
            kill(running)
        place.lapse()
        for _ in range(2):
            ended = place.start("discount", "--json", "--rate", "1000", **extra).wait()
            report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        _look(place, report, {u["telegram_id"] for u in people})
        report.rounds += 1
        report.tried += users


def _look(place: Environment, report: Report, chats: set[int]) -> None:
    """Every chat has one entry in the arm of its hash; a control has no message."""
    journal = place.users.database.ozh_notify_journal
    entries = {e["chat_id"]: e for e in journal.find({"experiment": NAME})}
    got = [message["chat_id"] for message in place.messages()]
    report.twice += len(got) - len(set(got))
    report.expect(len(got) == len(set(got)), "a user got two messages")
    missing = chats - entries.keys()
    report.lost += len(missing)
    report.expect(not missing, f"{len(missing)} users are in no arm")
    for chat, entry in entries.items():
        expected = "control" if _is_control(chat) else "treated"
        report.expect(entry["arm"] == expected, f"{chat} is {entry['arm']}, not {expected}")
        held = entry["state"] == "held_out"
        report.expect(held == (expected == "control"), f"{chat} {expected}: {entry['state']}")
        report.expect(not held or chat not in got, f"{chat} is held out and got a message")
    states = [entry["state"] for entry in entries.values()]
    report.expect("sending" not in states, "an entry is left in sending")
    report.unknown += states.count("unknown")


def _is_control(chat: int) -> bool:
    """The documented hash, worked out by itself."""
    digest = hashlib.sha256(f"{NAME}:discount:{chat}".encode()).hexdigest()
    return int(digest[:8], 16) % 10_000 < 100 * SHARE
