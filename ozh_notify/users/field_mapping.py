"""Checks the field mapping against real user documents before a pass messages anyone. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ozh_notify.campaigns import Campaign, Criterion, Kind
from ozh_notify.campaigns.base import CLOCK_DIFFERENCE
from ozh_notify.config.problem import Problem
from ozh_notify.users.extra_filter import check_extra_filter
from ozh_notify.users.recipient import MISSING, at_path, parse_chat_id

SAMPLE_SIZE = 200
"""How many users are looked at, the newest by ``_id``."""
MIN_SAMPLE = 100
"""With at least this many users in the sample, an error ends the pass; with fewer it warns."""
ANY_TIME = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
"""The fields that a campaign reads do not depend on the moment."""
MIN_VALUES = 20
"""With at least this many values of a wrong type, we blame the mapping, not single documents."""
MIN_FUTURE = 3
"""With at least this many dates in the future, we blame the backend, not a single test user."""

EXPECTED = {Kind.DATE: "a date", Kind.NUMBER: "a number", Kind.FLAG: "true or false"}


@dataclass
class Findings:
    """What looks wrong in a sample of users."""

    errors: list[Problem] = field(default_factory=list)
    """These end the pass."""
    warnings: list[Problem] = field(default_factory=list)


def check_mapping(sample: Sequence[Any], campaign: Campaign, now: datetime) -> Findings:
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
        found.warnings += check_dates(sample, criterion, now)
    found.warnings += check_extra_filter(sample, settings.extra_filter)
    return found


def _check_field(
    sample: Sequence[Any],
    criterion: Criterion,
    campaign: Campaign,
    errors: list[Problem],
    warnings: list[Problem],
) -> None:
    values = present_values(sample, criterion)
    wrong = Counter(name for name in map(type_name, values) if name not in criterion.kind.value)
    if not values:
        if problem := _missing(criterion, campaign, len(sample)):
            (warnings if criterion.kind is not Kind.FLAG else errors).append(problem)
    elif wrong.total() == len(values):
        expected = criterion.kind.name.lower()
        text = f"the field {criterion.field!r} holds {_listed(wrong)}, but {expected} is expected"
        blamed = errors if len(values) >= MIN_VALUES else warnings
        blamed.append(Problem(criterion.variable, text))
    elif wrong.total() >= MIN_VALUES:
        share = f"{wrong.total()} of {len(values)} values in {criterion.field!r}"
        text = f"{share} have a wrong type: {_listed(wrong)}"
        remedy = f"nobody is messaged where it is not {EXPECTED[criterion.kind]}"
        warnings.append(Problem(criterion.variable, text, remedy))


def present_values(sample: Sequence[Any], criterion: Criterion) -> list[Any]:
    """The values of a criterion's field; null counts as a value only of a flag."""
    values = [at_path(user, criterion.field) for user in sample]
    absent = (MISSING,) if criterion.kind is Kind.FLAG else (MISSING, None)
    return [value for value in values if not any(value is one for one in absent)]


def _missing(criterion: Criterion, campaign: Campaign, users: int) -> Problem | None:
    """What to say about a field that no user has.

    Many backends add a flag only when it becomes true: a flag that the operator named is right.
    """
    variable = criterion.variable
    text = f"the field {criterion.field!r} is in none of {users} users"
    if criterion.kind is not Kind.FLAG:
        remedy = f"name the right field in {variable}, or nobody is eligible"
        return Problem(variable, text, remedy)
    if criterion.explicit or campaign.settings.set_explicitly(variable):
        return None
    return Problem(variable, text, "set the variable if that is its name all the same")


def check_dates(sample: Sequence[Any], criterion: Criterion, now: datetime) -> list[Problem]:
    """A warning where several dates of the past lie in the future."""
    if criterion.kind is not Kind.DATE:
        return []
    dates = [v for v in present_values(sample, criterion) if isinstance(v, datetime)]
    late = [date - now for date in dates if date > now + CLOCK_DIFFERENCE]
    if len(late) < MIN_FUTURE:
        return []
    hours = max(late) / timedelta(hours=1)
    text = (
        f"{len(late)} of {len(dates)} dates in {criterion.field!r} are in the future, "
        f"by up to {hours:.1f} hours"
    )
    remedy = "MongoDB keeps dates in UTC: does your backend store local time?"
    return [Problem(criterion.variable, text, remedy)]


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
