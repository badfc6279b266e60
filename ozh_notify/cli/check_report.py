"""``check --report``: sends a test report to every configured place, and says what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ozh_notify.campaigns import Campaign
    from ozh_notify.config.problem import Problem
    from ozh_notify.config.settings import Settings
    from ozh_notify.operator.check import CheckResult

VARIABLES = ("TELEGRAM_", "OZH_TELEGRAM_", "OZH_PUSHGATEWAY", "OZH_PING", "OZH_ADMIN")


async def report_results(
    settings: Settings, campaigns: Sequence[Campaign], problems: Sequence[Problem]
) -> list[CheckResult]:
    """A warning for each report that did not arrive: a pass never depends on one."""
    from ozh_notify.monitoring.rehearsal import send_test_reports
    from ozh_notify.operator.check.result import ok, warning

    if any(problem.concerns(*VARIABLES) for problem in problems):
        return [warning("test report", "skipped", "fix the settings first")]
    sent = await send_test_reports(settings, [campaign.name for campaign in campaigns])
    if not sent:
        remedy = "set OZH_PING_URL, OZH_PUSHGATEWAY_URL or OZH_ADMIN_CHAT_ID"
        return [warning("test report", "nothing to send: no variable names a receiver", remedy)]
    return [
        warning(f"test report to {one.variable}", f"it did not arrive: {one.error}")
        if one.error
        else ok(f"test report to {one.variable}", "it arrived")
        for one in sent
    ]
