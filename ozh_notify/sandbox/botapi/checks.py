"""Telegram's checks of a message, in Telegram's order and words.

After ``Client.cpp`` of tdlib/telegram-bot-api, and ``MessageEntity.cpp`` and
``MessageContent.cpp`` of tdlib/td.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ozh_notify.messaging.html import (
    CAPTION_LIMIT,
    TEXT_LIMIT,
    HtmlError,
    parse,
)

from . import markup
from .params import Params
from .replies import RequestRefused, bad_request

BYTES_LIMIT = 1 << 15
"""Bytes of a text before its entities are parsed (``Client::get_formatted_text``)."""

_CONTROL = {code: " " for code in range(32) if code != 10}
_REMOVED = dict.fromkeys((13, *range(0x2028, 0x202F), 0x333, 0x33F, 0x30A), "")
_CLEAN = _CONTROL | _REMOVED
_INVISIBLE = re.compile(
    "[\\s\u180e\u200b-\u200f\u202e\u2060\u2800\u3000\ufeff\ufffc\U000e0020-\U000e007f]*"
)


@dataclass(frozen=True)
class Draft:
    """A message that passed every check."""

    chat_id: int
    text: str
    raw_text: str
    reply_markup: dict[str, Any] | None
    allow_paid_broadcast: bool


def chat_id_of(params: Params) -> int | None:
    """The number in ``chat_id``; None without one."""
    text = params.get("chat_id", "")
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text, re.ASCII) else None


def check_text(params: Params) -> Draft:
    """A sendMessage; raises `RequestRefused` with Telegram's answer."""
    raw = params.get("text", "")
    if not raw:
        raise bad_request("message text is empty")
    return _draft(params, raw, TEXT_LIMIT, "message")


def check_photo(params: Params) -> Draft:
    """A sendPhoto; raises `RequestRefused` with Telegram's answer."""
    if not params.get("photo"):
        raise bad_request("there is no photo in the request")
    return _draft(params, params.get("caption", ""), CAPTION_LIMIT, "message caption")


def _draft(params: Params, raw: str, limit: int, what: str) -> Draft:
    text = _plain(raw, params.get("parse_mode", ""))
    reply_markup = markup.parse(params.get("reply_markup", ""))
    chat_id = known_chat(params)
    text = text.translate(_CLEAN).strip(" \n")
    if raw and limit == TEXT_LIMIT and _INVISIBLE.fullmatch(text):
        raise bad_request("text must be non-empty")
    if len(text) > limit:  # code points: utf8_length() in MessageContent.cpp
        raise bad_request(f"{what} is too long")
    markup.check_inline_buttons(reply_markup)
    paid = params.get("allow_paid_broadcast", "").lower() in ("true", "yes", "1")
    return Draft(chat_id, text, raw, reply_markup, paid)


def _plain(raw: str, parse_mode: str) -> str:
    """The text without its markup; Markdown stays as it is written."""
    mode = parse_mode.lower()
    if len(raw.encode("utf-8", "replace")) > BYTES_LIMIT:
        raise bad_request("text is too long")
    if mode not in ("", "none", "html", "markdown", "markdownv2"):
        raise bad_request("unsupported parse_mode")
    if mode != "html":
        return raw
    try:
        return parse(raw).text
    except HtmlError as error:
        raise bad_request(f"can't parse entities: {error}") from None


def known_chat(params: Params) -> int:
    """The chat; every positive number of at most 52 bits is a user that exists."""
    if not params.get("chat_id"):
        raise bad_request("chat_id is empty")
    chat_id = chat_id_of(params)
    if chat_id is None or not 0 < chat_id < 1 << 52:
        raise chat_not_found()
    return chat_id


def chat_not_found() -> RequestRefused:
    return bad_request("chat not found")
