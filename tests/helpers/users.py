"""Users as the bot's backend would store them."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import Any

import pymongo
from pymongo.collection import Collection

Users = Collection[dict[str, Any]]
Client = pymongo.MongoClient[dict[str, Any]]

_chats = itertools.count(1000)


def now() -> datetime:
    """The moment, as MongoDB keeps it."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def ago(**units: float) -> datetime:
    """A moment that long ago."""
    return now() - timedelta(**units)


def user(**fields: Any) -> dict[str, Any]:
    """A user that no campaign wants to message."""
    return {
        "telegram_id": next(_chats),
        "first_name": "Анна",
        "language_code": "ru",
        "registered_at": ago(days=30),
        "generations_count": 3,
        "balance": 2,
        "first_generation_at": ago(days=29),
        "discount_offered": False,
        "daily_bonus_claimed_today": False,
        **fields,
    }


def discount_user(**fields: Any) -> dict[str, Any]:
    """A user the discount is for."""
    eligible = {"generations_count": 1, "balance": 0, "first_generation_at": ago(hours=30)}
    return user(**{**eligible, **fields})


def discount_users(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Users of the discount, newest first."""
    first = [ago(hours=30, minutes=n) for n in range(count)]
    return [discount_user(first_generation_at=moment, **fields) for moment in first]


def bonus_user(**fields: Any) -> dict[str, Any]:
    """A user the daily bonus is for."""
    return user(**{"registered_at": ago(hours=5), **fields})
