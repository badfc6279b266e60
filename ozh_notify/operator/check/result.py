"""One result of the check, and the verdict and exit code of all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ozh_notify.errors import Exit, OzhError


class CheckVerdict(str, Enum):
    """How good or bad a result is; the worst comes last."""

    OK = "ok"
    WARNING = "warning"
    """A pass works, but somebody should look at it."""
    PROBLEM = "problem"
    """A pass would fail, or message the wrong users."""


@dataclass(frozen=True)
class CheckResult:
    """What was found about one subject, and what to do."""

    subject: str
    verdict: CheckVerdict
    finding: str
    remedy: str = ""
    """Empty where there is nothing to do."""
    exit_code: Exit = Exit.OK
    """What a problem makes of the command's exit code."""
    suggestion: str = ""
    """A line for the env file that would correct it, where one was guessed."""

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` shows of it."""
        return {
            "subject": self.subject,
            "verdict": self.verdict.value,
            "finding": self.finding,
            "remedy": self.remedy,
        }


def ok(subject: str, finding: str) -> CheckResult:
    """Nothing to do."""
    return CheckResult(subject, CheckVerdict.OK, finding)


def warning(subject: str, finding: str, remedy: str = "") -> CheckResult:
    """A pass works, but somebody should look at it."""
    return CheckResult(subject, CheckVerdict.WARNING, finding, remedy)


def problem(subject: str, finding: str, remedy: str = "") -> CheckResult:
    """The configuration is wrong."""
    return CheckResult(subject, CheckVerdict.PROBLEM, finding, remedy, Exit.CONFIG)


def failed(subject: str, error: OzhError) -> CheckResult:
    """A part of the check ended with an error; a request to wait is only a warning."""
    if error.exit_code is Exit.UNAVAILABLE:
        remedy = "is it up, is its address right, and may this machine reach it?"
        return CheckResult(subject, CheckVerdict.PROBLEM, str(error), remedy, Exit.UNAVAILABLE)
    if error.exit_code is Exit.CONFIG:
        return problem(subject, str(error))
    return warning(subject, str(error), "try again later")


def verdict(results: Sequence[CheckResult]) -> CheckVerdict:
    """The worst of all results."""
    order = list(CheckVerdict)
    return max((result.verdict for result in results), key=order.index, default=CheckVerdict.OK)


def exit_code(results: Sequence[CheckResult]) -> Exit:
    """78 before 69: an outage may pass by itself, a wrong configuration does not."""
    codes = {result.exit_code for result in results}
    return next((code for code in (Exit.CONFIG, Exit.UNAVAILABLE) if code in codes), Exit.OK)
