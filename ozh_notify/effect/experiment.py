"""An experiment: what the settings ask for, and what the journal keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from ozh_notify.campaigns import Campaign, key_of
from ozh_notify.effect.arms import Arm, arm_of
from ozh_notify.users.recipient import Recipient, at_path

FIXED = {"share": "HOLDOUT", "goal_days": "GOAL_DAYS", "until": "EXPERIMENT_UNTIL"}
"""What may not change after the first assignment, with the end of its variable's name."""


@dataclass(frozen=True)
class Experiment:
    """An experiment of one campaign; it stays as it was at its first assignment."""

    campaign: str
    name: str
    share: float
    """Percent held out."""
    goal_days: float
    """Days between the assignment of a user and the judgement."""
    until: date
    """The last local day on which users are assigned."""
    started_at: datetime

    @property
    def id(self) -> str:
        """The ``_id`` of its document in the journal."""
        return f"experiment:{self.campaign}:{self.name}"

    def as_document(self) -> dict[str, Any]:
        """What the first assignment writes into the journal."""
        return {
            "_id": self.id,
            "campaign": self.campaign,
            "name": self.name,
            "share": self.share,
            "goal_days": self.goal_days,
            "until": self.until.isoformat(),
            "started_at": self.started_at,
        }

    def last_judgement(self, zone: tzinfo) -> datetime:
        """When somebody who is assigned on the last day is judged."""
        try:
            day = self.until + timedelta(days=self.goal_days)
        except OverflowError:  # "until for ever"
            day = date.max
        return datetime.combine(day, time(23, 59), zone)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Experiment:
        """The experiment that the journal keeps."""
        return cls(
            campaign=str(document["campaign"]),
            name=str(document["name"]),
            share=document["share"],
            goal_days=document["goal_days"],
            until=date.fromisoformat(str(document["until"])),
            started_at=document["started_at"],
        )

    def arm(self, chat_id: int) -> Arm:
        """The arm of a chat."""
        return arm_of(self.name, self.campaign, chat_id, self.share)


def running_experiment(
    campaign: Campaign, now: datetime, named_chats: tuple[int, ...] = ()
) -> Experiment | None:
    """The experiment that the settings ask for; None without one, and after its last day.

    Users that a person named (``named_chats``) are not part of an experiment.
    """
    settings, key = campaign.settings, campaign.key
    share = getattr(settings, f"{key}_holdout", None)
    if not share or named_chats or not settings.journal_collection:
        return None
    until = getattr(settings, f"{key}_experiment_until")
    if now.astimezone(settings.zone).date() > until:
        return None
    name = getattr(settings, f"{key}_experiment")
    return Experiment(campaign.name, name, share, getattr(settings, f"{key}_goal_days"), until, now)


def changed_settings(wanted: Experiment, kept: Experiment) -> list[str]:
    """Variables that differ from the first assignment of the experiment of this name."""
    key = key_of(wanted.campaign).upper()
    return [
        f"OZH_{key}_{variable} ({getattr(wanted, field)} now, {getattr(kept, field)} before)"
        for field, variable in FIXED.items()
        if getattr(wanted, field) != getattr(kept, field)
    ]


def baseline_paths(campaign: Campaign) -> tuple[str, ...]:
    """Fields that a claim reads for the baseline."""
    settings = campaign.settings
    revenue = (settings.field_revenue,) if settings.field_revenue else ()
    return (settings.field_generations, *revenue)


def baseline(campaign: Campaign, user: Mapping[str, Any]) -> dict[str, float]:
    """Generations, and what the user has paid where that is mapped, at this moment."""
    settings = campaign.settings
    values = {"generations": number(at_path(user, settings.field_generations))}
    if settings.field_revenue:
        values["revenue"] = number(at_path(user, settings.field_revenue))
    return values


def assignment(
    experiment: Experiment, campaign: Campaign, user: Mapping[str, Any], who: Recipient
) -> dict[str, Any]:
    """What the journal's entry keeps of a user that is claimed during an experiment."""
    return {
        "experiment": experiment.name,
        "arm": experiment.arm(who.chat_id).value,
        "share": experiment.share,
        "judge_at": who.claimed_at + timedelta(days=experiment.goal_days),
        "baseline": baseline(campaign, user),
    }


def number(value: Any) -> float:
    """A number as MongoDB holds it, a Decimal128 too; 0 for anything else."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return value
    try:
        return float(str(value)) if type(value).__name__ == "Decimal128" else 0
    except ValueError:
        return 0


def judgement(
    campaign: Campaign, entry: Mapping[str, Any], user: Mapping[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """What is written about an entry whose ``judge_at`` has come; None: the user is gone."""
    before = entry.get("baseline")
    before = before if isinstance(before, Mapping) else {}
    after = baseline(campaign, user) if user is not None else {}
    values: dict[str, Any] = {
        "judged_at": now,
        "goal": user is not None and after["generations"] > number(before.get("generations")),
    }
    if "revenue" in before:
        paid = number(before["revenue"])
        values["revenue"] = after.get("revenue", paid) - paid
    if campaign.settings.field_blocked and campaign.settings.field_blocked_at:
        values["blocked"] = user is not None and _blocked_since(campaign, entry, user)
    return values


def _blocked_since(campaign: Campaign, entry: Mapping[str, Any], user: Mapping[str, Any]) -> bool:
    """Whether the user has blocked the bot after the assignment, and still does."""
    settings = campaign.settings
    at = at_path(user, settings.field_blocked_at or "")
    assigned = entry.get("claimed_at")
    if not isinstance(at, datetime) or not isinstance(assigned, datetime):
        return False
    return at_path(user, settings.field_blocked or "") is True and at > assigned


def judged_paths(campaign: Campaign) -> tuple[str, ...]:
    """Fields of the user's document that a judgement reads."""
    settings = campaign.settings
    blocked = (settings.field_blocked, settings.field_blocked_at)
    return (*baseline_paths(campaign), *(path for path in blocked if path))
