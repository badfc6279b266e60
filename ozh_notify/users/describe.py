"""Values and conditions in words that a support person understands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ozh_notify.config.settings import Settings, local
from ozh_notify.users.recipient import MISSING

LONGEST = 60
"""Characters of a value that are shown."""

OPERATORS = {
    "$eq": "is",
    "$ne": "is not",
    "$gt": "is above",
    "$gte": "is at least",
    "$lt": "is below",
    "$lte": "is at most",
}
ON_DATES = {
    "$gt": "is after",
    "$gte": "is not before",
    "$lt": "is before",
    "$lte": "is not after",
}


def value(found: Any, settings: Settings) -> str:
    """What a document holds; a date in the operator's zone."""
    if found is MISSING:
        return "not set"
    if found is None:
        return "null"
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, datetime):
        return moment(found, settings)
    if isinstance(found, str):
        shown = f'"{found}"'
    elif isinstance(found, Mapping):
        return "an object"
    elif isinstance(found, list):
        return "a list"
    else:
        shown = str(found)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def moment(at: datetime, settings: Settings) -> str:
    """A moment in the operator's zone; in UTC where that would leave the calendar."""
    try:
        return f"{local(at, settings):%Y-%m-%d %H:%M:%S %Z}"
    except OverflowError:  # some backends write the year 1 for "never"
        return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def condition(wanted: Mapping[str, Any], settings: Settings) -> str:
    """What a criterion asks of its field: ``is 1``, ``is before 2026-11-23 11:00:00 MSK``."""
    return " and ".join(_one(name, limit, settings) for name, limit in wanted.items())


def _one(name: str, limit: Any, settings: Settings) -> str:
    if name == "$in" and isinstance(limit, list):
        set_to = [value(one, settings) for one in limit if one is not None]
        return "is " + " or ".join([*set_to, *(["not set"] if None in limit else [])])
    known = ON_DATES if isinstance(limit, datetime) else OPERATORS
    return f"{known.get(name, name)} {value(limit, settings)}"
