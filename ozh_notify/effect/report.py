"""What an experiment has shown so far: figures, and one verdict in plain words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from ozh_notify.effect.experiment import Experiment
from ozh_notify.effect.statistics import (
    Interval,
    Sums,
    newcombe,
    smallest_difference,
    split_p,
    welch,
    wilson,
)

MIN_CONTROLS = 100
"""Judged controls below which there is no verdict."""
MIN_EXPECTED = 5
"""Users expected to reach the goal, and expected not to, in each arm (Cochran's rule)."""
BROKEN_SPLIT = 0.001
"""A split less likely than this by chance is not a split by chance."""
MIN_BUYERS = 30
"""Users with revenue an arm below which the money is not compared."""


class EffectVerdict(str, Enum):
    """What may be said of an experiment."""

    TOO_EARLY = "too early"
    SPLIT_BROKEN = "split broken"
    NO_DIFFERENCE = "no difference seen"
    MORE = "more came back"
    FEWER = "fewer came back"


@dataclass(frozen=True)
class ArmCounts:
    """One arm as the journal counts it; each chat once."""

    assigned: int = 0
    judged: int = 0
    reached: int = 0
    buyers: int = 0
    """Judged users with revenue above zero."""
    revenue: Sums = field(default_factory=lambda: Sums(0))
    states: dict[str, int] = field(default_factory=dict)
    """Assigned chats by state of their entry."""
    blocked: int | None = None
    """Chats that blocked the bot after the assignment; None where the bot does not keep it."""


@dataclass(frozen=True)
class Effect:
    """Everything `ozh-notify effect` shows of one experiment."""

    experiment: Experiment
    treated: ArmCounts
    control: ArmCounts
    due: datetime | None
    """When the last judgement is due, in the operator's zone; None where nobody is assigned."""
    ended: bool
    """Whether users are still assigned is over, and every judgement is due."""
    unjudged: int = 0
    """Assigned chats whose judgement is due and not written yet."""

    @property
    def difference(self) -> Interval | None:
        """Rate of the treated minus rate of the controls; None while an arm has nobody judged."""
        if not self.treated.judged or not self.control.judged:
            return None
        return newcombe(
            self.treated.reached, self.treated.judged, self.control.reached, self.control.judged
        )

    @property
    def extra(self) -> Interval | None:
        """Users brought back beyond those who would have come anyway: difference x treated."""
        found = self.difference
        if found is None:
            return None
        times = self.treated.judged
        return Interval(found.value * times, found.low * times, found.high * times)

    @property
    def revenue(self) -> Interval | None:
        """Revenue a treated user minus revenue a control; None with too few buyers."""
        if min(self.treated.buyers, self.control.buyers) < MIN_BUYERS:
            return None
        return welch(self.treated.revenue, self.control.revenue)

    @property
    def split_p(self) -> float:
        """How likely the split is by chance."""
        return split_p(self.treated.assigned, self.control.assigned, self.experiment.share)

    @property
    def smallest_difference(self) -> float:
        """The smallest difference of rates that so many users can show."""
        control = self.control
        rate = control.reached / control.judged if control.judged else 0.5
        # A rate of 0 has no spread at all, which would promise to see anything.
        rate = min(max(rate, 1 / (control.judged + 2)), 1 - 1 / (control.judged + 2))
        return smallest_difference(rate, self.treated.judged, control.judged)

    @property
    def verdict(self) -> EffectVerdict:
        """What may be said; a broken split and an early look forbid any other answer."""
        if self.split_p < BROKEN_SPLIT:
            return EffectVerdict.SPLIT_BROKEN
        found = self.difference
        if found is None or not self.ended or self.unjudged or not self._enough():
            return EffectVerdict.TOO_EARLY
        if found.low > 0:
            return EffectVerdict.MORE
        return EffectVerdict.FEWER if found.high < 0 else EffectVerdict.NO_DIFFERENCE

    def _enough(self) -> bool:
        arms = (self.treated, self.control)
        judged = sum(arm.judged for arm in arms)
        rate = sum(arm.reached for arm in arms) / judged
        expected = min(arm.judged * share for arm in arms for share in (rate, 1 - rate))
        return self.control.judged >= MIN_CONTROLS and expected >= MIN_EXPECTED

    def as_json(self) -> dict[str, Any]:
        """The object ``--json`` prints, under the names of the contract."""
        found, extra = self.difference, self.extra
        return {
            "experiment": self.experiment.name,
            "campaign": self.experiment.campaign,
            "share": self.experiment.share,
            "until": self.experiment.until.isoformat(),
            "arms": {"treated": arm_json(self.treated), "control": arm_json(self.control)},
            "difference": found and found.value,
            "low": found and found.low,
            "high": found and found.high,
            "extra": extra and extra.value,
            "extra_low": extra and extra.low,
            "extra_high": extra and extra.high,
            "split_p": self.split_p,
            "smallest_difference": self.smallest_difference,
            "verdict": self.verdict.value,
        }


def arm_json(arm: ArmCounts) -> dict[str, Any]:
    """One arm as machines read it; rates are between 0 and 1, null where nobody is judged."""
    rate = wilson(arm.reached, arm.judged) if arm.judged else None
    return {
        "assigned": arm.assigned,
        "judged": arm.judged,
        "reached": arm.reached,
        "rate": rate and rate.value,
        "low": rate and rate.low,
        "high": rate and rate.high,
        "revenue_per_user": arm.revenue.mean if arm.revenue.count else None,
        "states": dict(arm.states),
    }
