"""Pure: updates that replace one campaign's delivery in a user document, and nothing else in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign

Pipeline = list[dict[str, Any]]


def state_update(
    campaign: Campaign, state: Mapping[str, Any], unreachable_until: datetime | None = None
) -> Pipeline:
    """Replace the delivery; with a date: and let no campaign try the user before it."""
    across = {}
    if unreachable_until:
        across["unreachable_until"] = _later(campaign, "unreachable_until", unreachable_until)
    return [_set(campaign, {campaign.key: state, **across})]


def sent_update(
    campaign: Campaign, state: Mapping[str, Any], at: datetime, *, is_news: bool = True
) -> Pipeline:
    """Replace the delivery of a message sent at ``at``, and set what the campaign sets.

    ``is_news``: it is sent just now, so that the user can be reached.
    """
    last = {"last_sent_at": _later(campaign, "last_sent_at", at)}
    stages = [_set(campaign, {campaign.key: state, **last})]
    if is_news:
        stages.append({"$unset": f"{campaign.settings.state_field}.unreachable_until"})
    values = campaign.set_when_sent().items()
    return [*stages, *({"$set": set_deep(path, value)} for path, value in values)]


def _set(campaign: Campaign, fields: Mapping[str, Any]) -> dict[str, Any]:
    root = campaign.settings.state_field
    return {"$set": {root: {"$mergeObjects": [f"${root}", fields]}}}


def _later(campaign: Campaign, field: str, moment: datetime) -> dict[str, Any]:
    """The later of two dates: what was written last need not have happened last."""
    return {"$max": [f"${campaign.settings.state_field}.{field}", moment]}


def set_deep(path: str, value: Any) -> dict[str, Any]:
    """An expression that sets ``path`` and nothing else, also where its holder is null or missing.

    A holder of another type, which a backend may have written meanwhile, is left as it is.
    """
    head, *rest = path.split(".")
    return {head: _inside(head, rest, value)}


def _inside(prefix: str, rest: list[str], value: Any) -> Any:
    if not rest:
        return {"$literal": value}  # a text may begin with "$"
    inner = {rest[0]: _inside(f"{prefix}.{rest[0]}", rest[1:], value)}
    holder = f"${prefix}"
    can_hold = {"$in": [{"$type": holder}, ["object", "null", "missing"]]}
    return {"$cond": [can_hold, {"$mergeObjects": [holder, inner]}, holder]}
