"""All campaigns by name: the built-in ones and those of other installed packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ozh_notify.campaigns.base import Campaign
from ozh_notify.campaigns.daily_bonus import DailyBonus
from ozh_notify.campaigns.discount import Discount
from ozh_notify.errors import ConfigError

GROUP = "ozh_notify.campaigns"
"""The entry-point group in which another package names its campaigns."""

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ATTRIBUTES = ("name", "summary", "population", "once")
"""What a campaign must have besides its abstract methods."""


@dataclass(frozen=True)
class BrokenCampaign:
    """A campaign of another package that cannot be used; all others can."""

    name: str
    reason: str


def registry() -> dict[str, type[Campaign]]:
    """All usable campaigns by name: built in, then those of other installed packages."""
    return dict(_load()[0])


def broken_campaigns() -> tuple[BrokenCampaign, ...]:
    """The campaigns that are left out, each with the reason."""
    return _load()[1]


@cache
def _load() -> tuple[dict[str, type[Campaign]], tuple[BrokenCampaign, ...]]:
    found: dict[str, type[Campaign]] = {c.name: c for c in (Discount, DailyBonus)}
    broken = []
    for point in entry_points(group=GROUP):
        try:
            campaign = load_campaign(point)
            if campaign.name in found:
                raise ConfigError(f"a campaign named {campaign.name!r} exists already")
            found[campaign.name] = campaign
        except Exception as error:
            reason = str(error) if isinstance(error, ConfigError) else repr(error)
            broken.append(BrokenCampaign(point.name, f"{point.value}: {reason}"))
    return found, tuple(broken)


def load_campaign(point: EntryPoint) -> type[Campaign]:
    """The campaign of an entry point.

    Raises:
        ConfigError: it is not a campaign, or a part of it is missing.
        Exception: its module cannot be imported.
    """
    campaign = point.load()
    if not (isinstance(campaign, type) and issubclass(campaign, Campaign)):
        raise ConfigError("it is not a subclass of ozh_notify.campaigns.Campaign")
    methods = [f"{name}()" for name in sorted(getattr(campaign, "__abstractmethods__", ()))]
    missing = [name for name in ATTRIBUTES if not hasattr(campaign, name)] + methods
    if missing:
        raise ConfigError(f"it lacks {', '.join(missing)}")
    if not NAME.fullmatch(str(campaign.name)):
        raise ConfigError(f"its name {campaign.name!r} is not spelled like win-back")
    if campaign.once not in ("ever", "day"):
        raise ConfigError(f"once is {campaign.once!r}; expected 'ever' or 'day'")
    return campaign
