"""Sends one message and says what came of it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import ParseMode
from telegram.error import TelegramError
from telegram.warnings import PTBUserWarning

from ozh_notify.config.settings import MAX_IN_FLIGHT, Settings
from ozh_notify.errors import ConfigError, Incomplete, OzhError, Unavailable
from ozh_notify.logs import Redactor
from ozh_notify.messaging.classify import classify, is_media_refusal, unknown, why_refused
from ozh_notify.messaging.deletion import DeletionReply, RecallOutcome, classify_deletion
from ozh_notify.messaging.message import Keyboard, Message, MessageButton
from ozh_notify.messaging.proxy import proxy_for
from ozh_notify.messaging.replies import RequestRefused, TooManyRequests
from ozh_notify.messaging.transport import AiohttpRequest, message_id, still_allowed
from ozh_notify.users.delivery_state import FailureCause, Outcome, State

log = logging.getLogger(__name__)

KEPT_KEYBOARDS = 1000
"""Keyboards kept ready for Telegram: most users have the same one."""


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
        self._extra = {"allow_paid_broadcast": True} if settings.paid_broadcast else {}
        self._markups: dict[Keyboard, InlineKeyboardMarkup] = {}

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
        if not isinstance(chat, dict):
            raise Unavailable(f"what answers at {self._where} is not a Bot API")
        names = [chat.get(key) for key in ("title", "first_name", "last_name", "username")]
        return " ".join(name for name in names[:3] if name) or str(names[3] or chat_id)

    async def close(self) -> None:
        """Close all connections."""
        await self._bot.shutdown()
        # Before 22 a bot that could not be initialized leaves its connections open.
        await self._request.shutdown()

    async def send(
        self, chat_id: int, message: Message, is_allowed: Callable[[], bool] = lambda: True
    ) -> Outcome:
        """Send one message once; every expected ending is an outcome, not an exception.

        ``is_allowed`` is asked right before the request leaves.
        """
        still_allowed.set(is_allowed)
        outcome = await self._attempt(chat_id, message)
        if message.media and message.media.is_own and is_media_refusal(outcome):
            return replace(outcome, cause=FailureCause.PICTURE)
        return outcome

    async def _attempt(self, chat_id: int, message: Message) -> Outcome:
        message_id.set(None)
        try:
            await self._call(chat_id, message)
        except TelegramError as error:
            outcome = classify(error)
            return replace(outcome, error=self._redact(outcome.error))  # the text will be stored
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return unknown(f"a senseless reply ({type(error).__name__})")
        # A 2xx whose JSON holds no message: it was most likely delivered.
        number = message_id.get()
        return Outcome(State.SENT, number) if number else unknown("a reply without a message")

    async def delete(self, chat_id: int, message_id: int) -> DeletionReply:
        """Delete one of the bot's messages by ``deleteMessage``."""
        try:
            await self._bot.delete_message(chat_id, message_id)
        except TelegramError as error:
            answer = classify_deletion(error)
            return replace(answer, error=self._redact(answer.error))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return DeletionReply(RecallOutcome.LEFT, f"a senseless reply ({type(error).__name__})")
        return DeletionReply(RecallOutcome.RECALLED)

    async def _call(self, chat_id: int, message: Message) -> None:
        """The method of the Bot API that the message needs."""
        options: dict[str, Any] = {
            "parse_mode": ParseMode.HTML,
            "reply_markup": self._markup(message.keyboard),
            "disable_notification": message.silent or None,
            "protect_content": message.protect or None,
        }
        if message.media is None:
            preview = {"link_preview_options": {"is_disabled": not message.link_preview}}
            extra = {**preview, **self._extra}
            await self._bot.send_message(chat_id, message.html, api_kwargs=extra, **options)
            return
        options.update(caption=message.html, api_kwargs=self._extra)
        file = message.media.file
        match message.media.kind:
            case "photo":
                await self._bot.send_photo(chat_id, file, **options)
            case "animation":
                await self._bot.send_animation(chat_id, file, **options)
            case "video":
                await self._bot.send_video(chat_id, file, **options)

    def _markup(self, keyboard: Keyboard) -> InlineKeyboardMarkup | None:
        if not keyboard:
            return None
        if keyboard not in self._markups:
            if len(self._markups) >= KEPT_KEYBOARDS:
                self._markups.clear()
            rows = [[_button(one) for one in row] for row in keyboard]
            self._markups[keyboard] = InlineKeyboardMarkup(rows)
        return self._markups[keyboard]


def _button(button: MessageButton) -> InlineKeyboardButton:
    """As the Bot API takes it: older versions of the library do not know every parameter."""
    target: Any = button.target
    if button.kind == "web_app":
        target = {"url": button.target}
    elif button.kind == "copy_text":
        target = {"text": button.target}
    style = {"style": button.style} if button.style else {}
    return InlineKeyboardButton(button.text, api_kwargs={button.kind: target, **style})
