"""The fields that ``OZH_EXTRA_FILTER`` compares, and whether any user has them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ozh_notify.config.problem import Problem
from ozh_notify.users.recipient import MISSING, at_path


def check_extra_filter(sample: Sequence[Any], extra: Any) -> list[Problem]:
    """A warning for each field of ``OZH_EXTRA_FILTER`` that no user has: most likely a typo."""
    return [
        Problem(
            "OZH_EXTRA_FILTER",
            f"the field {path!r} is in none of {len(sample)} users",
            "a mistyped field keeps nobody out",
        )
        for path in missing_fields(sample, extra)
    ]


def missing_fields(sample: Sequence[Any], extra: Any) -> list[str]:
    """The fields of a filter that no user of a sample has."""
    fields = dict.fromkeys(filter_fields(extra))
    return [
        path for path in fields if sample and all(at_path(user, path) is MISSING for user in sample)
    ]


def filter_fields(where: Any) -> Iterator[str]:
    """The field paths that a MongoDB filter compares."""
    if isinstance(where, list):
        for one in where:
            yield from filter_fields(one)
    elif isinstance(where, dict):
        for name, value in where.items():
            if _is_path(name):
                yield name
            elif name == "$expr":
                yield from _expression_fields(value)
            elif name in ("$and", "$or", "$nor"):
                yield from filter_fields(value)


def _is_path(name: str) -> bool:
    return all(part and not part.startswith("$") for part in name.split("."))


def _expression_fields(value: Any) -> Iterator[str]:
    """Fields in an aggregation expression are strings that begin with one $."""
    if isinstance(value, str) and value.startswith("$") and _is_path(value[1:]):
        yield value[1:]
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _expression_fields(one)
