"""The discount: a special price for users who made one picture and have no balance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ozh_notify.campaigns.base import Button, Campaign, Criterion, Index, Kind, own_button


class Discount(Campaign):
    """Sent to a user once in a lifetime."""

    name = "discount"
    summary = "One pass of the discount offer, then exit."
    population = "one generation and no balance"
    once = "ever"

    def population_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        s, one, none = self.settings, {"$eq": 1}, {"$eq": 0}
        return (
            Criterion(
                s.field_generations, Kind.NUMBER, one, "not one generation", "OZH_FIELD_GENERATIONS"
            ),
            Criterion(s.field_balance, Kind.NUMBER, none, "has a balance", "OZH_FIELD_BALANCE"),
        )

    def eligibility_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        s, date, variable = self.settings, Kind.DATE, "OZH_FIELD_FIRST_GENERATION_AT"
        field, latest = s.field_first_generation_at, now - timedelta(hours=s.discount_delay_hours)
        first = [Criterion(field, date, {"$lt": latest}, "too recent", variable)]
        if s.discount_max_age_days:
            earliest = now - timedelta(days=s.discount_max_age_days)
            first.append(Criterion(field, date, {"$gte": earliest}, "too old", variable))
        never = {"$in": [False, None]}
        flag, variable = s.field_discount_offered, "OZH_FIELD_DISCOUNT_OFFERED"
        return (*first, Criterion(flag, Kind.FLAG, never, "already offered", variable))

    def sort_field(self) -> str:
        return self.settings.field_first_generation_at

    def template_variables(self) -> Mapping[str, str | None]:
        s = self.settings
        return {
            "pack": s.discount_pack,
            "price": s.discount_price,
            "old_price": s.discount_old_price,
        }

    def button(self) -> Button | None:
        return own_button(self.settings, "discount")

    def set_when_sent(self) -> Mapping[str, Any]:
        return {self.settings.field_discount_offered: True}

    def index(self) -> Index:
        s = self.settings
        return Index(
            "ozh_discount",
            (
                (s.field_discount_offered, 1),
                (f"{self.state_path}.hold_until", 1),
                (s.field_first_generation_at, 1),
            ),
            "scan of the discount: skips those offered, blocked or held inside the index",
            {s.field_generations: 1, s.field_balance: 0},
        )
