"""Pure: what holds a user back whichever campaign it is: blocked, just messaged, unreachable.

A user who has blocked the bot and is back since then is not held back by what was found before:
the bot's own fields tell (`OZH_FIELD_BLOCKED`, `OZH_FIELD_BLOCKED_AT`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ozh_notify.config.settings import Settings
from ozh_notify.users.delivery_state import RETRY_UNREACHABLE_AFTER

Filter = dict[str, Any]


@dataclass(frozen=True)
class Restraint:
    """One condition on all campaigns; a user who fails it is counted as ``excluded_as``."""

    question: str
    field: str
    condition: Filter
    """Matches the users who are not held back."""
    excluded_as: str


def restraints(settings: Settings, now: datetime) -> list[Restraint]:
    """All of them, as far as the settings ask for them."""
    return [*_blocked(settings), *_gap(settings, now), _unreachable(settings, now)]


def is_back_since(settings: Settings, moment: Any) -> Filter | None:
    """Users who unblocked the bot after ``moment``, an expression; None where no field tells."""
    if not (settings.field_blocked and settings.field_blocked_at):
        return None
    later = {"$gt": [f"${settings.field_blocked_at}", moment]}
    a_date = {"$type": "date", "$not": {"$type": "array"}}
    return {
        settings.field_blocked: {"$eq": False},
        settings.field_blocked_at: a_date,
        "$expr": later,
    }


def _blocked(settings: Settings) -> list[Restraint]:
    field = settings.field_blocked
    if not field:
        return []
    return [Restraint("has not blocked the bot", field, {field: {"$ne": True}}, "blocked the bot")]


def _gap(settings: Settings, now: datetime) -> list[Restraint]:
    hours, field = settings.min_gap_hours, f"{settings.state_field}.last_sent_at"
    if not hours:
        return []
    condition = {field: {"$not": {"$gt": now - timedelta(hours=hours)}}}
    question = f"no message of any campaign within {hours:g} hours"
    return [Restraint(question, field, condition, f"messaged within {hours:g} hours")]


def _unreachable(settings: Settings, now: datetime) -> Restraint:
    field = f"{settings.state_field}.unreachable_until"
    condition: Filter = {field: {"$not": {"$gt": now}}}
    if back := is_back_since(settings, _found_at(field)):
        condition = {"$or": [condition, back]}
    return Restraint("no campaign found the user unreachable", field, condition, "unreachable")


def _found_at(field: str) -> Mapping[str, Any]:
    """When a campaign found the user unreachable; a field that is not a date never was.

    As a number in between: the embedded server of the tests subtracts nothing from a date.
    """
    milliseconds = int(RETRY_UNREACHABLE_AFTER / timedelta(milliseconds=1))
    found = {"$toDate": {"$subtract": [{"$toLong": f"${field}"}, milliseconds]}}
    return {"$cond": [{"$eq": [{"$type": f"${field}"}, "date"]}, found, None]}
