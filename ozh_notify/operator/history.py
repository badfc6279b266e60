"""Pure: the journal's entries of one user as a list of deliveries, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


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


def deliveries(entries: Iterable[Mapping[str, Any]]) -> list[Delivery]:
    """Every delivery that the entries tell of, also those that a later one replaced."""
    found = []
    for entry in entries:
        found.append(_delivery(entry, entry, replaced=False))
        found += [_delivery(entry, old, replaced=True) for old in entry.get("previous", ())]
    return sorted(found, key=_when, reverse=True)


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
