"""A backend that saves stale documents, erases the delivery state, and makes a chat a few times."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from bson import Int64, ObjectId

from tests.helpers.users import Users, ago, discount_user
from tests.torture.backend_writes import beside
from tests.torture.environment import CAMPAIGNS, Environment, kill
from tests.torture.journal_checker import judge_journal, settle_journal
from tests.torture.report import Report

Document = dict[str, Any]
Write = Callable[[], object]
Make = Callable[[Users, Sequence[Document], random.Random], Write]

PAUSE = 0.003
"""Seconds between two writes of the backend."""
RATE = 100
COPIES = 200
"""Documents that the backend holds in memory, each as it was at some moment."""
PASSES = 8
DOCUMENTS = 5
"""Documents of one chat, at most."""


def stale_saves(users: Users, people: Sequence[Document], rng: random.Random) -> Write:
    """Reads whole documents, and saves them at a later moment as they were."""
    copies = [dict(person) for person in people]

    def write() -> None:
        number = rng.randrange(len(copies))
        if rng.random() < 0.4:
            found = users.find_one({"_id": rng.choice(people)["_id"]})
            if found and len(copies) < len(people) + COPIES:
                copies.append(dict(found))
            elif found:
                copies[number] = dict(found)
        else:
            users.replace_one({"_id": copies[number]["_id"]}, copies[number])

    return write


def erased(users: Users, people: Sequence[Document], rng: random.Random) -> Write:
    """Removes the state of all campaigns, or of one; sometimes the flag is reset with it."""

    def write() -> None:
        path = rng.choice(("ozh_notify", "ozh_notify.discount"))
        update: Document = {"$unset": {path: 1}}
        if rng.random() < 0.5:
            update["$set"] = {"discount_offered": False}
        users.update_one({"_id": rng.choice(people)["_id"]}, update)

    return write


def spoiled(place: Environment, report: Report, rounds: int, users: int, *, make: Make) -> None:
    """The backend writes before a pass, while it runs, after ``kill -9``, and beside the next one.

    Every third pass is not killed. Then the backend rests, and normal passes tell of everybody.
    """
    for number in range(rounds):
        people = [discount_user(_id=ObjectId()) for _ in range(users)]
        chats = {u["telegram_id"] for u in people}
        write = make(place.fresh(people), people, place.rng)
        with beside(write, PAUSE, lambda: True):
            _killed(place, report, users, dies=number % 3 < 2)
            time.sleep(place.rng.uniform(0, 0.3))
            if place.rng.random() < 0.5:
                place.lapse()
            ended = place.run("discount", "--rate", "200")
            report.expect(ended.code == 0, f"the next pass: exit {ended.code}: {ended.err}")
        settle_journal(place, report, "discount", chats)
        report.rounds += 1
        report.tried += users


def _killed(place: Environment, report: Report, users: int, *, dies: bool) -> None:
    running = place.start("discount", "--rate", str(RATE))
    if dies:
        place.await_moment(running, users)
        kill(running)
    else:
        ended = running.wait()
        report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        report.notes["overwritten"] += "while the message went out" in ended.err


def five_documents(place: Environment, report: Report, rounds: int, users: int) -> None:
    """A chat in up to five documents, its id an int, a double or a string; eight passes at once."""
    for _ in range(rounds):
        people = [one for _ in range(users) for one in _documents(discount_user(), place.rng)]
        chats = {int(u["telegram_id"]) for u in people}
        place.rng.shuffle(people)
        place.fresh(people)
        running = [
            place.start(name, "--rate", "200") for name in list(CAMPAIGNS.values()) * (PASSES // 2)
        ]
        for one in running:
            ended = one.wait()
            report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        for key in CAMPAIGNS:
            judge_journal(place, report, key, chats, ended=False)
            states = settle_journal(place, report, key, chats)
            report.expect(states["sent"] == users, f"{key}: {states}")
        report.rounds += 1
        report.tried += 2 * users
        report.notes["documents"] += len(people)


def _documents(user: Document, rng: random.Random) -> list[Document]:
    """One to five documents of one chat."""
    chat = int(user["telegram_id"])
    types: list[Any] = [chat, Int64(chat), float(chat), str(chat), chat]
    fresh = {**user, "registered_at": ago(hours=40)}
    fresh.pop("_id", None)
    some = rng.sample(types, rng.randint(1, DOCUMENTS))
    return [{**fresh, "_id": ObjectId(), "telegram_id": value} for value in some]
