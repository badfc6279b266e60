"""Pure: what ``win_back.toml`` says of a campaign; whatever is wrong is told with its line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from ozh_notify.campaigns.base import Criterion, Kind, days_of
from ozh_notify.errors import ConfigError

KEYS = frozenset(
    {"summary", "population", "criteria", "once", "newest_by", "not_before"}
    | {"set_when_sent", "variables", "described_as"}
)
MESSAGE_KEYS = frozenset(
    {"photo", "animation", "video", "silent", "protect", "link_preview", "button"}
)
"""What the same file says of the message; the package that makes messages reads these."""
COMPARISONS = {"above": "$gt", "at_least": "$gte", "below": "$lt", "at_most": "$lte"}
AGES = {"older_than": "$lt", "younger_than": "$gt"}
CRITERION_KEYS = frozenset({"field", "reason", "is", *COMPARISONS, *AGES})

UNITS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
AGE = re.compile(rf"(\d+(?:\.\d+)?) ({'|'.join(UNITS)})s?")
LONGEST = timedelta(days=36_500)
FIELD = re.compile(r"[^\s$.\0][^\s$.\0]*(\.[^\s$.\0]+)*")
CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class CriterionSpec:
    """One criterion; its ages become moments when a pass asks."""

    field: str
    kind: Kind
    reason: str
    fixed: Mapping[str, Any]
    ages: Mapping[str, timedelta]
    place: str
    """File and line, which stand where other campaigns name a variable."""

    def criterion(self, now: datetime) -> Criterion:
        """The criterion at this moment."""
        moments = {operator: now - age for operator, age in self.ages.items()}
        condition = {**self.fixed, **moments}
        return Criterion(self.field, self.kind, condition, self.reason, self.place, explicit=True)


@dataclass(frozen=True)
class CampaignFile:
    """Everything that the file says."""

    summary: str
    described_as: str
    """The users of the population, in words."""
    once: str
    newest_by: str
    not_before: time | None
    population: tuple[CriterionSpec, ...]
    criteria: tuple[CriterionSpec, ...]
    set_when_sent: Mapping[str, Any]
    variables: Mapping[str, str]


def parse_campaign(text: str, file: str, name: str) -> CampaignFile:
    """The campaign that a file describes.

    Raises:
        ConfigError: something in it is wrong, with file and line.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"{file}:{line[1] if line else '1'}: {error}") from None
    return _CampaignReader(text, file, values).read(name)


