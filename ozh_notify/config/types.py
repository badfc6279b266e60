"""Parses and checks the text of each setting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, SecretStr

from ozh_notify.config.addresses import (
    bot_api_url,
    button_target,
    http_url,
    mongo_uri,
    proxy,
    token,
)


def _bool(value: object) -> object:
    if isinstance(value, str):
        word = value.lower()
        if word in ("true", "1", "yes", "on"):
            return True
        if word in ("false", "0", "no", "off"):
            return False
        raise ValueError("expected True or False")
    return value


def _path(value: str) -> str:
    """A field path; each part as MongoDB allows it in an update."""
    if not all(part and not part.startswith("$") and "\0" not in part for part in value.split(".")):
        raise ValueError("expected a field path such as name or profile.name")
    return value


def _top_level(value: str) -> str:
    if "." in _path(value):
        raise ValueError("expected the name of a top-level field, without dots")
    return value


def _clock_time(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value)
    if not match:
        raise ValueError("expected a time of day such as 11:00")
    return time(int(match[1]), int(match[2]))


def _hours(value: object) -> object:
    if not isinstance(value, str):
        return value
    start, dash, end = value.partition("-")
    if not dash or start.strip() == end.strip():
        raise ValueError("expected two different times of day such as 22:00-09:00")
    try:
        return _clock_time(start.strip()), _clock_time(end.strip())
    except ValueError:
        raise ValueError("expected two times of day such as 22:00-09:00") from None


def _zone(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected an IANA time zone such as Europe/Moscow") from None


def _filter(value: object) -> object:
    if not isinstance(value, str):
        return value
    from bson import json_util  # noqa: PLC0415 - only when the variable is set

    try:
        parsed = json_util.loads(value)
    except Exception:
        raise ValueError(
            'expected a MongoDB filter as JSON such as {"banned": {"$ne": true}}'
        ) from None
    if not isinstance(parsed, dict):
        raise ValueError('expected a JSON object such as {"banned": {"$ne": true}}')
    for operator in _operators(parsed):
        if operator in FIND_ONLY:
            raise ValueError(f"{operator} works in some queries only: use other operators")
    return parsed


FIND_ONLY = ("$where", "$near", "$nearSphere", "$text")
"""Operators that a $match stage or a count refuses; MongoDB's manual, "$match", Restrictions."""


def _operators(value: object) -> Iterator[str]:
    """Every key that begins with $, however deep."""
    if isinstance(value, dict):
        yield from (key for key in value if key.startswith("$"))
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _operators(one)


def _chat(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"-?\d+", value):
        raise ValueError("expected the number of a Telegram chat")
    return value


def database_name(value: str) -> str:
    """A name MongoDB allows for a database.

    Raises:
        ValueError: it is not one; with what was expected.
    """
    if not re.fullmatch(r'[^/\\. "$*<>:|?\0]{1,63}', value):
        raise ValueError("expected a database name: up to 63 characters, no blanks, dots, slashes")
    return value


def _collection_name(value: str) -> str:
    if not re.fullmatch(r"(?!system\.)[^$\0.][^$\0]*", value) or ".." in value:
        raise ValueError("expected a collection name")
    return value


def _journal_collection(value: object) -> object:
    """``off`` becomes None."""
    if not isinstance(value, str):
        return value
    return None if value.lower() == "off" else _collection_name(value)


def _experiment_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", value):
        raise ValueError("expected a name of 1 to 40 characters out of a-z, 0-9 and -")
    return value


def _day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a day such as 2026-12-31") from None


def _metrics_file(value: str) -> str:
    if "{campaign}" not in value:
        raise ValueError("expected a path with {campaign} in it: each campaign has its own file")
    return value


FieldPath = Annotated[str, AfterValidator(_path)]
TopLevelField = Annotated[str, AfterValidator(_top_level)]
Flag = Annotated[bool, BeforeValidator(_bool)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Hours = Annotated[tuple[time, time], BeforeValidator(_hours)]
Zone = Annotated[Any, BeforeValidator(_zone)]
Filter = Annotated[Any, BeforeValidator(_filter)]
MetricsFile = Annotated[str, AfterValidator(_metrics_file)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
BotApiUrl = Annotated[str, AfterValidator(bot_api_url)]
MongoUri = Annotated[SecretStr, AfterValidator(mongo_uri)]
DatabaseName = Annotated[str, AfterValidator(database_name)]
CollectionName = Annotated[str, AfterValidator(_collection_name)]
JournalCollection = Annotated[str | None, BeforeValidator(_journal_collection)]
ExperimentName = Annotated[str, AfterValidator(_experiment_name)]
Day = Annotated[date, BeforeValidator(_day)]
Token = Annotated[SecretStr, AfterValidator(token)]
Proxy = Annotated[SecretStr, AfterValidator(proxy)]
ButtonTarget = Annotated[str, AfterValidator(button_target)]
ChatNumber = Annotated[int, BeforeValidator(_chat)]
