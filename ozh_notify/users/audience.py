"""The MongoDB filter of a campaign's audience at a moment, and the dry run's funnel. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign, Criterion, Kind, key_of, registry
from ozh_notify.users.restraints import is_back_since, restraints

Filter = dict[str, Any]
Expression = dict[str, Any]

NON_OBJECT_TYPES = [
    "double",
    "string",
    "array",
    "binData",
    "objectId",
    "bool",
    "date",
    "regex",
    "javascript",
    "javascriptWithScope",
    "symbol",
    "dbPointer",
    "int",
    "timestamp",
    "long",
    "decimal",
    "minKey",
    "maxKey",
]
"""BSON types that cannot hold a field of their own; null and missing can be given one."""

NOT_AN_ARRAY = {"$not": {"$type": "array"}}
CAN_HOLD_FIELDS = {"$not": {"$type": NON_OBJECT_TYPES}}

REASON_FLAG_RESET = "offered before, flag reset"


@dataclass(frozen=True)
class Query:
    """What one pass asks for; ``now`` is an aware moment."""

    campaign: Campaign
    now: datetime
    chats: tuple[int, ...] = ()
    """Only these chat ids; all when empty."""
    again_before: datetime | None = None
    """``--again``: also users in `sent` since before this moment."""


def eligible(query: Query) -> Filter:
    """All users that the campaign may message now: the filter of the scan."""
    return and_filters(
        [*_population(query), *_eligibility(query), _not_held(query), *_restraints_and_chats(query)]
    )


def claim_filter(query: Query) -> Filter:
    """:func:`eligible`, and the delivery state can be written; the filter of the claim.

    It has conditions on fields only: beside an operator such as ``$nor``, both servers of the
    tests do not find a batch by its ``_id``, but read the whole collection. What needs one is
    :func:`is_free`. The scan does without the second part, because it counts users with an odd
    state as invalid.
    """
    root, state_path = query.campaign.settings.state_field, query.campaign.state_path
    return and_filters([eligible(query), {root: CAN_HOLD_FIELDS, state_path: CAN_HOLD_FIELDS}])


def is_free(query: Query) -> Expression:
    """Whether a claim may take a user of its filter; the condition in the claim's update.

    With a gap between messages, users that a pass of another campaign is just sending to are left
    out: `last_sent_at` is written after the message, so two passes at once would both send.
    """
    settings, hold = query.campaign.settings, f"${query.campaign.state_path}.hold_until"
    needed: list[Expression] = [{"$in": [{"$type": hold}, ["date", "null", "missing"]]}]
    others = [name for name in registry() if name != query.campaign.name]
    for path in (f"${settings.state_field}.{key_of(name)}" for name in others):
        if settings.min_gap_hours:
            sending = {"$eq": [f"{path}.state", "sending"]}
            held = {"$gt": [f"{path}.hold_until", query.now]}
            needed.append({"$not": [{"$and": [sending, held]}]})
    return {"$and": needed}


def claimable(query: Query) -> Filter:
    """All users that a claim takes, as one filter."""
    return and_filters([claim_filter(query), {"$expr": is_free(query)}])


def conditions(criterion: Criterion) -> Filter:
    """A criterion as a filter. An array never matches, and neither does a field inside one."""
    parents = _parents(criterion.field)
    return and_filters(
        [
            {criterion.field: {**criterion.condition, **NOT_AN_ARRAY}},
            *({parent: CAN_HOLD_FIELDS} for parent in parents),
        ]
    )


def funnel(query: Query) -> tuple[Filter, list[tuple[str, Filter]]]:
    """The filter of the population, and for each reason the filter of the users it lets through.

    The count of a reason is the difference to the step before, so the counts always sum up.
    """
    steps: list[tuple[str, Filter]] = []
    dates = {criterion.field for criterion in query.campaign.population_criteria(query.now)}
    for criterion in query.campaign.eligibility_criteria(query.now):
        if criterion.kind is Kind.DATE and criterion.field not in dates:
            dates.add(criterion.field)
            is_date = replace(criterion, condition={"$type": "date"})
            steps.append((f"no date in {criterion.field}", conditions(is_date)))
        steps.append((criterion.excluded_as, conditions(criterion)))
    steps += [(reason, {"$nor": [held]}) for reason, held in hold_reasons(query)]
    for restraint in restraints(query.campaign.settings, query.now):
        steps.append((restraint.excluded_as, restraint.condition))
    steps.append(("muted", not_muted(query)))
    if query.campaign.settings.extra_filter:
        steps.append(("kept out by OZH_EXTRA_FILTER", query.campaign.settings.extra_filter))
    return and_filters([*_population(query), *_chats(query)]), steps


def and_filters(filters: Iterable[Mapping[str, Any]]) -> Filter:
    """One flat filter that requires all of them: operators on one field stand side by side."""
    result: Filter = {}
    rest: list[Mapping[str, Any]] = []
    for one in filters:
        for field, condition in one.items():
            have = result.get(field)
            if field not in result:
                result[field] = condition
            elif have == condition:
                continue
            elif _operators(have) and _operators(condition) and _compatible(have, condition):
                result[field] = {**have, **condition}  # type: ignore[dict-item]
            else:
                rest.append({field: condition})
    if rest:
        result["$and"] = [*result.get("$and", []), *rest]
    return result


def _operators(condition: object) -> bool:
    return isinstance(condition, Mapping) and all(str(k).startswith("$") for k in condition)


def _compatible(one: Any, other: Any) -> bool:
    return all(one[k] == other[k] for k in one.keys() & other.keys())


def _parents(field: str) -> list[str]:
    parts = field.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _population(query: Query) -> list[Filter]:
    return [conditions(c) for c in query.campaign.population_criteria(query.now)]


def _eligibility(query: Query) -> list[Filter]:
    return [conditions(c) for c in query.campaign.eligibility_criteria(query.now)]


def _restraints_and_chats(query: Query) -> list[Filter]:
    settings, extra = query.campaign.settings, query.campaign.settings.extra_filter
    across = [restraint.condition for restraint in restraints(settings, query.now)]
    extras = [{"$and": [extra]}] if extra else []
    return [*across, not_muted(query), *extras, *_chats(query)]


def not_muted(query: Query) -> Filter:
    """Users nobody has muted."""
    return {f"{query.campaign.settings.state_field}.muted": {"$ne": True}}


def _chats(query: Query) -> list[Filter]:
    if not query.chats:
        return []
    forms = [*query.chats, *(str(chat) for chat in query.chats)]
    return [{query.campaign.settings.field_chat_id: {"$in": forms}}]


def _not_held(query: Query) -> Filter:
    """No delivery of this campaign holds the user; one in `sending` always does."""
    state_path = query.campaign.state_path
    not_held = {f"{state_path}.hold_until": {"$not": {"$gt": query.now}}}
    idle = {f"{state_path}.state": {"$ne": "sending"}}
    ways: list[Filter] = [not_held, *_returned(query)]
    if query.again_before is not None:
        ways.append(_sent_before(query, query.again_before))
    if len(ways) == 1:
        return {**not_held, **idle}
    return {**idle, "$and": [{"$or": ways}]}


def _returned(query: Query) -> list[Filter]:
    """Users found unreachable who have unblocked the bot since, where a field tells."""
    state_path = query.campaign.state_path
    back = is_back_since(query.campaign.settings, f"${state_path}.at")
    return [{f"{state_path}.state": "unreachable", **back}] if back else []


def _sent_before(query: Query, moment: datetime) -> Filter:
    state_path = query.campaign.state_path
    return {f"{state_path}.state": "sent", f"{state_path}.at": {"$lt": moment}}


def hold_reasons(query: Query) -> list[tuple[str, Filter]]:
    """Each way a delivery holds a user, with the filter of those it holds."""
    state_path, now = query.campaign.state_path, query.now
    lasting = {f"{state_path}.hold_until": {"$gt": now}}
    days = query.campaign.period_days()
    sent = {None: REASON_FLAG_RESET, 1: "already reminded today"}.get(
        days, f"messaged within {days} days"
    )
    hold_reasons: list[tuple[str, Filter]] = [("held: sending", {f"{state_path}.state": "sending"})]
    if query.again_before is None:
        hold_reasons.append((sent, {f"{state_path}.state": "sent", **lasting}))
    returned = _returned(query)
    for state in ("unknown", "unreachable", "rejected", "held_out"):
        held: Filter = {f"{state_path}.state": state, **lasting}
        if state == "unreachable" and returned:
            held["$nor"] = returned
        hold_reasons.append((f"held: {state}", held))
    return [*hold_reasons, ("held: other", {"$nor": [_not_held(query)]})]
