"""Reports a pass that could not begin or that ended by a bug, so that no failure is silent."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
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
    """Report it, also where its settings are wrong, as far as they can be read."""
    try:
        settings = readable_settings(env_file)
        redact = Redactor(settings.secrets)
        if not logging.getLogger().handlers:  # the settings of the log could not be read
            setup(
                settings.log_format,
                redact,
                enabled=settings.logging_enabled,
                zone=settings.zone,
            )
        targets = Targets.of(campaign, options, settings) if is_reported(options) else None
        asyncio.run(_report(targets, settings, redact, result))
    except Exception as error:
        log.warning("the failure was not reported: %s", error_reason(error))


async def _report(
    targets: Targets | None, settings: Settings, redact: Redactor, result: Result
) -> None:
    from ozh_notify.clock import Clock
    from ozh_notify.messaging.pacer import Pacer
    from ozh_notify.messaging.sender import TelegramSender

    stop = Stop()
    stop.listen()
    async with AsyncExitStack() as servers:

        def open_sender() -> TelegramSender:
            sender = TelegramSender(settings)
            servers.push_async_callback(sender.close)
            return sender

        pacer = Pacer(settings.rate_limit, 0, Clock())
        monitoring = Monitoring(targets, redact, stop)
        await monitoring.report(result, SendTimes(), open_sender, pacer)


def readable_settings(env_file: Path | None) -> Settings:
    """The settings that are right, to report that others are wrong."""
    settings, problems, _ = examine(env_file)
    if any(problem.concerns("TELEGRAM_", "OZH_TELEGRAM_") for problem in problems):
        # With a broken Telegram setting the digest could bypass the proxy or reach another server.
        return settings.model_copy(update={"admin_chat_id": None})
    return settings
