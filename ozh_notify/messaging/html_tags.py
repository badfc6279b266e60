"""Telegram's HTML tags and entities: which there are, and what their attributes mean.

As in TDLib (tdlib/td, ``td/telegram/MessageEntity.cpp``). Pure.
"""

from __future__ import annotations

import re

TAGS = frozenset(
    {"a", "b", "blockquote", "code", "del", "em", "i", "ins", "pre", "s", "span", "strike"}
    | {"strong", "tg-emoji", "tg-spoiler", "tg-time", "u"}
)
"""Bot API, "HTML style"."""

_ENTITY = re.compile(r"&(?:#x(?P<hex>[0-9A-Fa-f]*)|#(?P<dec>[0-9]*)|(?P<name>[A-Za-z]*));?")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


def lower(text: str) -> str:
    """Lower case for ASCII alone, as TDLib's to_lower()."""
    return text.encode().lower().decode()


def _decode(match: re.Match[str]) -> str:
    """The character an HTML entity stands for, or the entity as written if it stands for none."""
    if (name := match["name"]) is not None:
        return _NAMED.get(name, match[0])
    if len(match[0].rstrip(";")) >= 10:
        return match[0]
    code = int(match["hex"] or "0", 16) or int(match["dec"] or "0")
    if code == 0 or code >= 0x10FFFF:
        return match[0]
    return chr(code)


def unescape(text: str) -> str:
    """A text with its HTML entities replaced by the characters they stand for."""
    return _ENTITY.sub(_decode, text) if "&" in text else text


def argument_after(tag: str, name: str, value: str | None, before: str) -> str:
    """A tag's argument after one more attribute; ``value`` is None for one without "="."""
    if value is None:
        return before
    if (tag, name) == ("span", "class"):
        return value[3:] if value.startswith("tg-") else before
    if (tag, name) in {("a", "href"), ("tg-emoji", "emoji-id"), ("tg-time", "format")}:
        return value
    return before


def is_emoji_id(text: str) -> bool:
    """A number other than 0 in 64 bits, written as a program would write it."""
    return bool(re.fullmatch(r"-?[1-9][0-9]{0,18}", text)) and -(2**63) <= int(text) < 2**63


def is_time_format(text: str) -> bool:
    """A format of ``tg-time``: relative, or any of time, date and weekday."""
    return bool(re.fullmatch("[rR]|[tTdDwW]*", text))
