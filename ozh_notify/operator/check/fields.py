"""Every mapped field in a sample of users, with the verdict that a pass would come to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign, Criterion, Kind
from ozh_notify.config.settings import Settings
from ozh_notify.operator.check.hints import Fits, likelier_field
from ozh_notify.operator.check.result import CheckResult, CheckVerdict, ok, problem, warning
from ozh_notify.users import field_mapping, recipient
from ozh_notify.users.field_mapping import EXPECTED, type_name
from ozh_notify.users.recipient import MISSING, at_path

Sample = Sequence[dict[str, Any]]

OPTIONAL = {
    "OZH_FIELD_USERNAME": ("field_username", ("string",), "a user name"),
    "OZH_FIELD_BLOCKED": ("field_blocked", Kind.FLAG.value, EXPECTED[Kind.FLAG]),
    "OZH_FIELD_BLOCKED_AT": ("field_blocked_at", Kind.DATE.value, EXPECTED[Kind.DATE]),
    "OZH_FIELD_REVENUE": ("field_revenue", Kind.NUMBER.value, EXPECTED[Kind.NUMBER]),
}
"""Fields that a pass can do without: attribute, right types, and what those look like."""


def field_results(
    sample: Sample, campaigns: Sequence[Campaign], now: datetime
) -> list[CheckResult]:
    """A result for each field that the settings map, and for the state field."""
    if not sample:
        return []
    settings, check = campaigns[0].settings, _FieldCheck(sample, campaigns, now)
    return [
        check.chat(settings.field_chat_id),
        *map(check.criterion, _criteria(campaigns)),
        check.first_name(settings.field_first_name),
        check.language(settings.field_language),
        *check.optional(settings),
        check.state(settings.state_field),
    ]


class _FieldCheck:
    """The checks of one sample."""

    def __init__(self, sample: Sample, campaigns: Sequence[Campaign], now: datetime) -> None:
        self._sample, self._now = sample, now
        self._findings = [
            field_mapping.check_mapping(sample, campaign, now) for campaign in campaigns
        ]
        self._mapped = _mapped(campaigns)

    def chat(self, field: str) -> CheckResult:
        """Which users a pass can write to at all."""
        if said := self._said_by_a_pass("OZH_FIELD_CHAT_ID", field):
            return self._hinted(said, "OZH_FIELD_CHAT_ID", field, _is_chat, "a chat id")
        unusable = sum(not _is_chat(value) for value in self._values(field))
        if not unusable:
            return ok(_subject(field), self._present(field))
        users = "1 user has" if unusable == 1 else f"{unusable} users have"
        found = f"{self._present(field)}; {users} no usable chat id"
        if unusable < field_mapping.MIN_VALUES:
            return ok(_subject(field), found)
        return warning(_subject(field), found, "no campaign messages these users")

    def criterion(self, criterion: Criterion) -> CheckResult:
        """A field that decides who is eligible."""
        field, looks_like = criterion.field, EXPECTED[criterion.kind]

        def fits(value: Any) -> bool:
            return type_name(value) in criterion.kind.value

        for late in field_mapping.check_dates(self._sample, criterion, self._now):
            return warning(_subject(field), f"{self._present(field)}; {late.text}", late.remedy)
        if said := self._said_by_a_pass(criterion.variable, field):
            if any(map(fits, self._values(field))):
                return said
            return self._hinted(said, criterion.variable, field, fits, looks_like)
        absent = (MISSING, None)
        values = [v for v in self._values(field) if not any(v is one for one in absent)]
        odd = sum(not fits(value) for value in values)
        if odd:
            users = "the 1 user" if odd == 1 else f"the {odd} users"
            remedy = f"no campaign messages {users} where it is not {looks_like}"
            return warning(_subject(field), self._present(field), remedy)
        return ok(_subject(field), self._present(field))

    def first_name(self, field: str) -> CheckResult:
        """Only the text of a message needs it: nothing about it stops a pass."""
        if any(map(_is_name, self._values(field))):
            return ok(_subject(field), self._present(field))
        remedy = "the messages use no names"
        result = warning(_subject(field), self._present(field), remedy)
        return self._hinted(result, "OZH_FIELD_FIRST_NAME", field, _is_name, "a first name")

    def language(self, field: str) -> CheckResult:
        """Many bots store no language: a warning only where another field seems to hold one."""
        found = self._present(field)
        if any(map(_is_language, self._values(field))):
            return ok(_subject(field), found)
        result = ok(_subject(field), f"{found}: all get the default text")
        hinted = self._hinted(result, "OZH_FIELD_LANGUAGE", field, _is_language, "a language")
        return replace(hinted, verdict=CheckVerdict.WARNING) if hinted.suggestion else result

    def optional(self, settings: Settings) -> Iterator[CheckResult]:
        """Fields that only some commands and options need, where they are mapped."""
        for variable, (attribute, types, looks_like) in OPTIONAL.items():
            if field := getattr(settings, attribute):
                yield self._optional(variable, field, types, looks_like)

    def _optional(
        self, variable: str, field: str, types: tuple[str, ...], looks_like: str
    ) -> CheckResult:
        def fits(value: Any) -> bool:
            return type_name(value) in types

        if any(map(fits, self._values(field))):
            return ok(_subject(field), self._present(field))
        result = warning(_subject(field), self._present(field))
        return self._hinted(result, variable, field, fits, looks_like)

    def state(self, field: str) -> CheckResult:
        """Our own field: a value that is not an object is never overwritten."""
        values = self._values(field)
        odd = sum(not (v is MISSING or v is None or isinstance(v, dict)) for v in values)
        if odd:
            found = f"{self._present(field)}: not an object in {odd} users"
            remedy = "no campaign messages them; name an unused field in OZH_STATE_FIELD"
            return warning(_subject(field), found, remedy)
        return ok(_subject(field), self._present(field))

    def _values(self, field: str) -> list[Any]:
        return [at_path(user, field) for user in self._sample]

    def _present(self, field: str) -> str:
        values = [value for value in self._values(field) if value is not MISSING]
        if not values:
            return f"in none of {len(self._sample)} users"
        types = Counter(map(type_name, values)).most_common()
        listed = [f"{name} ({count})" if len(types) > 1 else name for name, count in types]
        return f"in {len(values)} of {len(self._sample)} users: {', '.join(listed)}"

    def _said_by_a_pass(self, variable: str, field: str) -> CheckResult | None:
        """What a pass says about the field that a variable names, if anything."""
        for found in self._findings:
            for make, problems in ((problem, found.errors), (warning, found.warnings)):
                for one in problems:
                    if one.variable == variable:
                        return make(_subject(field), self._present(field), one.remedy)
        return None

    def _hinted(
        self, result: CheckResult, variable: str, field: str, fits: Fits, looks_like: str
    ) -> CheckResult:
        """The result with what to do: take the likelier field, or name the right one."""
        near = likelier_field(self._sample, variable, field, fits, self._mapped - {field})
        if not near:
            return replace(result, remedy=result.remedy or f"name the right field in {variable}")
        return replace(
            result,
            remedy=f"{near!r} looks like {looks_like}: {variable}={near} ?",
            suggestion=f'{variable}="{near}"',
        )


def _subject(field: str) -> str:
    return f"field {field}"


def _mapped(campaigns: Sequence[Campaign]) -> set[str]:
    s = campaigns[0].settings
    criteria = {criterion.field for criterion in _criteria(campaigns)}
    optional = {getattr(s, attribute) for attribute, *_ in OPTIONAL.values()} - {None}
    own = {s.field_chat_id, s.field_first_name, s.field_language, s.state_field}
    return criteria | optional | own


def _criteria(campaigns: Sequence[Campaign]) -> list[Criterion]:
    """One criterion per variable, in the campaigns' order."""
    every = [c for campaign in campaigns for c in campaign.criteria(field_mapping.ANY_TIME)]
    return list({criterion.variable: criterion for criterion in every}.values())


def _is_chat(value: Any) -> bool:
    return recipient.parse_chat_id(value) is not None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(recipient.clean_name(value))


def _is_language(value: Any) -> bool:
    return isinstance(value, str) and bool(recipient.parse_language(value))
