"""Reports a pass that could not begin, or that a bug has ended."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from ozh_notify.campaigns import Campaign
from ozh_notify.config.load import examine
from ozh_notify.config.settings import Settings
from ozh_notify.logs import Redactor, setup
from ozh_notify.monitoring import Monitoring
from ozh_notify.monitoring.background import error_reason
from ozh_notify.monitoring.targets import Targets, is_reported
from ozh_notify.passes.latency import SendTimes
from ozh_notify.passes.result import PassOptions, Result
from ozh_notify.passes.stop import Stop

log = logging.getLogger(__name__)


def report_failure(
    campaign: type[Campaign], options: PassOptions, env_file: Path | None, result: Result
) -> None:
    """Report a pass that could not begin, or ended by a bug; also where its settings are wrong."""

    async def report() -> None:
        from ozh_notify.clock import Clock
        from ozh_notify.messaging.pacer import Pacer
        from ozh_notify.messaging.sender import TelegramSender

        stop = Stop()
        stop.listen()
        targets = Targets.of(campaign, options, settings) if is_reported(options) else None
        monitoring = Monitoring(targets, redact, stop)
        pacer = Pacer(settings.rate_limit, 0, Clock())
        await monitoring.report(result, SendTimes(), lambda: TelegramSender(settings), pacer)

    try:
        settings = _settings(env_file)
        redact = Redactor(settings.secrets)
        if not logging.getLogger().handlers:  # the settings of the log itself were wrong
            setup(settings.log_format, redact, enabled=settings.logging_enabled)
        asyncio.run(report())
    except Exception as error:
        log.warning("the failure was not reported: %s", error_reason(error))


def _settings(env_file: Path | None) -> Settings:
    """Settings without those that are wrong: enough to report that they are wrong."""
    settings, problems, _ = examine(env_file)
    if any(problem.concerns("TELEGRAM_", "OZH_TELEGRAM_") for problem in problems):
        # With a broken Telegram setting the digest could bypass the proxy or reach another server.
        return settings.model_copy(update={"admin_chat_id": None})
    return settings
