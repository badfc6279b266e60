"""Sends one message and says what came of it."""

from __future__ import annotations

import warnings
from dataclasses import replace

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import ParseMode
from telegram.error import TelegramError
from telegram.warnings import PTBUserWarning

from ozh_notify.campaigns import Button
from ozh_notify.config.settings import Settings
from ozh_notify.errors import ConfigError, Incomplete, OzhError, Unavailable
from ozh_notify.logs import Redactor
from ozh_notify.messaging.classify import classify, unknown, why_refused
from ozh_notify.messaging.message import Message
from ozh_notify.messaging.proxy import proxy_for
from ozh_notify.messaging.replies import RequestRefused, TooManyRequests
from ozh_notify.messaging.transport import AiohttpRequest, message_id
from ozh_notify.users.delivery_state import Outcome, State

MAX_IN_FLIGHT = 256
"""The most requests in flight; so many are used only where rate x latency needs them."""


class TelegramSender:
    """The main bot, over :class:`AiohttpRequest`."""

    def __init__(self, settings: Settings) -> None:
        if settings.token is None:
            raise ConfigError("TELEGRAM_BOT_TOKEN is missing: the token of the bot")
        self._settings = settings
        self._redact = Redactor(settings.secrets)
        own = settings.telegram_proxy
        proxy = proxy_for(settings.telegram_api_url, own.get_secret_value() if own else None)
        request = self._request = AiohttpRequest(MAX_IN_FLIGHT, proxy)
        self._bot = Bot(
            settings.token.get_secret_value(),
            base_url=f"{settings.telegram_api_url}/bot",
            request=request,
            get_updates_request=request,
        )
        self._where = settings.telegram_api_url
        # Passed on only when set: the parameter came in python-telegram-bot 21.7.
        self._extra = {"allow_paid_broadcast": True} if settings.paid_broadcast else None
        self._markups: dict[Button, InlineKeyboardMarkup] = {}

    async def open(self) -> str:
        """Check the token by ``getMe``; returns the user name of the bot.

        Raises:
            ConfigError, Incomplete, Unavailable: the token is refused, Telegram asks to wait,
                Telegram cannot be reached.
        """
        try:
            await self._request.initialize()
            await self._ask_who_it_is()
        except OzhError:
            raise
        except Exception as error:  # whatever keeps a connection from being made is not a bug
            text = self._redact(f"{type(error).__name__}: {error}")
            raise Unavailable(f"Telegram cannot be reached at {self._where}: {text}") from None
        return str(self._bot.username)

    async def _ask_who_it_is(self) -> None:
        try:
            await self._bot.initialize()
        except RequestRefused as error:
            raise why_refused(error, self._where) from None
        except TooManyRequests as error:
            raise Incomplete(str(error)) from None
        except TelegramError as error:
            text = self._redact(str(error))
            raise Unavailable(f"Telegram cannot be reached at {self._where}: {text}") from None
        except (KeyError, TypeError, AttributeError, ValueError):
            raise Unavailable(f"what answers at {self._where} is not a Bot API") from None

    async def chat_name(self, chat_id: int) -> str:
        """What Telegram calls a chat, by ``getChat``.

        Raises:
            ConfigError, Unavailable: the bot may not write there, or Telegram gave no answer.
        """
        try:
            with warnings.catch_warnings():
                # `get_chat` needs fields that older servers do not send; we need the name alone.
                warnings.simplefilter("ignore", PTBUserWarning)
                chat = await self._bot.do_api_request("getChat", {"chat_id": chat_id})
        except RequestRefused as error:
            raise ConfigError(self._redact(str(error))) from None
        except TelegramError as error:
            raise Unavailable(self._redact(str(error))) from None
        names = [chat.get(key) for key in ("title", "first_name", "last_name", "username")]
        return " ".join(name for name in names[:3] if name) or str(names[3] or chat_id)

    async def close(self) -> None:
        """Close all connections."""
        await self._bot.shutdown()
        # Before 22 a bot that could not be initialized leaves its connections open.
        await self._request.shutdown()

    async def send(self, chat_id: int, message: Message) -> Outcome:
        """Send one message once; every expected ending is an outcome, not an exception."""
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
            return replace(outcome, error=self._redact(outcome.error))  # the text will be stored
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return unknown(f"a senseless reply ({type(error).__name__})")
        # A 2xx whose JSON holds no message: it was most likely delivered.
        number = message_id.get()
        return Outcome(State.SENT, number) if number else unknown("a reply without a message")

    def _markup(self, button: Button | None) -> InlineKeyboardMarkup | None:
        if button is None:
            return None
        if button not in self._markups:
            kind = "url" if button.is_url else "callback_data"
            key = InlineKeyboardButton(button.text, **{kind: button.target})  # type: ignore[arg-type]
            self._markups[button] = InlineKeyboardMarkup([[key]])
        return self._markups[button]
