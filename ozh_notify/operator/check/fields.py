"""Pure: every mapped field in a sample of users, with the verdict a pass would come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ozh_notify.campaigns import Campaign, Criterion, Kind
from ozh_notify.config.settings import Settings
from ozh_notify.operator.check.hints import Fits, likelier_field
from ozh_notify.operator.check.line import (
    CheckResult,
    ok,
    problem,
    warning,
)
from ozh_notify.users import field_mapping, recipient
from ozh_notify.users.field_mapping import type_name
from ozh_notify.users.recipient import MISSING, at_path

Sample = Sequence[dict[str, Any]]

LOOKS_LIKE = {Kind.DATE: "a date", Kind.NUMBER: "a number", Kind.FLAG: "true or false"}


def field_results(sample: Sample, campaigns: Sequence[Campaign]) -> list[CheckResult]:
    """A line for each field the settings map, and for the state field."""
    if not sample:
        return []
    s, look = campaigns[0].settings, _Look(sample, campaigns)
    return [
        look.chat(s.field_chat_id),
        *map(look.criterion, _criteria(campaigns)),
        look.first_name(s.field_first_name),
        look.language(s.field_language),
        look.state(s),
    ]


class _Look:
    """A look at one sample."""

    def __init__(self, sample: Sample, campaigns: Sequence[Campaign]) -> None:
        self._sample, self._campaigns = sample, campaigns
        self._findings = [field_mapping.check_mapping(sample, campaign) for campaign in campaigns]
        self._mapped = _mapped(campaigns)

    def chat(self, field: str) -> CheckResult:
        """Whom a pass can write to at all."""
        variable, found = "OZH_FIELD_CHAT_ID", self._present(field)
        line = self._of_mapping(variable, field)
        if line:
            return self._hinted(line, variable, field, _is_chat, "a chat id")
        unusable = sum(not _is_chat(value) for value in self._values(field))
        if unusable:
            text = f"{found}; {unusable} users have no usable chat id"
            return warning(_about(field), text, "they are left alone")
        return ok(_about(field), found)

    def criterion(self, criterion: Criterion) -> CheckResult:
        """What decides who is eligible."""
        field, looks_like = criterion.field, LOOKS_LIKE[criterion.kind]

        def fits(value: Any) -> bool:
            return type_name(value) in criterion.kind.value

        line = self._of_mapping(criterion.variable, field)
        if line:
            return self._hinted(line, criterion.variable, field, fits, looks_like)
        odd = sum(
            value is not MISSING and value is not None and not fits(value)
            for value in self._values(field)
        )
        if odd:
            do = f"no campaign messages the {odd} users where it is not {looks_like}"
            return warning(_about(field), self._present(field), do)
        return ok(_about(field), self._present(field))

    def first_name(self, field: str) -> CheckResult:
        """Only the message needs it: nothing about it stops a pass."""
        if any(map(_is_name, self._values(field))):
            return ok(_about(field), self._present(field))
        line = warning(_about(field), self._present(field), "no message names its reader")
        return self._hinted(line, "OZH_FIELD_FIRST_NAME", field, _is_name, "a first name")

    def language(self, field: str) -> CheckResult:
        """Many bots know no language: a warning only where another field seems to hold one."""
        found = self._present(field)
        if any(map(_is_language, self._values(field))):
            return ok(_about(field), found)
        hint = self._hint("OZH_FIELD_LANGUAGE", field, _is_language, "a language")
        if hint:
            return warning(_about(field), found, hint)
        return ok(_about(field), f"{found}: all get the default text")

    def state(self, settings: Settings) -> CheckResult:
        """Where this program writes to: what is no object there is never overwritten."""
        field = settings.state_field
        values = self._values(field)
        odd = sum(not (v is MISSING or v is None or isinstance(v, dict)) for v in values)
        if odd:
            do = "they are left alone; name in OZH_STATE_FIELD a field that nothing else uses"
            text = f"{self._present(field)}: no object in {odd} users"
            return warning(_about(field), text, do)
        return ok(_about(field), self._present(field))

    def _values(self, field: str) -> list[Any]:
        return [at_path(user, field) for user in self._sample]

    def _present(self, field: str) -> str:
        values = [value for value in self._values(field) if value is not MISSING]
        if not values:
            return f"in none of {len(self._sample)} users"
        types = Counter(map(type_name, values)).most_common()
        listed = [f"{name} ({count})" if len(types) > 1 else name for name, count in types]
        return f"in {len(values)} of {len(self._sample)} users: {', '.join(listed)}"

    def _of_mapping(self, variable: str, field: str) -> CheckResult | None:
        """What a pass says about the field that a variable names, if anything."""
        for found in self._findings:
            for make, problems in ((problem, found.errors), (warning, found.warnings)):
                for one in problems:
                    if one.variable == variable:
                        return make(_about(field), self._present(field), one.remedy)
        return None

    def _hinted(
        self, line: CheckResult, variable: str, field: str, fits: Fits, looks_like: str
    ) -> CheckResult:
        """The line, with what to do: take the likelier field, or name the right one."""
        hint = self._hint(variable, field, fits, looks_like)
        return replace(line, do=hint or line.do or f"name the right field in {variable}")

    def _hint(self, variable: str, field: str, fits: Fits, looks_like: str) -> str:
        near = likelier_field(self._sample, variable, field, fits, self._mapped - {field})
        return f"{near!r} looks like {looks_like}: {variable}={near} ?" if near else ""


def _about(field: str) -> str:
    return f"field {field}"


def _mapped(campaigns: Sequence[Campaign]) -> set[str]:
    s = campaigns[0].settings
    criteria = {criterion.field for criterion in _criteria(campaigns)}
    return criteria | {s.field_chat_id, s.field_first_name, s.field_language, s.state_field}


def _criteria(campaigns: Sequence[Campaign]) -> list[Criterion]:
    """One criterion a variable, in the campaigns' order."""
    every = [c for campaign in campaigns for c in campaign.criteria(field_mapping.ANY_TIME)]
    return list({criterion.variable: criterion for criterion in every}.values())


def _is_chat(value: Any) -> bool:
    return recipient.parse_chat_id(value) is not None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(recipient.clean_name(value))


def _is_language(value: Any) -> bool:
    return isinstance(value, str) and bool(recipient.parse_language(value))
