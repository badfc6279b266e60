"""Telegram: which bot the token belongs to, by ``getMe``."""

from __future__ import annotations

from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.operator.check.line import CheckResult, failed, ok


async def bot_result(settings: Settings) -> CheckResult:
    """Ask Telegram who this is."""
    from ozh_notify.messaging.sender import TelegramSender  # noqa: PLC0415 - Telegram's library

    sender = TelegramSender(settings)
    try:
        name = await sender.open()
    except OzhError as error:
        return failed("bot", error)
    finally:
        await sender.close()
    through = " through a proxy" if settings.telegram_proxy else ""
    return ok("bot", f"@{name} at {settings.telegram_api_url}{through}")
