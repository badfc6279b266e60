"""A campaign is who, when, what it says and what it remembers; and the registry of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from enum import Enum
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from ozh_notify.errors import ConfigError

if TYPE_CHECKING:  # so that `--help` can list campaigns without it
    from ozh_notify.config.settings import Settings

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
"""The end of a period that never ends; the last year a BSON date and Python share."""


class Kind(Enum):
    """What a criterion's field holds, by the BSON types that are right for it."""

    NUMBER = ("int", "long", "double", "decimal")
    DATE = ("date",)
    FLAG = ("bool", "null")


@dataclass(frozen=True)
class Criterion:
    """One condition on one field; a user who fails it is counted as ``otherwise``."""

    field: str
    kind: Kind
    condition: Mapping[str, Any]
    otherwise: str
    variable: str
    """The environment variable that names the field."""


@dataclass(frozen=True)
class Button:
    """An inline button: a URL button for http(s):// and tg://, else callback data."""

    text: str
    target: str

    @property
    def is_url(self) -> bool:
        """Whether the target opens an address."""
        return self.target.startswith(("http://", "https://", "tg://"))


@dataclass(frozen=True)
class Index:
    """A recommended index: its keys in order, and the filter of a partial one."""

    name: str
    keys: tuple[tuple[str, int], ...]
    purpose: str
    partial: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Campaign(ABC):
    """What a campaign's file fills in; a third campaign is one more such file and template."""

    settings: Settings

    name: ClassVar[str]
    """As people and machines read it: ``daily-bonus``."""
    summary: ClassVar[str]
    """One line for ``--help``."""
    population: ClassVar[str]
    """Whom the first criteria select, in words: the total of the dry run's funnel."""
    daily: ClassVar[bool]
    """Whether a user may get it once a local day; else once for good."""
    variables: ClassVar[tuple[str, ...]] = ()
    """Variables of its own, read from ``settings.others``."""

    @property
    def key(self) -> str:
        """As fields, file names and variables spell it: ``daily_bonus``."""
        return self.name.replace("-", "_")

    @property
    def slot(self) -> str:
        """The path of its delivery state in a user document."""
        return f"{self.settings.state_field}.{self.key}"

    @abstractmethod
    def who(self, now: datetime) -> tuple[Criterion, ...]:
        """The criteria that select the population; all hold at once."""

    @abstractmethod
    def qualifies(self, now: datetime) -> tuple[Criterion, ...]:
        """The further criteria, each a reason of its own to be left alone."""

    @abstractmethod
    def newest_by(self) -> str:
        """The date field that orders the audience, newest first."""

    def not_before(self) -> time | None:
        """The local time of day before which no pass runs."""
        return None

    @abstractmethod
    def words(self) -> Mapping[str, str | None]:
        """What its template may name besides ``first_name``."""

    def button(self) -> Button | None:
        """The inline button below the message."""
        return None

    def remembers(self) -> Mapping[str, Any]:
        """Fields of the user document set once the message is delivered."""
        return {}

    @abstractmethod
    def index(self) -> Index:
        """The index that makes a pass cost what its audience costs."""

    def criteria(self, now: datetime) -> tuple[Criterion, ...]:
        """All criteria, those of the population first."""
        return self.who(now) + self.qualifies(now)

    def period_end(self, at: datetime) -> datetime:
        """When a user handled at ``at`` may be handled again."""
        return midnight_after(at, self.settings) if self.daily else FAR

    def period_start(self, now: datetime) -> datetime | None:
        """When the period that holds ``now`` began; None when it always was."""
        if not self.daily:
            return None
        today = now.astimezone(self.settings.zone)
        return datetime.combine(today.date(), time.min, today.tzinfo)

    def closed(self, now: datetime, *, any_time: bool = False) -> str | None:
        """Why no pass may message anybody at ``now``, or None."""
        if any_time:
            return None
        clock = now.astimezone(self.settings.zone).time()
        earliest = self.not_before()
        if earliest and clock < earliest:
            return f"it is {clock:%H:%M} in {self.settings.zone_name}, before {earliest:%H:%M}"
        if self.settings.quiet_hours:
            start, end = self.settings.quiet_hours
            inside = start <= clock < end if start < end else clock >= start or clock < end
            if inside:
                return (
                    f"it is {clock:%H:%M} in {self.settings.zone_name}, "
                    f"in the quiet hours {start:%H:%M}-{end:%H:%M}"
                )
        return None


def midnight_after(at: datetime, settings: Settings) -> datetime:
    """The local midnight that ends the day of ``at``; the first one where there are two."""
    day = at.astimezone(settings.zone)
    tomorrow = datetime.combine(day.date() + timedelta(days=1), time.min, day.tzinfo)
    return tomorrow.astimezone(timezone.utc)


def own_button(settings: Settings, key: str) -> Button | None:
    """The button set by ``OZH_<KEY>_BUTTON_TEXT`` and ``OZH_<KEY>_BUTTON``."""
    text, target = getattr(settings, f"{key}_button_text"), getattr(settings, f"{key}_button")
    return Button(text, target) if text and target else None


def registry() -> dict[str, type[Campaign]]:
    """All campaigns by name: built in, then those of other installed packages.

    Raises:
        ConfigError: another package's campaign cannot be loaded or takes a taken name.
    """
    from ozh_notify.campaigns.daily_bonus import DailyBonus  # noqa: PLC0415 - they import this
    from ozh_notify.campaigns.discount import Discount  # noqa: PLC0415

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
