"""Checks the field mapping against real user documents before a pass messages anyone. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign, Criterion, Kind
from ozh_notify.config.problem import Problem
from ozh_notify.users.recipient import MISSING, at_path, parse_chat_id

SAMPLE_SIZE = 200
"""How many users are looked at, the newest by ``_id``."""
MIN_SAMPLE = 100
"""With at least this many users in the sample, an error ends the pass; with fewer it warns."""
ANY_TIME = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
"""The fields that a campaign reads do not depend on the moment."""
MIN_VALUES = 20
"""With at least this many values of a wrong type, we blame the mapping, not single documents."""


@dataclass
class Findings:
    """What looks wrong in a sample of users."""

    errors: list[Problem] = field(default_factory=list)
    """These end the pass."""
    warnings: list[Problem] = field(default_factory=list)


def check_mapping(sample: Sequence[Any], campaign: Campaign) -> Findings:
    """Compare the newest users with what the campaign's criteria expect of their fields."""
    found, settings = Findings(), campaign.settings
    if not sample:
        text = f"the collection {settings.users_collection!r} is empty"
        remedy = "are MONGO_DB_NAME and OZH_USERS_COLLECTION right?"
        found.warnings.append(Problem("OZH_USERS_COLLECTION", text, remedy))
        return found
    errors = found.errors if len(sample) >= MIN_SAMPLE else found.warnings
    if not any(parse_chat_id(at_path(user, settings.field_chat_id)) for user in sample):
        text = f"none of {len(sample)} users has a usable chat id in {settings.field_chat_id!r}"
        errors.append(Problem("OZH_FIELD_CHAT_ID", text))
    for criterion in criteria_by_variable(campaign):
        _check_field(sample, criterion, campaign, errors, found.warnings)
    return found


def _check_field(
    sample: Sequence[Any],
    criterion: Criterion,
    campaign: Campaign,
    errors: list[Problem],
    warnings: list[Problem],
) -> None:
    values = present_values(sample, criterion)
    types = Counter(map(type_name, values))
    if not values:
        problem, is_error = _missing(criterion, campaign, len(sample))
        (errors if is_error else warnings).append(problem)
    elif not any(name in criterion.kind.value for name in types):
        expected = criterion.kind.name.lower()
        text = f"the field {criterion.field!r} holds {_listed(types)}, but {expected} is expected"
        blamed = errors if len(values) >= MIN_VALUES else warnings
        blamed.append(Problem(criterion.variable, text))


def present_values(sample: Sequence[Any], criterion: Criterion) -> list[Any]:
    """The values of a criterion's field; null counts as a value only of a flag."""
    values = [at_path(user, criterion.field) for user in sample]
    absent = (MISSING,) if criterion.kind is Kind.FLAG else (MISSING, None)
    return [value for value in values if not any(value is one for one in absent)]


def _missing(criterion: Criterion, campaign: Campaign, users: int) -> tuple[Problem, bool]:
    """What to say of a field that no user has, and whether it ends the pass."""
    variable = criterion.variable
    text = f"the field {criterion.field!r} is in none of {users} users"
    if criterion.kind is not Kind.FLAG:
        remedy = f"name the right field in {variable}, or nobody is eligible"
        return Problem(variable, text, remedy), False
    if campaign.settings.set_explicitly(variable):
        remedy = "as the variable is set, it counts as false in all"
        return Problem(variable, text, remedy), False
    return Problem(variable, text, "set the variable if that is its name all the same"), True


def type_name(value: Any) -> str:
    """The BSON type of a value, by the name that ``$type`` has for it."""
    if value is None:
        return "null"
    names = {
        "bool": "bool",
        "int": "int",
        "Int64": "long",
        "float": "double",
        "Decimal128": "decimal",
        "str": "string",
        "datetime": "date",
        "DatetimeMS": "date",
        "list": "array",
        "dict": "object",
        "ObjectId": "objectId",
        "bytes": "binData",
        "Binary": "binData",
        "Timestamp": "timestamp",
    }
    return names.get(type(value).__name__, type(value).__name__)


def criteria_by_variable(campaign: Campaign) -> list[Criterion]:
    """One criterion per variable and field.

    Two variables may name one field by mistake, which cannot be right for both.
    """
    criteria = campaign.criteria(ANY_TIME)
    return list({(c.variable, c.field): c for c in criteria}.values())


def _listed(types: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in types.most_common())
