"""The methods of the Bot API: each takes parameters and returns an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .checks import Draft, check_delete, check_media, check_text, known_chat
from .media import KINDS, answer_of
from .params import Params
from .replies import Reply, RequestRejected, failure, success
from .state import EmulatorState

SENDING = ("sendMessage", "sendPhoto", "sendAnimation", "sendVideo")
NAMES = {name.lower(): name for name in ("getMe", "getChat", "deleteMessage", *SENDING)}

UNAUTHORIZED = failure(401, "Unauthorized")
NOT_FOUND = failure(404, "Not Found")

_ABILITIES = {
    "can_join_groups": True,
    "can_read_all_group_messages": False,
    "supports_inline_queries": False,
    "can_connect_to_business": False,
    "has_main_web_app": False,
}


@dataclass(frozen=True)
class Bot:
    """One bot of this server."""

    id: int
    username: str

    def user(self) -> dict[str, Any]:
        name = self.username
        return {"id": self.id, "is_bot": True, "first_name": name, "username": name}


def call(state: EmulatorState, bot: Bot, name: str, params: Params) -> Reply:
    """Runs a method of `NAMES` as Telegram does when nothing fails."""
    if name == "getMe":
        return success(bot.user() | _ABILITIES)
    try:
        if name == "getChat":
            return success(_chat(known_chat(params)))
        if name == "deleteMessage":
            state.delete(*check_delete(params))
            return success(True)
        draft = check_text(params) if name == "sendMessage" else check_media(params, KINDS[name])
    except RequestRejected as refused:
        return refused.reply
    record = state.deliver(name, draft, bot.id)
    return success(_message(bot, draft, record))


def _chat(chat_id: int) -> dict[str, Any]:
    return {"id": chat_id, "type": "private", "first_name": f"User {chat_id}"}


def _message(bot: Bot, draft: Draft, record: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "message_id": record["message_id"],
        "from": bot.user(),
        "chat": _chat(draft.chat_id),
        "date": int(record["time"]),
    }
    if record["method"] == "sendMessage":
        message["text"] = draft.text
    else:
        message.update(answer_of(record["method"]))
        if draft.text:
            message["caption"] = draft.text
    if draft.reply_markup and "inline_keyboard" in draft.reply_markup:
        message["reply_markup"] = draft.reply_markup
    return message
