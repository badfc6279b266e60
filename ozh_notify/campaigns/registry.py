"""All campaigns by name: the built-in ones and those of other installed packages."""

from __future__ import annotations

from importlib.metadata import entry_points

from ozh_notify.campaigns.base import Campaign
from ozh_notify.campaigns.daily_bonus import DailyBonus
from ozh_notify.campaigns.discount import Discount
from ozh_notify.errors import ConfigError


def registry() -> dict[str, type[Campaign]]:
    """All campaigns by name: built in, then those of other installed packages.

    Raises:
        ConfigError: another package's campaign cannot be loaded or takes a taken name.
    """
    found: dict[str, type[Campaign]] = {c.name: c for c in (Discount, DailyBonus)}
    for point in entry_points(group="ozh_notify.campaigns"):
        try:
            campaign = point.load()
        except Exception as error:
            raise ConfigError(f"campaign {point.name!r} cannot be loaded: {error!r}") from error
        if not (isinstance(campaign, type) and issubclass(campaign, Campaign)):
            raise ConfigError(f"campaign {point.name!r}: {point.value} is no Campaign")
        if campaign.name in found:
            raise ConfigError(
                f"campaign {campaign.name!r} exists already; {point.value} repeats it"
            )
        found[campaign.name] = campaign
    return found
