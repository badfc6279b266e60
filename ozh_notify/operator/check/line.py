"""Pure: a line of the check's table, and what all lines together come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ozh_notify.errors import Exit, OzhError


class Verdict(str, Enum):
    """What is to be thought of one thing."""

    OK = "ok"
    WARNING = "warning"
    """A pass works; somebody should have a look all the same."""
    PROBLEM = "problem"
    """A pass would fail, or message nobody."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at."""

    about: str
    verdict: Verdict
    found: str
    do: str = ""
    """What to do about it; empty where there is nothing to do."""
    exit_code: Exit = Exit.OK
    """What a problem makes of the exit code."""

    def as_json(self) -> dict[str, Any]:
        """What machines are shown of it."""
        return {"about": self.about, "verdict": self.verdict.value, "found": self.found,
                "do": self.do}  # fmt: skip


def ok(about: str, found: str) -> CheckResult:
    """Nothing to do."""
    return CheckResult(about, Verdict.OK, found)


def warning(about: str, found: str, do: str = "") -> CheckResult:
    """Worth a look."""
    return CheckResult(about, Verdict.WARNING, found, do)


def problem(about: str, found: str, do: str = "") -> CheckResult:
    """A configuration that is wrong."""
    return CheckResult(about, Verdict.PROBLEM, found, do, Exit.CONFIG)


def failed(about: str, error: OzhError) -> CheckResult:
    """What a pass would end with: an outage is a problem, being asked to wait is none."""
    if error.exit_code is Exit.UNAVAILABLE:
        do = "is it up, is its address right, and may this machine reach it?"
        return CheckResult(about, Verdict.PROBLEM, str(error), do, Exit.UNAVAILABLE)
    if error.exit_code is Exit.CONFIG:
        return problem(about, str(error))
    return warning(about, str(error), "try again later")


def verdict(lines: Sequence[CheckResult]) -> Verdict:
    """The worst of all lines."""
    order = list(Verdict)
    return max((line.verdict for line in lines), key=order.index, default=Verdict.OK)


def exit_code(lines: Sequence[CheckResult]) -> Exit:
    """78 before 69: an outage may pass by itself, a wrong configuration does not."""
    codes = {line.exit_code for line in lines}
    return next((code for code in (Exit.CONFIG, Exit.UNAVAILABLE) if code in codes), Exit.OK)
