"""The settings of an experiment of every campaign, of those from a folder or a package, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, create_model

from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import Settings
from ozh_notify.config.types import Day, ExperimentName

BUILT_IN: Mapping[str, str] = {"discount": "ever", "daily_bonus": "day"}
"""Campaigns whose variables stand in :class:`Settings`, and how often each is sent (``once``)."""


def settings_class(periods: Mapping[str, str]) -> type[Settings]:
    """`Settings` with the four variables of an experiment for each of these campaigns.

    ``periods`` has the ``once`` of each campaign by its key (``win_back``).
    """
    fields: dict[str, Any] = {}
    for key in periods.keys() - BUILT_IN.keys():
        prefix, days = f"OZH_{key.upper()}", 3 if periods[key] == "day" else 7
        fields |= {
            f"{key}_holdout": (int | None, Field(None, alias=f"{prefix}_HOLDOUT", ge=1, le=90)),
            f"{key}_experiment": (ExperimentName | None, Field(None, alias=f"{prefix}_EXPERIMENT")),
            f"{key}_experiment_until": (
                Day | None,
                Field(None, alias=f"{prefix}_EXPERIMENT_UNTIL"),
            ),
            f"{key}_goal_days": (int, Field(days, alias=f"{prefix}_GOAL_DAYS", ge=1, le=365)),
        }
    return create_model("Settings", __base__=Settings, **fields) if fields else Settings


def check_experiments(settings: Settings, periods: Mapping[str, str]) -> Iterator[Problem]:
    """A holdout needs a name, an end, and the journal, which keeps who was held out."""
    for key, once in {**BUILT_IN, **periods}.items():
        prefix = f"OZH_{key.upper()}"
        if getattr(settings, f"{key}_holdout") is None:
            continue
        for part, what in (("EXPERIMENT", "a name"), ("EXPERIMENT_UNTIL", "a last day")):
            if getattr(settings, f"{key}_{part.lower()}") is None:
                yield Problem(f"{prefix}_{part}", "missing", f"{prefix}_HOLDOUT needs {what}")
        if settings.journal_collection is None:
            yield Problem(
                f"{prefix}_HOLDOUT", "it needs the journal, but OZH_JOURNAL_COLLECTION is off"
            )
        # Entries that were deleted cannot be judged.
        if once != "ever" and settings.journal_days <= getattr(settings, f"{key}_goal_days"):
            yield Problem("OZH_JOURNAL_DAYS", f"expected a number above {prefix}_GOAL_DAYS")
