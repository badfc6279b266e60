"""Telegram: which bot the token belongs to, by ``getMe``; the operator's chat, by ``getChat``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.operator.check.result import CheckResult, failed, ok, warning

if TYPE_CHECKING:
    from ozh_notify.messaging.sender import TelegramSender


async def bot_results(settings: Settings) -> list[CheckResult]:
    """Ask Telegram which bot this is, and whether the bot may write to the operator's chat."""
    try:
        from ozh_notify.messaging.sender import TelegramSender  # noqa: PLC0415 - Telegram's library

        sender = TelegramSender(settings)
    except OzhError as error:  # a proxy that cannot be used, or TLS
        return [failed("bot", error)]
    try:
        return [result async for result in _results(sender, settings)]
    finally:
        await sender.close()


async def _results(sender: TelegramSender, settings: Settings) -> AsyncIterator[CheckResult]:
    try:
        name = await sender.open()
    except OzhError as error:
        yield failed("bot", error)
        return
    through = " through a proxy" if settings.telegram_proxy else ""
    yield ok("bot", f"@{name} at {settings.telegram_api_url}{through}")
    if settings.admin_chat_id is not None:
        yield await _admin_chat(sender, settings.admin_chat_id, name)


async def _admin_chat(sender: TelegramSender, chat_id: int, bot: str) -> CheckResult:
    """A digest that does not arrive does not stop a pass: a warning at most."""
    try:
        return ok("OZH_ADMIN_CHAT_ID", f"{await sender.chat_name(chat_id)} ({chat_id})")
    except OzhError as error:
        remedy = f"write to @{bot} from that chat first, or add the bot to it"
        return warning("OZH_ADMIN_CHAT_ID", f"no digest can reach it: {error}", remedy)
