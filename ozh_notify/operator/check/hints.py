"""Which field of the users may be meant where the mapped one is missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from ozh_notify.users.recipient import at_path

DEEPEST = 3
"""Nested objects are searched to this depth."""
ALIKE = 0.6
"""With at least this ratio, two names are taken to mean the same."""
MOST = 0.8
"""The share of a field's values that must fit."""

CALLED = {
    "OZH_FIELD_CHAT_ID": (
        *("telegram_id", "chat_id", "tg_id", "telegram_chat_id", "user_id", "uid", "_id"),
    ),
    "OZH_FIELD_FIRST_NAME": ("first_name", "name", "given_name"),
    "OZH_FIELD_USERNAME": ("username", "nick", "tg_username"),
    "OZH_FIELD_BLOCKED": ("is_blocked", "blocked", "blocked_bot", "kicked"),
    "OZH_FIELD_BLOCKED_AT": ("blocked_at", "blocked_changed_at"),
    "OZH_FIELD_REVENUE": ("paid_total", "revenue", "total_spent", "ltv"),
    "OZH_FIELD_LANGUAGE": ("language_code", "lang", "language", "locale"),
    "OZH_FIELD_REGISTERED_AT": (
        *("registered_at", "created_at", "joined_at", "registration_date", "signup_at"),
    ),
    "OZH_FIELD_GENERATIONS": (
        *("generations_count", "generations", "images_count", "pictures_count"),
    ),
    "OZH_FIELD_FIRST_GENERATION_AT": (
        *("first_generation_at", "first_generation", "first_image_at", "first_used_at"),
    ),
    "OZH_FIELD_BALANCE": ("balance", "credits", "coins", "tokens", "wallet"),
    "OZH_FIELD_DISCOUNT_OFFERED": (
        *("discount_offered", "offered", "discount_sent", "got_discount", "discount"),
    ),
    "OZH_FIELD_DAILY_BONUS_CLAIMED": (
        *("daily_bonus_claimed_today", "bonus_claimed", "claimed_today", "daily_bonus"),
    ),
}
"""What backends call the fields that these variables name; the defaults come first."""

Fits = Callable[[Any], bool]


def likelier_field(
    sample: Sequence[Mapping[str, Any]],
    variable: str,
    field: str,
    fits: Fits,
    taken: Iterable[str] = (),
) -> str | None:
    """The field whose name and values fit best, other than ``taken``; None where none does."""
    values = _values(sample)
    for path in (field, *taken):
        values.pop(path, None)
    wanted = [_plain(name) for name in (field, *CALLED.get(variable, ()))]
    ranked = [
        (_alike(path, wanted), len(found), path)
        for path, found in values.items()
        if sum(map(fits, found)) >= MOST * len(found)
    ]
    best = max(ranked, default=None)
    return best[2] if best and best[0] >= ALIKE else None


def _values(sample: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """All values by path, without nulls."""
    values: dict[str, list[Any]] = {}
    for user in sample:
        for path in _paths(user):
            value = at_path(user, path)
            if value is not None:
                values.setdefault(path, []).append(value)
    return values


def _paths(document: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[str]:
    for name, value in document.items():
        if "." in name or name.startswith("$"):
            continue
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            if depth < DEEPEST:
                yield from _paths(value, f"{path}.", depth + 1)
        else:
            yield path


def _alike(path: str, wanted: Iterable[str]) -> float:
    """How similar a path, or its last part, is to the most similar of the names."""
    names = {_plain(path), _plain(path.rpartition(".")[2])}
    return max(SequenceMatcher(None, name, one).ratio() for name in names for one in wanted)


def _plain(name: str) -> str:
    """``createdAt``, ``created_at`` and ``created-at`` become the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
