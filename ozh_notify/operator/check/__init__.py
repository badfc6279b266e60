"""Is everything ready? One line for each thing that a pass relies on; nothing is written.

Settings first, then what they lead to: MongoDB, the users in it, Telegram, the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ozh_notify.campaigns import Campaign
from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import Settings
from ozh_notify.mongo.operator_queries import Document
from ozh_notify.operator.check import (
    bot,
    database,
)
from ozh_notify.operator.check import (
    settings as settings_checks,
)
from ozh_notify.operator.check import (
    templates as template_checks,
)
from ozh_notify.operator.check.line import (
    CheckResult,
    Verdict,
    exit_code,
    verdict,
    warning,
)

__all__ = ["CheckResult", "Verdict", "check", "exit_code", "verdict"]

MONGO = ("MONGO_", "OZH_USERS_COLLECTION", "OZH_FIELD_", "OZH_STATE_FIELD", "OZH_EXTRA_FILTER")
TELEGRAM = ("TELEGRAM_", "OZH_TELEGRAM_")
MESSAGES = ("OZH_TEMPLATES_DIR", "OZH_DISCOUNT_BUTTON", "OZH_DAILY_BONUS_BUTTON")
"""Variables without which the part in question is not looked at."""


async def check(
    settings: Settings,
    campaigns: Sequence[Campaign],
    now: datetime,
    *,
    problems: Sequence[Problem] = (),
    warnings: Sequence[Problem] = (),
    where: str = "",
) -> list[CheckResult]:
    """All lines; ``settings`` are those of what is valid where there are ``problems``.

    ``where`` says in words which file the settings come from besides the environment, if any.
    """
    sample: list[Document] = []
    lines = settings_checks.problem_results(problems, warnings, where)
    if settings_checks.is_touched(problems, *MONGO):
        lines.append(_later("MongoDB"))
    else:
        more, sample = await database.database_results(settings, campaigns)
        lines += more
    lines.append(
        _later("bot")
        if settings_checks.is_touched(problems, *TELEGRAM)
        else await bot.bot_result(settings)
    )
    if settings_checks.is_touched(problems, *MESSAGES):
        lines.append(_later("templates"))
    else:
        lines += template_checks.template_results(sample, campaigns)
    return [*lines, *settings_checks.settings_results(settings, campaigns, now, problems)]


def _later(about: str) -> CheckResult:
    return warning(about, "not looked at", "first correct the settings")
