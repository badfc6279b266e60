"""What the settings say, and what they leave unsaid; pure but for a look at a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from ozh_notify.campaigns import Campaign
from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import Settings, local
from ozh_notify.operator.check.line import (
    CheckResult,
    ok,
    problem,
    warning,
)
from ozh_notify.passes.dry_run import FREE_RATE

STEP = timedelta(minutes=5)
"""How closely a day is searched for a moment at which a pass may run."""


def problem_results(
    problems: Sequence[Problem], warnings: Sequence[Problem], where: str
) -> list[CheckResult]:
    """Everything that is wrong with the settings, each with its variable's name."""
    found = [problem("settings", _named(one), one.remedy) for one in problems]
    found += [warning("settings", _named(one), one.remedy) for one in warnings]
    return found or [ok("settings", f"understood, from the environment {where}")]


def _named(problem: Problem) -> str:
    return str(replace(problem, remedy=""))


def is_touched(problems: Sequence[Problem], *prefixes: str) -> bool:
    """Whether a problem concerns a variable with one of these prefixes."""
    return any(problem.concerns(*prefixes) for problem in problems)


def settings_results(
    settings: Settings, campaigns: Sequence[Campaign], now: datetime, problems: Sequence[Problem]
) -> Iterator[CheckResult]:
    """Offer, time zone, hours, rate, fuse and who watches, but for what a problem touches."""
    yield from _offer(settings)
    if not is_touched(problems, "OZH_TIMEZONE"):
        yield _zone(settings, now)
    if not is_touched(problems, "OZH_TIMEZONE", "OZH_QUIET_HOURS", "OZH_DAILY_BONUS_NOT_BEFORE"):
        yield from (_hours(campaign, now) for campaign in campaigns)
    if not is_touched(problems, "OZH_RATE_LIMIT", "OZH_PAID_BROADCAST", "OZH_SHARDS"):
        yield _rate(settings)
    if not is_touched(problems, "OZH_MAX_RECIPIENTS"):
        yield _fuse(settings)
    yield from _metrics(settings, campaigns)
    if not is_touched(problems, "OZH_METRICS", "OZH_PUSHGATEWAY", "OZH_PING", "OZH_ADMIN"):
        yield _watched(settings)


def _offer(settings: Settings) -> Iterator[CheckResult]:
    parts = {
        "OZH_DISCOUNT_PACK": settings.discount_pack,
        "OZH_DISCOUNT_PRICE": settings.discount_price,
        "OZH_DISCOUNT_OLD_PRICE": settings.discount_old_price,
    }
    unset = [name for name, value in parts.items() if not value]
    if unset:
        do = "what is unset is left out of the offer; no price is ever invented"
        yield warning("offer", f"{', '.join(unset)}: unset", do)
    else:
        yield ok("offer", ", ".join(str(value) for value in parts.values()))


def _zone(settings: Settings, now: datetime) -> CheckResult:
    found = f"{settings.zone_name}, where it is {local(now, settings):%Y-%m-%d %H:%M} now"
    if settings.timezone is None:
        do = "OZH_TIMEZONE=Europe/Moscow, or wherever most users live"
        return warning("time zone", f"this machine's own: {found}", do)
    return ok("time zone", found)


def _hours(campaign: Campaign, now: datetime) -> CheckResult:
    about, closed = f"hours of {campaign.name}", campaign.closed_reason(now)
    day = (now + n * STEP for n in range(timedelta(days=1) // STEP))
    if closed and all(campaign.closed_reason(moment) for moment in day):
        do = "look at OZH_QUIET_HOURS and OZH_DAILY_BONUS_NOT_BEFORE"
        return problem(about, "no time of day is left at which a pass may message anybody", do)
    return ok(
        about, f"a pass now would message nobody: {closed}" if closed else "a pass may run now"
    )


def _rate(settings: Settings) -> CheckResult:
    found = f"{settings.rate_limit:g} messages a second"
    if settings.shards:
        found += f", shared by {settings.shards} shards"
    if settings.paid_broadcast:
        return ok("rate", f"{found}; paid: Stars for what is above {FREE_RATE}/s")
    if settings.rate_limit > FREE_RATE:
        do = f"Telegram's limit is about {FREE_RATE}/s: OZH_RATE_LIMIT=20, or OZH_PAID_BROADCAST"
        return warning("rate", found, do)
    return ok("rate", found)


def _fuse(settings: Settings) -> CheckResult:
    found = f"a pass that would message more than {settings.max_recipients} is refused"
    if not settings.max_recipients:
        return warning("fuse", found, "OZH_MAX_RECIPIENTS=0 lets no pass message anybody")
    return ok("fuse", found)


def _metrics(settings: Settings, campaigns: Sequence[Campaign]) -> Iterator[CheckResult]:
    if not settings.metrics_file:
        return
    for key in sorted({campaign.key for campaign in campaigns}):
        folder = Path(settings.metrics_file.replace("{campaign}", key)).parent
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            do = "no metrics would be written; nothing else depends on them"
            yield warning("OZH_METRICS_FILE", f"{folder} is no folder this user may write to", do)
            return
    if "{" in settings.metrics_file.replace("{campaign}", ""):
        do = "only {campaign} is filled in"
        yield warning("OZH_METRICS_FILE", settings.metrics_file, do)
        return
    if not settings.metrics_file.endswith(".prom"):
        do = "node_exporter reads files that end with .prom, and no others"
        yield warning("OZH_METRICS_FILE", settings.metrics_file, do)
        return
    yield ok("OZH_METRICS_FILE", settings.metrics_file)


def _watched(settings: Settings) -> CheckResult:
    """Addresses hold keys, so only the variables are named."""
    watchers = {
        "OZH_METRICS_FILE": settings.metrics_file,
        "OZH_PUSHGATEWAY_URL": settings.pushgateway_url,
        "OZH_PING_URL": settings.ping_url,
        "OZH_ADMIN_CHAT_ID": settings.admin_chat_id,
    }
    named = [name for name, value in watchers.items() if value]
    if not named:
        return warning("watched", "by nobody", "docs/watching.md: who is told when passes stop")
    return ok("watched", f"by {', '.join(named)}")