class _CampaignReader:
    """Checks the values of one file, and knows on which line each stands."""

    def __init__(self, text: str, file: str, values: Mapping[str, Any]) -> None:
        self._lines, self._file, self._values = text.splitlines(), file, values

    def read(self, name: str) -> CampaignFile:
        known = KEYS | MESSAGE_KEYS
        for key in self._values:
            if key not in known:
                self._fail(key, f"{key!r} is not a known key; known are {', '.join(sorted(known))}")
        if not self._values.get("population"):
            self._fail("", "it has no [[population]]: which users is it for?")
        return CampaignFile(
            summary=self._text("summary", f"One pass of {name}, then exit."),
            described_as=self._text("described_as", "users of the population"),
            once=self._once(),
            newest_by=self._field("newest_by", self._values.get("newest_by")),
            not_before=self._clock("not_before"),
            population=tuple(self._specs("population")),
            criteria=tuple(self._specs("criteria")),
            set_when_sent=self._set_when_sent(),
            variables={key: str(value) for key, value in self._table("variables").items()},
        )

    def _once(self) -> str:
        once = self._values.get("once")
        try:
            days_of(once if isinstance(once, str) else "")
        except ValueError as error:
            self._fail("once", f"once = {once!r}: {error}")
        return str(once)

    def _text(self, key: str, default: str) -> str:
        value = self._values.get(key, default)
        if not isinstance(value, str) or not value.strip():
            self._fail(key, f"{key}: expected a text")
        return str(value)

    def _field(self, key: str, value: Any, where: str = "", number: int = 0) -> str:
        if not (isinstance(value, str) and FIELD.fullmatch(value)):
            what = "missing" if value is None else f"{value!r} is not a field path"
            self._fail(key, f"{key}: {what}", where, number)
        return str(value)

    def _clock(self, key: str) -> time | None:
        value = self._values.get(key)
        if value is None:
            return None
        match = CLOCK.fullmatch(value) if isinstance(value, str) else None
        if not match:
            self._fail(key, f"{key}: expected a time of day such as 11:00, in quotes")
            return None
        return time(int(match[1]), int(match[2]))

    def _table(self, key: str) -> Mapping[str, Any]:
        table = self._values.get(key, {})
        if not isinstance(table, dict):
            self._fail(key, f"{key}: expected a table")
        for name, value in table.items():
            if name in KEYS | MESSAGE_KEYS:
                self._fail(name, f"{name!r} belongs above the first table, not into [{key}]")
            if not isinstance(value, str | int | float | bool):
                self._fail(name, f"{key}.{name}: expected a text, a number, true or false")
        return dict(table)

    def _set_when_sent(self) -> Mapping[str, Any]:
        table = self._table("set_when_sent")
        return {self._field(path, path): value for path, value in table.items()}

    def _specs(self, table: str) -> Iterator[CriterionSpec]:
        rows = self._values.get(table, [])
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            self._fail(table, f"write [[{table}]] with two brackets")
        for number, row in enumerate(rows):
            yield self._spec(table, number, row)

    def _spec(self, table: str, number: int, row: Mapping[str, Any]) -> CriterionSpec:
        for key in row:
            if key not in CRITERION_KEYS:
                known = f"is not a known key; known are {', '.join(sorted(CRITERION_KEYS))}"
                if key in KEYS | MESSAGE_KEYS:
                    known = f"belongs above the first table, not into [[{table}]]"
                self._fail(key, f"{key!r} {known}", table, number)
        field = self._field("field", row.get("field"), table, number)
        reason = row.get("reason")
        if not isinstance(reason, str):
            self._fail("reason", "reason: how is a user called who fails it?", table, number)
        ages = {AGES[k]: self._age(k, row[k], table, number) for k in AGES if k in row}
        fixed = self._fixed(row, table, number)
        if bool(ages) == bool(fixed):
            what = "a date and a value at once" if ages else "no condition"
            self._fail("field", f"{field!r} has {what}", table, number)
        flag = isinstance(row.get("is"), bool)
        kind = Kind.DATE if ages else Kind.FLAG if flag else Kind.NUMBER
        place = f"{self._file}:{self._line('field', table, number)}"
        return CriterionSpec(field, kind, str(reason), fixed, ages, place)

    def _age(self, key: str, value: Any, table: str, number: int) -> timedelta:
        match = AGE.fullmatch(value) if isinstance(value, str) else None
        seconds = float(match[1]) * UNITS[match[2]] if match else -1
        if not 0 <= seconds <= LONGEST.total_seconds():
            self._fail(key, f'{key} = {value!r}: expected a text such as "14 days"', table, number)
        return timedelta(seconds=max(seconds, 0))

    def _fixed(self, row: Mapping[str, Any], table: str, number: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in row.items():
            if key != "is" and key not in COMPARISONS:
                continue
            is_flag = key == "is" and isinstance(value, bool)
            if not is_flag and (isinstance(value, bool) or not isinstance(value, int | float)):
                self._fail(key, f"{key} = {value!r}: expected a number", table, number)
            if key in COMPARISONS:
                found[COMPARISONS[key]] = value
            else:
                # A flag that was never set counts as false.
                found.update({"$in": [False, None]} if value is False else {"$eq": value})
        return found

    def _line(self, key: str, table: str = "", number: int = 0) -> int:
        """The line of a key, in the so-many-th table of that name."""
        start = 0
        if table:
            heads = [n for n, line in enumerate(self._lines) if line.strip() == f"[[{table}]]"]
            start = heads[number] if number < len(heads) else 0
        wanted = re.compile(rf"""\s*(\[*)["']?{re.escape(key)}["']?\s*[=\].]""")
        return next((n + 1 for n in range(start, len(self._lines)) if key
                     and wanted.match(self._lines[n])), start + 1)  # fmt: skip

    def _fail(self, key: str, text: str, table: str = "", number: int = 0) -> None:
        raise ConfigError(f"{self._file}:{self._line(key, table, number)}: {text}")
