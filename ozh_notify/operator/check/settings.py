"""Checks of the settings themselves: offer, time zone, hours, rate, recipient limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ozh_notify.campaigns import Campaign
from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import Settings, local
from ozh_notify.operator.check.result import CheckResult, ok, problem, warning
from ozh_notify.passes.dry_run import FREE_RATE

STEP = timedelta(minutes=5)
"""How closely a day is searched for a moment at which a pass may run."""

IsSkipped = Callable[..., bool]
"""Whether a problem concerns a variable with one of these prefixes."""


def problem_results(
    problems: Sequence[Problem], warnings: Sequence[Problem], where: str
) -> list[CheckResult]:
    """Everything that is wrong with the settings, each with its variable's name."""
    found = [problem("settings", _without_remedy(one), one.remedy) for one in problems]
    found += [warning("settings", _without_remedy(one), one.remedy) for one in warnings]
    return found or [ok("settings", f"understood, from the environment {where}")]


def _without_remedy(problem: Problem) -> str:
    return str(replace(problem, remedy=""))


def settings_results(
    settings: Settings, campaigns: Sequence[Campaign], now: datetime, is_skipped: IsSkipped
) -> Iterator[CheckResult]:
    """One result for each subject whose variables have no problem."""
    if not is_skipped("OZH_TIMEZONE"):
        yield _zone(settings, now)
    if not is_skipped("OZH_TIMEZONE", "OZH_QUIET_HOURS", "OZH_DAILY_BONUS_NOT_BEFORE"):
        yield from (_hours(campaign, now) for campaign in campaigns)
        yield _quiet_hours(settings)
    if not is_skipped("OZH_RATE_LIMIT", "OZH_PAID_BROADCAST", "OZH_SHARDS"):
        yield _rate(settings)
    if not is_skipped("OZH_MAX_RECIPIENTS"):
        yield _recipient_limit(settings)
    if not is_skipped("OZH_MIN_GAP_HOURS"):
        yield _gap(settings)
    if not is_skipped("OZH_JOURNAL"):
        yield _journal(settings)
    for campaign in campaigns:
        prefix = f"OZH_{campaign.key.upper()}"
        if not is_skipped(f"{prefix}_HOLDOUT", f"{prefix}_EXPERIMENT", f"{prefix}_GOAL"):
            yield from _experiment(settings, campaign, now)


def _zone(settings: Settings, now: datetime) -> CheckResult:
    found = f"{settings.zone_name}, where it is {local(now, settings):%Y-%m-%d %H:%M} now"
    if settings.timezone is None:
        remedy = "set OZH_TIMEZONE to the zone of most users, such as Europe/Moscow"
        return warning("time zone", f"this machine's own: {found}", remedy)
    return ok("time zone", found)


def _hours(campaign: Campaign, now: datetime) -> CheckResult:
    subject, closed = f"hours of {campaign.name}", campaign.closed_reason(now)
    day = (now + n * STEP for n in range(timedelta(days=1) // STEP))
    if closed and all(campaign.closed_reason(moment) for moment in day):
        found = "there is no time of day at which a pass may message anybody"
        return problem(subject, found, "look at OZH_QUIET_HOURS and OZH_DAILY_BONUS_NOT_BEFORE")
    if closed:
        return ok(subject, f"a pass now would message nobody: {closed}")
    return ok(subject, "a pass may run now")


def _quiet_hours(settings: Settings) -> CheckResult:
    if settings.quiet_hours is None:
        remedy = "OZH_QUIET_HOURS=22:00-09:00; without it an offer can arrive at 3 a.m."
        return warning("quiet hours", "not set", remedy)
    start, end = settings.quiet_hours
    return ok("quiet hours", f"nobody is messaged from {start:%H:%M} to {end:%H:%M}")


def _rate(settings: Settings) -> CheckResult:
    found = f"{settings.rate_limit:g} messages a second"
    if settings.shards:
        found += f", shared by {settings.shards} shards"
    if settings.paid_broadcast:
        return ok("rate", f"{found}; Telegram charges Stars above {FREE_RATE} a second")
    if settings.rate_limit > FREE_RATE:
        limit = f"Telegram's limit is about {FREE_RATE} a second"
        return warning("rate", found, f"{limit}: OZH_RATE_LIMIT=20, or OZH_PAID_BROADCAST=True")
    return ok("rate", found)


def _recipient_limit(settings: Settings) -> CheckResult:
    found = f"a pass that would message more than {settings.max_recipients} users is refused"
    if not settings.max_recipients:
        return warning("recipient limit", found, "OZH_MAX_RECIPIENTS=0 refuses every pass")
    return ok("recipient limit", found)


def _gap(settings: Settings) -> CheckResult:
    if settings.min_gap_hours is None:
        found = "not set: two campaigns may message one user in the same minute"
        return ok("gap between messages", f"{found}; OZH_MIN_GAP_HOURS=4 keeps them apart")
    found = f"no user gets two messages within {settings.min_gap_hours:g} hours"
    return ok("gap between messages", found)


def _journal(settings: Settings) -> CheckResult:
    if settings.journal_collection is None:
        found = "off: a backend that saves whole user documents can cause a second message"
        return ok("journal", found)
    kept = f"kept for {settings.journal_days} days for a daily campaign"
    return ok("journal", f"in {settings.journal_collection}, {kept}")


def _experiment(settings: Settings, campaign: Campaign, now: datetime) -> Iterator[CheckResult]:
    share = getattr(settings, f"{campaign.key}_holdout", None)
    name = getattr(settings, f"{campaign.key}_experiment", None)
    until = getattr(settings, f"{campaign.key}_experiment_until", None)
    if share is None or until is None:
        return
    subject, days = f"experiment of {campaign.name}", getattr(settings, f"{campaign.key}_goal_days")
    if local(now, settings).date() > until:
        remedy = f"unset OZH_{campaign.key.upper()}_HOLDOUT; read it: ozh-notify effect"
        yield warning(subject, f"{name} has assigned nobody since {until} was over", remedy)
        return
    found = f"{name} holds out {share} % until the end of {until}, and judges after {days} days"
    yield ok(subject, found)
