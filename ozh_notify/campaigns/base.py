"""What a campaign is: who gets the message, when, what it says, and what it sets when sent."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:  # so that `--help` can list campaigns without it
    from ozh_notify.config.settings import Settings

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
"""The end of a period that never ends, in the last year that BSON dates and Python share."""

CLOCK_DIFFERENCE = timedelta(minutes=5)
"""A date that is less than this in the future may come from a clock that is fast."""

LONGEST_PERIOD = 3650
"""The most days that ``once`` may name."""


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
    once: ClassVar[str]
    """How often a user may get it: once ``"ever"``, once a local ``"day"``, or once in so many
    local days in a row, as in ``"7 days"``."""
    folder: ClassVar[Path | None] = None
    """The folder of its text; None: ``templates`` in the package that the class comes from."""
    environment_variables: ClassVar[tuple[str, ...]] = ()
    """Variables of its own, read from ``settings.others``."""

    @property
    def key(self) -> str:
        """As fields, file names and variables spell it: ``daily_bonus``."""
        return key_of(self.name)

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

    @classmethod
    def period_days(cls) -> int | None:
        """The local days of a period, that of the claim included; None: the period never ends."""
        return days_of(cls.once)

    def period_end(self, at: datetime) -> datetime:
        """When a user who was messaged at ``at`` may be messaged again."""
        days = self.period_days()
        return midnight_after(at, self.settings, days) if days else FAR

    def period_start(self, now: datetime) -> datetime | None:
        """From when on a message still holds its user at ``now``; None: however old it is."""
        days = self.period_days()
        if days is None:
            return None
        today = now.astimezone(self.settings.zone)
        first = today.date() - timedelta(days=days - 1)
        return datetime.combine(first, time.min, today.tzinfo)

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


def key_of(name: str) -> str:
    """A campaign's name as fields, file names and variables spell it: ``daily_bonus``."""
    return name.replace("-", "_")


@cache
def days_of(once: str) -> int | None:
    """The days of a period: None for ``"ever"``, 1 for ``"day"``, 7 for ``"7 days"``.

    Raises:
        ValueError: it is none of these; says what was expected.
    """
    if once == "ever":
        return None
    if once == "day":
        return 1
    match = re.fullmatch(r"([1-9][0-9]{0,4}) days", once)
    days = int(match[1]) if match else 0
    if not 2 <= days <= LONGEST_PERIOD:
        raise ValueError('expected "ever", "day", or days from 2 on such as "7 days"')
    return days


def midnight_after(at: datetime, settings: Settings, days: int = 1) -> datetime:
    """The local midnight that ends the ``days`` from the day of ``at`` on.

    It is the first one where there are two. A backend may write the first or the last day of the
    calendar for "never": then the period ends so many days later, or at :data:`FAR`.
    """
    try:
        day = at.astimezone(settings.zone)
        end = datetime.combine(day.date() + timedelta(days=days), time.min, day.tzinfo)
        return end.astimezone(timezone.utc)
    except OverflowError:
        later = timedelta(days=days)
        return at + later if at < FAR - later - timedelta(days=1) else FAR


def own_button(settings: Settings, key: str) -> Button | None:
    """The button set by ``OZH_<KEY>_BUTTON_TEXT`` and ``OZH_<KEY>_BUTTON``."""
    text, target = getattr(settings, f"{key}_button_text"), getattr(settings, f"{key}_button")
    return Button(text, target) if text and target else None
