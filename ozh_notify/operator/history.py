"""Pure: the journal's entries of one user as a list of deliveries, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from ozh_notify.campaigns import Campaign


@dataclass(frozen=True)
class Delivery:
    """One delivery of one campaign to one chat."""

    campaign: str
    chat_id: int | None
    user: str
    claimed_at: datetime | None
    at: datetime | None
    """When the outcome was written."""
    outcome: str
    run: str | None
    message_id: int | None
    error: str | None
    experiment: str | None
    arm: str | None
    recalled_at: datetime | None
    replaced: bool
    """Whether a later delivery took its place: `--again` or `reconcile --resend`."""

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints; moments are ISO 8601."""
        return asdict(self)


def deliveries(
    entries: Iterable[Mapping[str, Any]], campaigns: Sequence[Campaign]
) -> list[Delivery]:
    """Every delivery that the entries tell of, also those that a later one followed."""
    found, known = [], {campaign.name: campaign for campaign in campaigns}
    for entry in entries:
        campaign = known.get(str(entry.get("campaign")))
        found.append(_delivery(entry, entry, replaced=False))
        olds = list(entry.get("previous", ()))
        for old, following in pairwise([*olds, entry]):
            found.append(_delivery(entry, old, replaced=_is_replaced(campaign, old, following)))
    return sorted(found, key=_when, reverse=True)


def _is_replaced(
    campaign: Campaign | None, old: Mapping[str, Any], following: Mapping[str, Any]
) -> bool:
    """Whether the next delivery came in the same period, as a person wanted."""
    before, after = old.get("claimed_at"), following.get("claimed_at")
    if campaign is None or not (isinstance(before, datetime) and isinstance(after, datetime)):
        return True
    return after < campaign.period_end(before)


def _delivery(entry: Mapping[str, Any], one: Mapping[str, Any], *, replaced: bool) -> Delivery:
    return Delivery(
        campaign=str(entry.get("campaign")),
        chat_id=entry.get("chat_id"),
        user=str(one.get("user", entry.get("user"))),
        claimed_at=one.get("claimed_at"),
        at=one.get("at"),
        outcome=str(one.get("state")),
        run=one.get("run"),
        message_id=one.get("message_id"),
        error=one.get("error"),
        experiment=one.get("experiment"),
        arm=one.get("arm"),
        recalled_at=one.get("recalled_at"),
        replaced=replaced,
    )


def _when(delivery: Delivery) -> tuple[float, float]:
    moments = (delivery.claimed_at, delivery.at)
    return (
        moments[0].timestamp() if moments[0] else 0.0,
        moments[1].timestamp() if moments[1] else 0.0,
    )
