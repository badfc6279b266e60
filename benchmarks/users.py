"""Made-up users, many and fast."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from benchmarks.environment import Users
from ozh_notify.sandbox.demo.users import FAR, NAMES

BATCH = 10_000
Document = dict[str, Any]


def now() -> datetime:
    """The moment, as MongoDB keeps it."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def fill(users: Users, documents: Iterator[Document]) -> None:
    """Insert them, in unordered batches."""
    while batch := list(islice(documents, BATCH)):
        users.insert_many(batch, ordered=False)


def due(count: int) -> Iterator[Document]:
    """Users the discount is for; three in ten have a first name of their own."""
    moment, chance = now(), random.Random(1)  # noqa: S311 - repeatable, not secret
    for number in range(count):
        name = chance.choice(NAMES) + (f" {number}" if number % 10 < 3 else "")
        ago = timedelta(hours=25 + 200 * chance.random())
        yield {**_user(number, moment), **_spent(moment - ago), "first_name": name}


def with_fields(documents: Iterator[Document]) -> Iterator[Document]:
    """The same users with the fields that the message of :mod:`benchmarks.messages` names."""
    for number, user in enumerate(documents):
        yield {
            **user,
            "last_picture": {"title": f"Picture {number}", "file_id": "A" * 40},
            "credits": 1000 + number / 2,
            "expires_at": user["registered_at"] + timedelta(days=600),
        }


def idle(count: int) -> Iterator[Document]:
    """Users nobody wants to message, of the make-up that :func:`everybody` has."""
    return everybody(count, due_discount=0, due_bonus=0)


def everybody(count: int, *, due_discount: int, due_bonus: int) -> Iterator[Document]:
    """A whole collection: a fifth unreachable, three tenths offered, a few due, others with money.

    Among those, as many again as are due registered lately but have their bonus, or are held.
    """
    moment, chance = now(), random.Random(2)  # noqa: S311
    for number in range(count):
        user = _user(number, moment)
        part = number % 10
        if part < 2:
            user.update(_spent(moment - timedelta(days=40 * chance.random() + 2)))
            user["ozh_notify"] = {"discount": _held(moment, chance, "unreachable")}
        elif part < 5:
            user.update(_spent(moment - timedelta(days=400 * chance.random() + 2)))
            user["discount_offered"] = True
            user["ozh_notify"] = {"discount": {**_held(moment, chance, "sent"), "hold_until": FAR}}
        elif due_discount and part == 5:
            due_discount -= 1
            user.update(_spent(moment - timedelta(hours=25 + 200 * chance.random())))
        elif due_bonus and part == 6:
            due_bonus -= 1
            user["registered_at"] = moment - timedelta(hours=70 * chance.random())
        elif part == 7 and number < count / 10:
            user["registered_at"] = moment - timedelta(hours=70 * chance.random())
            if number % 20 == 7:
                user["daily_bonus_claimed_today"] = True
            else:
                user["ozh_notify"] = {"daily_bonus": _held(moment, chance, "sent")}
        yield user


def _user(number: int, moment: datetime) -> Document:
    return {
        "telegram_id": 1000 + number,
        "first_name": NAMES[number % len(NAMES)],
        "language_code": "ru",
        "registered_at": moment - timedelta(days=10 + number % 500),
        "generations_count": 2 + number % 7,
        "balance": 1 + number % 5,
        "first_generation_at": moment - timedelta(days=9 + number % 500),
        "discount_offered": False,
        "daily_bonus_claimed_today": False,
    }


def _spent(at: datetime) -> Document:
    return {"generations_count": 1, "balance": 0, "first_generation_at": at}


def _held(moment: datetime, chance: random.Random, state: str) -> Document:
    until = moment + timedelta(days=1 + 29 * chance.random())
    return {"state": state, "hold_until": until, "run": "earlier", "at": moment, "attempts": 1}
