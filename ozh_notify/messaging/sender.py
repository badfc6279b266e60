"""Send one message -> outcome; Telegram's errors are classified here and nowhere else."""

from __future__ import annotations

import re
from dataclasses import replace

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, TelegramError

from ozh_notify.campaigns import Button
from ozh_notify.config.settings import Settings
from ozh_notify.errors import ConfigError, Incomplete, Unavailable
from ozh_notify.logs import Redactor
from ozh_notify.messaging.message import Message
from ozh_notify.messaging.transport import (
    AiohttpRequest,
    RequestNotSent,
    TooManyRequests,
    environment_proxy,
    message_id,
)
from ozh_notify.users.delivery_state import FailureCause, Outcome, State

MAX_IN_FLIGHT = 256
"""Requests at a time, where rate x latency asks for that many."""

UNREACHABLE = re.compile(
    r"chat not found|user not found|user is deactivated|user_deactivated|user_is_blocked"
    r"|peer_id_invalid|input_user_deactivated|not enough rights|have no rights"
    r"|chat_write_forbidden|bot was (blocked|kicked)|can't initiate conversation",
    re.IGNORECASE,
)
"""400s that say the chat cannot be written to; they have no class or code of their own."""

CONTENT = re.compile(
    r"can't parse|too long|text is empty|button|keyboard|reply.?markup|wrong http url"
    r"|url protocol|entit",
    re.IGNORECASE,
)
"""400s that say the text or the button is wrong, whoever is to get it."""


class TelegramSender:
    """The main bot, over :class:`AiohttpRequest`."""

    def __init__(self, settings: Settings) -> None:
        if settings.token is None:
            raise ConfigError("TELEGRAM_BOT_TOKEN is missing: the token of the bot")
        self._settings = settings
        self._redact = Redactor(settings.secrets)
        if settings.telegram_proxy:
            proxy: str | None = settings.telegram_proxy.get_secret_value()
        else:
            proxy = environment_proxy(settings.telegram_api_url)
        request = self._request = AiohttpRequest(MAX_IN_FLIGHT, proxy)
        self._bot = Bot(
            settings.token.get_secret_value(),
            base_url=f"{settings.telegram_api_url}/bot",
            request=request,
            get_updates_request=request,
        )
        # Passed on only when set: the parameter came in python-telegram-bot 21.7.
        self._extra = {"allow_paid_broadcast": True} if settings.paid_broadcast else None
        self._markups: dict[Button, InlineKeyboardMarkup] = {}

    async def open(self) -> str:
        """Check the token by ``getMe``; returns the bot's user name.

        Raises:
            ConfigError, Incomplete, Unavailable: the token is refused, Telegram asks to wait,
                Telegram cannot be reached.
        """
        try:
            await self._bot.initialize()
        except InvalidToken:
            raise ConfigError(
                "TELEGRAM_BOT_TOKEN: Telegram rejects this token; ask @BotFather for the right one"
            ) from None
        except TooManyRequests as error:
            raise Incomplete(str(error)) from None
        except TelegramError as error:
            where = self._settings.telegram_api_url
            raise Unavailable(f"Telegram cannot be reached at {where}: {error}") from None
        except (KeyError, TypeError, AttributeError, ValueError):
            where = self._settings.telegram_api_url
            raise Unavailable(f"what answers at {where} is no Bot API") from None
        return str(self._bot.username)

    async def close(self) -> None:
        """Close all connections."""
        await self._bot.shutdown()
        # Before 22 a bot that could not be initialized leaves its connections open.
        await self._request.shutdown()

    async def send(self, chat_id: int, message: Message) -> Outcome:
        """Send once; every expected ending is an outcome, never an exception."""
        message_id.set(None)
        try:
            await self._bot.send_message(
                chat_id,
                message.html,
                parse_mode=ParseMode.HTML,
                reply_markup=self._markup(message.button),
                api_kwargs=self._extra,
            )
        except TelegramError as error:
            outcome = classify(error)
            return replace(outcome, error=self._redact(outcome.error))  # it will be stored
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return _unknown(f"a reply without sense ({type(error).__name__})")
        # A 2xx whose JSON holds no message was most likely delivered.
        number = message_id.get()
        return Outcome(State.SENT, number) if number else _unknown("a reply without a message")

    def _markup(self, button: Button | None) -> InlineKeyboardMarkup | None:
        if button is None:
            return None
        if button not in self._markups:
            kind = "url" if button.is_url else "callback_data"
            key = InlineKeyboardButton(button.text, **{kind: button.target})  # type: ignore[arg-type]
            self._markups[button] = InlineKeyboardMarkup([[key]])
        return self._markups[button]


def classify(error: TelegramError) -> Outcome:
    """Telegram's refusal as an outcome; the most specific class first."""
    text = error.message
    match error:
        case TooManyRequests():
            return Outcome(State.RETRY, None, text, FailureCause.FLOOD, error.seconds)
        case RequestNotSent():
            return Outcome(State.RETRY, None, text, FailureCause.SERVICE)
        case InvalidToken():
            return Outcome(State.RETRY, None, "the token was rejected", FailureCause.TOKEN)
        case Forbidden():
            return Outcome(State.UNREACHABLE, None, text, FailureCause.USER)
        case ChatMigrated():
            return Outcome(State.UNREACHABLE, None, text, FailureCause.CHAT)
        case BadRequest():
            return _bad_request(text)
        case _:
            return _unknown(text)


def _bad_request(text: str) -> Outcome:
    if UNREACHABLE.search(text):
        return Outcome(State.UNREACHABLE, None, text, FailureCause.CHAT)
    blame = FailureCause.CONTENT if CONTENT.search(text) else FailureCause.CHAT
    return Outcome(State.REJECTED, None, text, blame)


def _unknown(text: str) -> Outcome:
    return Outcome(State.UNKNOWN, None, text, FailureCause.SERVICE)
