"""CONTRACT §3 said once more, in plain Python and without the program's code: who may be messaged.

A verdict is True or False, or None where either is right: a moment at the edge of a limit, or a
value of which the contract does not speak.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from bson import Decimal128
from bson.datetime_ms import DatetimeMS

Verdict = bool | None
Fields = Mapping[str, str]

MISSING = object()
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
EDGE = 2 * MINUTE
"""Milliseconds around a limit in which a pass may see a user on either side."""
CHAT_BITS = 52
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def discount(user: Any, fields: Fields, now: int) -> Verdict:
    """One generation, no balance, the first more than a day ago, never offered."""
    first = millis(at(user, fields["first_generation_at"]))
    return together(
        number(at(user, fields["generations_count"])) == 1,
        number(at(user, fields["balance"])) == 0,
        False if first is None else before(first, now - DAY),
        at(user, fields["discount_offered"]) in (False, None, MISSING)
        and not is_number(at(user, fields["discount_offered"])),
        free(user, "discount", now),
        chat(at(user, fields["telegram_id"])) is not None,
    )


def daily_bonus(user: Any, fields: Fields, now: int) -> Verdict:
    """Registered less than three days ago and not in the future, not claimed today."""
    registered = millis(at(user, fields["registered_at"]))
    return together(
        False if registered is None else before(now - 3 * DAY, registered),
        False if registered is None else before(registered, now + 5 * MINUTE),
        at(user, fields["daily_bonus_claimed_today"]) in (False, None, MISSING)
        and not is_number(at(user, fields["daily_bonus_claimed_today"])),
        free(user, "daily_bonus", now),
        chat(at(user, fields["telegram_id"])) is not None,
    )


def free(user: Any, key: str, now: int) -> Verdict:
    """Not muted, the state can be written to, and no delivery of this campaign holds the user."""
    root = at(user, "ozh_notify")
    if not holder(root):
        return False
    muted, delivery = at(root, "muted"), at(root, key)
    if muted is True or not holder(delivery):
        return False
    hold, state = at(delivery, "hold_until"), at(delivery, "state")
    if hold not in (None, MISSING) and millis(hold) is None:
        return False
    if lapsed(user, key, now):
        return over(at(delivery, "at"), now) if key == "daily_bonus" else False
    moment = millis(hold)
    unheld = True if moment is None else before(moment, now)
    # Of a list that holds the word, the contract does not speak; leaving alone is the safe side.
    odd = None if holds(muted, True) or holds(state, "sending") else True
    return together(unheld, state != "sending", odd)


def lapsed(user: Any, key: str, now: int) -> bool:
    """Whether it looks as a pass left it that died: the next one's sweep makes it `unknown`."""
    delivery = at(user, f"ozh_notify.{key}")
    hold = millis(at(delivery, "hold_until"))
    state, claim = at(delivery, "state"), at(delivery, "claim")
    sending = (state == "sending" or holds(state, "sending")) and claim is not MISSING
    return sending and hold is not None and hold <= now


def over(claimed: Any, now: int) -> Verdict:
    """Whether the day of a swept claim is over, so that it holds the user no more."""
    moment = millis(claimed)
    if moment is None or isinstance(claimed, DatetimeMS):
        return None if moment else False
    return True if moment < now - 2 * DAY else None


def chat(value: Any) -> int | None:
    """The chat id a value stands for, if it is usable."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,16}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**CHAT_BITS
    return int(value) if usable else None


def at(document: Any, path: str) -> Any:
    """The value at a dotted path."""
    for part in path.split("."):
        if not isinstance(document, Mapping) or part not in document:
            return MISSING
        document = document[part]
    return document


def millis(value: Any) -> int | None:
    """A BSON date in milliseconds, also one that Python cannot hold."""
    if isinstance(value, DatetimeMS):
        return int(value)
    if isinstance(value, datetime):
        return int((value - EPOCH).total_seconds() * 1000)
    return None


def number(value: Any) -> Decimal | None:
    """A BSON number that is one."""
    if not is_number(value):
        return None
    exact = value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)
    return None if exact.is_nan() else exact


def is_number(value: Any) -> bool:
    """Whether BSON calls it a number; a boolean is none."""
    return isinstance(value, int | float | Decimal128) and not isinstance(value, bool)


def holder(value: Any) -> bool:
    """Whether a field can be set inside it."""
    return value is None or value is MISSING or isinstance(value, Mapping)


def holds(value: Any, what: Any) -> bool:
    """Whether it is a list with such an element."""
    return isinstance(value, list) and what in value


def before(one: int, other: int) -> Verdict:
    """Whether a moment comes before another, unless that is too close to tell."""
    return None if abs(one - other) < EDGE else one < other


def together(*verdicts: Verdict) -> Verdict:
    """All of them: False if any is, else None if any is."""
    if False in verdicts:
        return False
    return None if None in verdicts else True
