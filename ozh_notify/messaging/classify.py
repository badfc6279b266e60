"""What Telegram's answers mean: for one user (an outcome), or for the bot at the start of a pass.

Telegram's errors are classified here and nowhere else. Pure.
"""

from __future__ import annotations

import re

from telegram.error import TelegramError

from ozh_notify.errors import ConfigError
from ozh_notify.messaging.replies import RequestNotSent, RequestRefused, TooManyRequests
from ozh_notify.users.delivery_state import FailureCause, Outcome, State

UNREACHABLE_CHAT = re.compile(
    r"chat not found|user not found|peer_id_invalid|not enough rights|have no rights"
    r"|chat_write_forbidden|can't initiate conversation|upgraded to a supergroup",
    re.IGNORECASE,
)
"""The bot cannot write to this chat; a bot that its users do not know meets this everywhere."""

UNREACHABLE_USER = re.compile(
    r"user is deactivated|user_deactivated|user_is_blocked|input_user_deactivated"
    r"|bot was (blocked|kicked)",
    re.IGNORECASE,
)
"""This user blocked the bot or is gone: a 400 may say so, too."""

CONTENT = re.compile(
    r"can't parse|too long|text is empty|button|keyboard|reply.?markup|wrong http url"
    r"|url protocol|entit",
    re.IGNORECASE,
)
"""400s that say that the text or a button is wrong, for every user."""

MEDIA = re.compile(
    r"wrong (remote )?file|file.?identifier|failed to get http url content|file_?reference"
    r"|wrong type of the web page|web_?page|there is no (photo|animation|video)|media_|photo_"
    r"|image_process_failed|video_|wrong padding|can't use file of type|file is too big",
    re.IGNORECASE,
)
"""400s that say that Telegram cannot use the photo, the animation or the video."""


def classify(error: TelegramError) -> Outcome:
    """What a failed send says about the user, the message or the bot."""
    text = error.message
    match error:
        case TooManyRequests():
            return Outcome(State.RETRY, None, text, FailureCause.FLOOD, error.seconds)
        case RequestNotSent():
            return Outcome(State.RETRY, None, text, FailureCause.SERVICE)
        case RequestRefused():
            return _refused(error.code, text)
        case _:
            return unknown(text)


def _refused(code: int, text: str) -> Outcome:
    """A refusal of the Bot API server: surely not delivered."""
    if code in (401, 404):
        return Outcome(State.RETRY, None, f"the token was rejected: {text}", FailureCause.TOKEN)
    if UNREACHABLE_CHAT.search(text):
        return Outcome(State.UNREACHABLE, None, text, FailureCause.CHAT)
    if code == 403 or UNREACHABLE_USER.search(text):
        return Outcome(State.UNREACHABLE, None, text, FailureCause.USER)
    is_content = CONTENT.search(text) or MEDIA.search(text)
    if code == 413 or (code == 400 and is_content):
        return Outcome(State.REJECTED, None, text, FailureCause.CONTENT)
    return Outcome(State.REJECTED, None, text, FailureCause.BOT)


def is_media_refusal(outcome: Outcome) -> bool:
    """Whether Telegram refused the medium of the message, and so did not deliver it."""
    return outcome.state is State.REJECTED and bool(MEDIA.search(outcome.error))


def unknown(text: str) -> Outcome:
    """The message may or may not have been delivered."""
    return Outcome(State.UNKNOWN, None, text, FailureCause.SERVICE)


def why_refused(error: RequestRefused, where: str) -> ConfigError:
    """Why the server at ``where`` refuses ``getMe``, and what to do."""
    if error.code == 401:
        return ConfigError(
            "TELEGRAM_BOT_TOKEN: Telegram rejects this token; ask @BotFather for the right one"
        )
    if error.code == 404:
        return ConfigError(
            f"TELEGRAM_BOT_TOKEN or OZH_TELEGRAM_API_URL: {where} knows neither this token nor "
            "another address below it (404 Not Found); check the token and the address"
        )
    if "logged out" in error.message.lower():
        return ConfigError(
            f"the bot is logged out of the Bot API server at {where} ({error.message}): set "
            "OZH_TELEGRAM_API_URL to the server the bot uses now; after logOut a bot can come "
            "back to api.telegram.org only 10 minutes later"
        )
    return ConfigError(f"Telegram refuses this bot at {where}: {error.message}")
