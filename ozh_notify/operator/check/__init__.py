"""Is everything ready? One result for each thing that a pass relies on; nothing is written.

Settings first, then what they lead to: MongoDB, the users in it, Telegram, the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ozh_notify.campaigns import Campaign
from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import Settings
from ozh_notify.mongo.operator_queries import Document
from ozh_notify.operator.check import bot, database, installation, monitoring
from ozh_notify.operator.check import settings as settings_checks
from ozh_notify.operator.check import templates as template_checks
from ozh_notify.operator.check.result import CheckResult, CheckVerdict, exit_code, verdict, warning

__all__ = ["CheckResult", "CheckVerdict", "check", "exit_code", "suggestions", "verdict"]

MONGO = (
    *("MONGO_", "OZH_USERS_COLLECTION", "OZH_FIELD_", "OZH_STATE_FIELD", "OZH_EXTRA_FILTER"),
    "OZH_JOURNAL_",
)
TELEGRAM = ("TELEGRAM_", "OZH_TELEGRAM_", "OZH_ADMIN_CHAT_ID")
MESSAGES = (
    *("OZH_TEMPLATES_DIR", "OZH_CAMPAIGNS_DIR", "OZH_DISCOUNT_BUTTON", "OZH_DAILY_BONUS_BUTTON"),
)
"""Variables by what they belong to; a problem of one of them skips that part of the check."""


async def check(
    settings: Settings,
    campaigns: Sequence[Campaign],
    now: datetime,
    *,
    problems: Sequence[Problem] = (),
    warnings: Sequence[Problem] = (),
    where: str = "",
) -> list[CheckResult]:
    """All results; with ``problems``, ``settings`` holds the variables that are valid.

    ``where`` names the file that the settings come from besides the environment.
    """

    def is_skipped(*prefixes: str) -> bool:
        return any(problem.concerns(*prefixes) for problem in problems)

    sample: list[Document] = []
    results = settings_checks.problem_results(problems, warnings, where)
    results += installation.python_results()
    if is_skipped(*MONGO):
        results.append(_skipped("MongoDB"))
    else:
        of_mongo, sample = await database.database_results(settings, campaigns, now)
        results += of_mongo
    results += [_skipped("bot")] if is_skipped(*TELEGRAM) else await bot.bot_results(settings)
    if is_skipped(*MESSAGES):
        results.append(_skipped("templates"))
    else:
        results += template_checks.template_results(sample, campaigns)
    results += settings_checks.settings_results(settings, campaigns, now, is_skipped)
    return [*results, *monitoring.monitoring_results(settings, campaigns, is_skipped)]


def suggestions(results: Sequence[CheckResult]) -> list[str]:
    """The lines for the env file that the results propose."""
    return [result.suggestion for result in results if result.suggestion]


def _skipped(subject: str) -> CheckResult:
    return warning(subject, "skipped", "fix the settings first")
