"""Pure: can the field mapping be right? A wrong one must not message anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign, Criterion, Kind
from ozh_notify.users.recipient import MISSING, at_path, parse_chat_id

SAMPLE_SIZE = 200
"""Users looked at, the newest by ``_id``."""
MIN_SAMPLE = 100
"""From so many on, what looks wrong ends the pass; in fewer it is a warning."""
ANY_TIME = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
"""Which fields a campaign reads does not depend on the moment."""
MIN_VALUES = 20
"""From so many values of a wrong type on, it is the mapping and not a few odd documents."""


@dataclass
class Findings:
    """What looks wrong in a sample of users."""

    fatal: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_mapping(sample: Sequence[Any], campaign: Campaign) -> Findings:
    """Compare the newest users with what the campaign's criteria expect of their fields."""
    found = Findings()
    settings = campaign.settings
    where = f"{settings.users_collection!r}"
    if not sample:
        found.warnings.append(
            f"the collection {where} is empty: are MONGO_DB_NAME and OZH_USERS_COLLECTION right?"
        )
        return found
    serious = found.fatal if len(sample) >= MIN_SAMPLE else found.warnings
    if not any(parse_chat_id(at_path(user, settings.field_chat_id)) for user in sample):
        serious.append(
            f"OZH_FIELD_CHAT_ID: none of {len(sample)} users has a usable chat id "
            f"in {settings.field_chat_id!r}"
        )
    for criterion in _one_a_variable(campaign):
        _inspect_field(sample, criterion, campaign, serious, found.warnings)
    return found


def _inspect_field(
    sample: Sequence[Any],
    criterion: Criterion,
    campaign: Campaign,
    serious: list[str],
    warnings: list[str],
) -> None:
    values = [at_path(user, criterion.field) for user in sample]
    present = [value for value in values if value is not MISSING]
    if criterion.kind is not Kind.FLAG:
        present = [value for value in present if value is not None]
    name = f"{criterion.variable}: the field {criterion.field!r}"
    types = Counter(type_name(value) for value in present)
    if not present:
        text = f"{name} is in none of {len(sample)} users"
        if criterion.kind is not Kind.FLAG:
            warnings.append(
                f"{text}; name the right field in {criterion.variable}, or nobody is eligible"
            )
        elif campaign.settings.set_explicitly(criterion.variable):
            warnings.append(f"{text}; as the variable is set, it counts as false in all")
        else:
            serious.append(f"{text}; set the variable if that is its name all the same")
    elif not any(name in criterion.kind.value for name in types):
        text = f"{name} holds {_listed(types)}, but {criterion.kind.name.lower()} is expected"
        (serious if len(present) >= MIN_VALUES else warnings).append(text)


def type_name(value: Any) -> str:
    """A value's BSON type by the name ``$type`` knows it by."""
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


def _one_a_variable(campaign: Campaign) -> list[Criterion]:
    """Two variables may name one field by mistake, which cannot be right for both."""
    criteria = campaign.criteria(ANY_TIME)
    return list({(c.variable, c.field): c for c in criteria}.values())


def _listed(types: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in types.most_common())
