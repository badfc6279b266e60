"""Filters of templates: numbers, dates and word forms, as a Russian reader expects them. Pure.

In the templates of another language dates and numbers are written as ISO 8601 and in English.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

NO_BREAK = "\u00a0"
MONTHS = (
    *("января", "февраля", "марта", "апреля", "мая", "июня"),
    *("июля", "августа", "сентября", "октября", "ноября", "декабря"),
)


def plural(count: object, one: str, few: str, many: str) -> str:
    """The Russian form for a number: 1 день, 3 дня, 5 дней, 2.5 дня."""
    if str(count) == "":  # a field that the user does not have
        return ""
    number = float(str(count))
    if not number.is_integer():
        return few
    if number % 100 in (11, 12, 13, 14):
        return many
    return one if number % 10 == 1 else few if number % 10 in (2, 3, 4) else many


def date(value: Any, form: str = "", *, zone: tzinfo, russian: bool) -> str:
    """A date in the operator's zone: 5 декабря 2026, or as ``strftime`` writes ``form``.

    Empty for anything that is not a date.
    """
    if not isinstance(value, datetime):
        return ""
    local = value.astimezone(zone)
    if form:
        return local.strftime(form)
    if not russian:
        return f"{local:%Y-%m-%d}"
    return f"{local.day}{NO_BREAK}{MONTHS[local.month - 1]}{NO_BREAK}{local.year}"


def number(value: Any, digits: int | None = None, *, russian: bool) -> str:
    """A number with its thousands apart: 1 234 567,5. Empty for anything that is not a number.

    ``digits`` is how many stand after the comma; without it, as many as the number has.
    """
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return ""
    if not exact.is_finite() or isinstance(value, bool) or abs(exact) > 10**18:
        return ""
    if digits is not None:
        text = f"{exact:,.{digits}f}"
    else:
        text = f"{exact:,f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace(",", NO_BREAK).replace(".", ",") if russian else text


def shown(value: Any, *, zone: tzinfo, russian: bool) -> Any:
    """A value that a template prints without a filter."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return date(value, zone=zone, russian=russian)
    if isinstance(value, float | Decimal):
        return number(value, russian=russian)
    if isinstance(value, tuple):
        return ", ".join(str(shown(one, zone=zone, russian=russian)) for one in value)
    return value
