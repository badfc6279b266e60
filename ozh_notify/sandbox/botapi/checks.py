"""Telegram's checks of a message, in Telegram's order and words.

After ``Client.cpp`` of tdlib/telegram-bot-api, and ``MessageEntity.cpp`` and
``MessageContent.cpp`` of tdlib/td.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from ozh_notify.messaging.html import (
    CAPTION_LIMIT,
    TEXT_LIMIT,
    HtmlError,
    parse,
)

from . import markup
from .media import check_file
from .params import Params
from .replies import RequestRejected, bad_request

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
    media: str | None = None
    """The file of a photo, an animation or a video."""
    silent: bool = False
    protect: bool = False
    link_preview: bool = True


def chat_id_of(params: Params) -> int | None:
    """The number in ``chat_id``; None without one."""
    text = params.get("chat_id", "")
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text, re.ASCII) else None


def check_text(params: Params) -> Draft:
    """A sendMessage; raises `RequestRejected` with Telegram's answer."""
    raw = params.get("text", "")
    if not raw:
        raise bad_request("message text is empty")
    return _draft(params, raw, TEXT_LIMIT, "message")


def check_media(params: Params, kind: str) -> Draft:
    """A photo, an animation or a video; raises `RequestRejected` with Telegram's answer."""
    file = params.get(kind, "")
    if not file:
        raise bad_request(f"there is no {kind} in the request")
    draft = _draft(params, params.get("caption", ""), CAPTION_LIMIT, "message caption")
    check_file(file)
    return replace(draft, media=file)


def check_delete(params: Params) -> tuple[int, int]:
    """The chat and the message of a deleteMessage."""
    number = params.get("message_id", "")
    chat_id = known_chat(params)
    if not re.fullmatch("[0-9]{1,18}", number, re.ASCII):
        raise bad_request("message identifier is not specified")
    return chat_id, int(number)


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
    return Draft(
        chat_id,
        text,
        raw,
        reply_markup,
        _is_true(params, "allow_paid_broadcast"),
        silent=_is_true(params, "disable_notification"),
        protect=_is_true(params, "protect_content"),
        link_preview=not _no_preview(params),
    )


def _is_true(params: Params, name: str) -> bool:
    return params.get(name, "").lower() in ("true", "yes", "1")


def _no_preview(params: Params) -> bool:
    try:
        options = json.loads(params.get("link_preview_options", "{}"))
    except ValueError:
        raise bad_request("can't parse link preview options JSON object") from None
    return isinstance(options, dict) and options.get("is_disabled") is True


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


def chat_not_found() -> RequestRejected:
    return bad_request("chat not found")
