"""What `ozh-notify effect` reports: judges what is due, then reads both arms of each experiment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from ozh_notify.campaigns import Campaign
from ozh_notify.effect.arms import Arm
from ozh_notify.effect.experiment import Experiment
from ozh_notify.effect.report import ArmCounts, Effect
from ozh_notify.errors import ConfigError

ALL = 1_000_000
"""Judgements one command makes at most: everything that is due."""


class Experiments(Protocol):
    """What the report needs of the journal."""

    async def experiments(
        self, campaign: str | None = None, name: str | None = None
    ) -> list[Experiment]:
        """Every experiment that has an assignment, the newest first."""

    async def judge(self, campaign: Campaign, now: datetime, at_most: int) -> int:
        """Judge entries whose time has come."""

    async def unjudged(self, experiment: Experiment, now: datetime) -> int:
        """Entries whose judgement is due and not written."""

    async def arms(self, experiment: Experiment) -> tuple[dict[Arm, ArmCounts], datetime | None]:
        """Both arms, and when the last judgement is due."""


async def effects(
    queries: Experiments,
    campaigns: Mapping[str, Campaign],
    now: datetime,
    campaign: str | None = None,
    name: str | None = None,
) -> list[Effect]:
    """The effect of each experiment of the journal, the newest experiment first.

    An account that may only read judges nothing: the effect then counts who is not judged yet.
    """
    found = await queries.experiments(campaign, name)
    for one in {experiment.campaign for experiment in found} & campaigns.keys():
        try:
            await queries.judge(campaigns[one], now, ALL)
        except ConfigError:
            break
    return [await _effect(queries, experiment, campaigns, now) for experiment in found]


async def _effect(
    queries: Experiments,
    experiment: Experiment,
    campaigns: Mapping[str, Campaign],
    now: datetime,
) -> Effect:
    arms, due = await queries.arms(experiment)
    zone = next(iter(campaigns.values())).settings.zone
    over = now.astimezone(zone).date() > experiment.until
    last = due.astimezone(zone) if over and due else experiment.last_judgement(zone)
    return Effect(
        experiment,
        treated=arms[Arm.TREATED],
        control=arms[Arm.CONTROL],
        due=last if due else None,
        ended=over and (due is None or due <= now),
        unjudged=await queries.unjudged(experiment, now),
    )
