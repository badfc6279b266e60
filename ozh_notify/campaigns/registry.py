"""All campaigns by name: built in, of other installed packages, and of `OZH_CAMPAIGNS_DIR`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path

from ozh_notify.campaigns.base import Campaign
from ozh_notify.campaigns.daily_bonus import DailyBonus
from ozh_notify.campaigns.discount import Discount
from ozh_notify.errors import ConfigError

GROUP = "ozh_notify.campaigns"
"""The entry-point group in which another package names its campaigns."""

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ATTRIBUTES = ("name", "summary", "population", "once")
"""What a campaign must have besides its abstract methods."""

COMMANDS = frozenset(
    {"check", "demo", "effect", "explain", "indexes", "mute", "reconcile", "status"}
    | {"templates", "unmute", "history", "recall"}
)
"""Names that no campaign may take."""

_folders: list[Path] = []
"""The folder of campaigns without Python, once the command line has found it."""


@dataclass(frozen=True)
class BrokenCampaign:
    """A campaign that cannot be used; all others can."""

    name: str
    reason: str


def registry() -> dict[str, type[Campaign]]:
    """All usable campaigns by name: built in, then of other packages, then of the folder."""
    return dict(_load(*_folders)[0])


def broken_campaigns() -> tuple[BrokenCampaign, ...]:
    """The campaigns that are left out, each with the reason."""
    return _load(*_folders)[1]


def use_folder(folder: Path | None) -> None:
    """Also load the campaigns of this folder from now on; the command line does, once."""
    _folders[:] = [folder] if folder else []


@cache
def _load(
    *folders: Path,
) -> tuple[dict[str, type[Campaign]], tuple[BrokenCampaign, ...]]:
    found: dict[str, type[Campaign]] = {c.name: c for c in (Discount, DailyBonus)}
    broken = []
    for name, place, load in (*_of_packages(), *_of_folders(folders)):
        try:
            campaign = check_campaign(load())
            if campaign.name in {*found, *COMMANDS}:
                what = "command" if campaign.name in COMMANDS else "campaign"
                raise ConfigError(f"a {what} named {campaign.name!r} exists already")
            found[campaign.name] = campaign
        except Exception as error:
            reason = str(error) if isinstance(error, ConfigError) else repr(error)
            broken.append(BrokenCampaign(name, f"{place}: {reason}" if place else reason))
    return found, tuple(broken)


def _of_packages() -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Name, place and loader of each campaign of another package."""
    for point in entry_points(group=GROUP):
        yield point.name, point.value, point.load


def _of_folders(folders: tuple[Path, ...]) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """The same of each file of the folder; its errors name the file themselves."""
    files = (path for folder in folders for path in folder.glob("*.toml"))
    # win_back.en.toml has the buttons of a language, and is read with its message.
    for path in sorted(path for path in files if "." not in path.stem):
        from ozh_notify.campaigns.toml_campaign import load_toml_campaign  # noqa: PLC0415 - tomllib

        yield path.stem.replace("_", "-"), "", partial(load_toml_campaign, path)


def check_campaign(campaign: object) -> type[Campaign]:
    """The same campaign, if it has every part that a campaign needs.

    Raises:
        ConfigError: it is not a campaign, or a part of it is missing.
    """
    if not (isinstance(campaign, type) and issubclass(campaign, Campaign)):
        raise ConfigError("it is not a subclass of ozh_notify.campaigns.Campaign")
    methods = [f"{name}()" for name in sorted(getattr(campaign, "__abstractmethods__", ()))]
    missing = [name for name in ATTRIBUTES if not hasattr(campaign, name)] + methods
    if missing:
        raise ConfigError(f"it lacks {', '.join(missing)}")
    if not NAME.fullmatch(str(campaign.name)):
        raise ConfigError(f"its name {campaign.name!r} is not spelled like win-back")
    try:
        campaign.period_days()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"once is {campaign.once!r}; {error}") from None
    return campaign
