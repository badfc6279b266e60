"""A backend that writes to the same users while a pass runs."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.helpers.users import Users, bonus_user, discount_user
from tests.torture.checker import judge
from tests.torture.environment import Environment
from tests.torture.report import Report

RATE = 200
"""At most; a pass of few users is to last a while."""
CHANGES: dict[str, dict[str, Any]] = {
    "discount": {"$set": {"balance": 5}},
    "daily_bonus": {"$set": {"daily_bonus_claimed_today": True}},
}


def leavers(place: Environment, report: Report, rounds: int, users: int) -> None:
    """Half of the users buy, claim the bonus or are deleted: nobody is claimed after that."""
    for _ in range(rounds):
        for key, make in (("discount", discount_user), ("daily_bonus", bonus_user)):
            _leave(place, report, key, [make() for _ in range(users)])
            report.rounds += 1
            report.tried += users


def _leave(place: Environment, report: Report, key: str, people: list[dict[str, Any]]) -> None:
    collection = place.fresh(people)
    leaving = place.rng.sample([u["telegram_id"] for u in people], len(people) // 2)
    gone: set[int] = set()
    deleted: set[int] = set()

    def change() -> None:
        who = {"telegram_id": leaving.pop()}
        # In two steps, because the servers of SecantusDB may answer findOneAndUpdate with a
        # document older than the one it changed.
        unclaimed = {**who, f"ozh_notify.{key}": {"$exists": False}}
        if place.rng.random() < 0.3:
            deleted.add(who["telegram_id"])
            left = collection.delete_one(unclaimed).deleted_count
            collection.delete_one(who)
        else:
            left = collection.update_one(unclaimed, CHANGES[key]).modified_count
            collection.update_one(who, CHANGES[key])
        if left:
            gone.add(who["telegram_id"])

    rate = min(RATE, len(people) // 2)
    pause = len(people) / rate / len(leaving) / 3
    running = place.start(key.replace("_", "-"), "--rate", str(rate))
    place.await_messages(1, running)
    with beside(change, pause, lambda: bool(leaving)):
        ended = running.wait()
    report.expect(ended.code == 0, f"{key}: exit {ended.code}: {ended.err}")
    ended = place.run(key.replace("_", "-"), "--rate", "1000")
    report.expect(ended.code == 0, f"{key}: exit {ended.code}: {ended.err}")
    messages = place.messages()
    report.notes[f"{key}: left unclaimed"] += len(gone)
    got = Counter(message["chat_id"] for message in messages)
    for chat in gone:
        report.expect(not got[chat], f"{key} {chat}: messaged after it had left")
    for chat in deleted:
        report.expect(got[chat] <= 1, f"{key} {chat}: {got[chat]} messages")
    kept = [m for m in messages if m["chat_id"] not in deleted]
    eligible = {u["telegram_id"] for u in people} - gone
    judge(report, list(collection.find()), kept, key, eligible)


def stale_flag(place: Environment, report: Report, rounds: int, users: int) -> None:
    """``discount_offered: false`` is written again and again, during three passes and between."""
    for _ in range(rounds):
        people = [discount_user() for _ in range(users)]
        chats = [u["telegram_id"] for u in people]
        collection = place.fresh(people)
        reset = functools.partial(_reset, collection, chats, place.rng)
        with beside(reset, 0.002, lambda: True):
            for _ in range(3):
                ended = place.run("discount")
                report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        place.users.update_many({}, {"$set": {"discount_offered": False}})
        ended = place.run("discount")
        report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        judge(report, list(collection.find()), place.messages(), "discount", chats, flag=False)
        report.rounds += 1
        report.tried += users


def _reset(collection: Users, chats: list[int], rng: random.Random) -> None:
    chat = rng.choice(chats)
    collection.update_one({"telegram_id": chat}, {"$set": {"discount_offered": False}})


@contextmanager
def beside(work: Callable[[], object], pause: float, more: Callable[[], bool]) -> Iterator[None]:
    """Do some work again and again in a thread while the block lasts."""
    done = threading.Event()
    failed: list[BaseException] = []

    def loop() -> None:
        try:
            while not done.is_set() and more():
                work()
                time.sleep(pause)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]
