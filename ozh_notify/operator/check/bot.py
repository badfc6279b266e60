"""Telegram: which bot the token belongs to, by ``getMe``."""

from __future__ import annotations

from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.operator.check.line import CheckResult, failed, ok


async def bot_result(settings: Settings) -> CheckResult:
    """Ask Telegram who this is."""
    try:
        name = await _bot_name(settings)
    except OzhError as error:
        return failed("bot", error)
    through = " through a proxy" if settings.telegram_proxy else ""
    return ok("bot", f"@{name} at {settings.telegram_api_url}{through}")


async def _bot_name(settings: Settings) -> str:
    from ozh_notify.messaging.sender import TelegramSender  # noqa: PLC0415 - Telegram's library

    sender = TelegramSender(settings)
    try:
        return await sender.open()
    finally:
        await sender.close()
