"""Telegram's checks of ``reply_markup``, in Telegram's words.

After ``get_reply_markup`` of tdlib/telegram-bot-api and ``ReplyMarkup.cpp`` of tdlib/td.
"""

from __future__ import annotations

import json
from typing import Any

from . import links
from .replies import bad_request

CALLBACK_DATA_LIMIT = 64
"""Bytes. Bot API, InlineKeyboardButton: "1-64 bytes"."""

COPY_TEXT_LIMIT = 256
"""Characters. Bot API, CopyTextButton: "1-256 characters"."""

STYLES = ("primary", "success", "danger")
"""Bot API, InlineKeyboardButton, ``style``."""

_OTHER_ACTIONS = (
    *("callback_game", "pay", "switch_inline_query", "switch_inline_query_chosen_chat"),
    *("switch_inline_query_current_chat", "login_url", "web_app", "copy_text"),
)


def parse(text: str) -> dict[str, Any] | None:
    """The markup, or None without one; raises `RequestRejected` with Telegram's reason."""
    if not text:
        return None
    try:
        markup = json.loads(text)
    except ValueError:
        raise bad_request("can't parse reply keyboard markup JSON object") from None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    for row in _array(markup, "keyboard"):
        if not isinstance(row, list):
            raise bad_request('field "keyboard" must be an Array of Arrays')
    for row in _array(markup, "inline_keyboard"):
        if not isinstance(row, list):
            raise bad_request(
                'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays'
            )
        for button in row:
            _check_shape(button)
    return markup


def check_inline_buttons(markup: dict[str, Any] | None) -> None:
    """The checks that Telegram makes after it has found the chat: texts, URLs, callback data."""
    for row in (markup or {}).get("inline_keyboard", ()):
        for button in row:
            _check_content(button)


def _array(markup: dict[str, Any], name: str) -> list[Any]:
    value = markup.get(name, [])
    if not isinstance(value, list):
        raise bad_request(f'field "{name}" must be of type Array')
    return value


def _check_shape(button: object) -> None:
    if not isinstance(button, dict):
        raise _unparsable("InlineKeyboardButton must be an Object")
    if "text" not in button:
        raise _unparsable('Can\'t find field "text"')
    _string(button, "text")
    url, data = _string(button, "url"), _string(button, "callback_data")
    if not url and not data and not any(action in button for action in _OTHER_ACTIONS):
        raise _unparsable("Text buttons are unallowed in the inline keyboard")


def _string(button: dict[str, Any], name: str) -> str:
    """Numbers pass for strings, as in TDLib's ``get_optional_string_field``."""
    value = button.get(name, "")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _unparsable(f'Field "{name}" must be of type String')
    return str(value)


def _check_content(button: dict[str, Any]) -> None:
    if not _string(button, "text"):
        raise bad_request("inline keyboard button text must be non-empty")
    if url := _string(button, "url"):
        if wrong := links.problem(url):
            raise bad_request(f"inline keyboard button URL '{url}' is invalid: {wrong}")
    elif "web_app" in button:
        _check_web_app(button["web_app"])
    elif "copy_text" in button:
        _check_copy_text(button["copy_text"])
    elif len(_string(button, "callback_data").encode()) > CALLBACK_DATA_LIMIT:
        raise bad_request("BUTTON_DATA_INVALID")
    if button.get("style", "primary") not in STYLES:
        raise _unparsable("Invalid button style specified")


def _check_web_app(web_app: object) -> None:
    url = str(web_app.get("url", "")) if isinstance(web_app, dict) else ""
    wrong = links.problem(url) if url.startswith("https://") else "Only HTTPS links are allowed"
    if wrong:
        raise bad_request(f"inline keyboard button Web App URL '{url}' is invalid: {wrong}")


def _check_copy_text(copy_text: object) -> None:
    text = copy_text.get("text", "") if isinstance(copy_text, dict) else ""
    if not isinstance(text, str) or not 1 <= len(text) <= COPY_TEXT_LIMIT:
        raise bad_request("COPY_TEXT_INVALID")


def _unparsable(reason: str) -> Exception:
    return bad_request(f"can't parse inline keyboard button: {reason}")
