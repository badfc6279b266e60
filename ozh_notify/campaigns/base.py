"""What a campaign is: who gets the message, when, what it says, and what it sets when sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:  # so that `--help` can list campaigns without it
    from ozh_notify.config.settings import Settings

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
"""The end of a period that never ends, in the last year that BSON dates and Python share."""


class Kind(Enum):
    """What a criterion's field holds: the BSON types that are right for it."""

    NUMBER = ("int", "long", "double", "decimal")
    DATE = ("date",)
    FLAG = ("bool", "null")


@dataclass(frozen=True)
class Criterion:
    """One condition on one field. A user who fails it is counted as ``excluded_as``."""

    field: str
    kind: Kind
    condition: Mapping[str, Any]
    excluded_as: str
    variable: str
    """The environment variable that names the field."""
    explicit: bool = False
    """Whether the operator named the field without that variable."""


@dataclass(frozen=True)
class Button:
    """An inline button: a URL button for http(s):// and tg://, otherwise callback data."""

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
    expire_after_seconds: int | None = None
    """Of a TTL index: how long after the date in its field the server deletes a document."""


@dataclass(frozen=True)
class Campaign(ABC):
    """What a campaign's file fills in. A third campaign is one more such file and template."""

    settings: Settings

    name: ClassVar[str]
    """As people and machines read it: ``daily-bonus``."""
    summary: ClassVar[str]
    """One line for ``--help``."""
    population: ClassVar[str]
    """The users that the first criteria select, in words: the total of the dry run's funnel."""
    once: ClassVar[Literal["ever", "day"]]
    """Whether a user may get it once in a lifetime, or once a local day."""
    folder: ClassVar[Path | None] = None
    """The folder of its text; None: ``templates`` in the package that the class comes from."""
    environment_variables: ClassVar[tuple[str, ...]] = ()
    """Variables of its own, read from ``settings.others``."""

    @property
    def key(self) -> str:
        """As fields, file names and variables spell it: ``daily_bonus``."""
        return self.name.replace("-", "_")

    @property
    def state_path(self) -> str:
        """The path of its delivery state in a user document."""
        return f"{self.settings.state_field}.{self.key}"

    @abstractmethod
    def population_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        """The criteria that select the population; all hold at once."""

    @abstractmethod
    def eligibility_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        """The further criteria, each with a reason of its own."""

    @abstractmethod
    def sort_field(self) -> str:
        """The date field that orders the audience, newest first."""

    def not_before(self) -> time | None:
        """The local time of day before which no pass runs."""
        return None

    @abstractmethod
    def template_variables(self) -> Mapping[str, str | None]:
        """What its template may name besides ``first_name``."""

    def button(self) -> Button | None:
        """The inline button below the message."""
        return None

    def set_when_sent(self) -> Mapping[str, Any]:
        """Fields of the user document set once the message is delivered."""
        return {}

    @abstractmethod
    def index(self) -> Index:
        """The index that makes a pass cost what its audience costs."""

    def criteria(self, now: datetime) -> tuple[Criterion, ...]:
        """All criteria, those of the population first."""
        return self.population_criteria(now) + self.eligibility_criteria(now)

    def period_end(self, at: datetime) -> datetime:
        """When a user who was messaged at ``at`` may be messaged again."""
        return midnight_after(at, self.settings) if self.once == "day" else FAR

    def period_start(self, now: datetime) -> datetime | None:
        """When the period that ``now`` is in began; None for a period without a beginning."""
        if self.once == "ever":
            return None
        today = now.astimezone(self.settings.zone)
        return datetime.combine(today.date(), time.min, today.tzinfo)

    def closed_reason(self, now: datetime, *, any_time: bool = False) -> str | None:
        """Why a pass may message nobody at ``now``; None if it may."""
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
    """The local midnight that ends the day of ``at``; the first one where there are two.

    A backend may write the first or the last day of the calendar for "never": then the period
    ends a day later, or at :data:`FAR`.
    """
    try:
        day = at.astimezone(settings.zone)
        tomorrow = datetime.combine(day.date() + timedelta(days=1), time.min, day.tzinfo)
        return tomorrow.astimezone(timezone.utc)
    except OverflowError:
        return at + timedelta(days=1) if at < FAR - timedelta(days=2) else FAR


def own_button(settings: Settings, key: str) -> Button | None:
    """The button set by ``OZH_<KEY>_BUTTON_TEXT`` and ``OZH_<KEY>_BUTTON``."""
    text, target = getattr(settings, f"{key}_button_text"), getattr(settings, f"{key}_button")
    return Button(text, target) if text and target else None
