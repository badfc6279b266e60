"""Reads ``NAME.toml``: what a message has besides its text. Errors have file and line. Pure.

Texts and targets are templates still; :mod:`~ozh_notify.messaging.message_options` compiles them.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ozh_notify.errors import ConfigError
from ozh_notify.messaging.message import ButtonKind, MediaKind

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MEDIA: tuple[MediaKind, ...] = ("photo", "animation", "video")
FLAGS = ("silent", "protect", "link_preview")
ACTIONS: dict[str, ButtonKind] = {
    "url": "url",
    "data": "callback_data",
    "web_app": "web_app",
    "copy": "copy_text",
}
"""A button's action in the file -> as Telegram names it."""
BUTTON_KEYS = ("text", *ACTIONS, "row", "style")
STYLES = ("primary", "success", "danger")
"""Bot API, InlineKeyboardButton, ``style``."""


@dataclass(frozen=True)
class Source:
    """A text of the file that is a template, and the line it stands in."""

    text: str
    line: int


@dataclass(frozen=True)
class ButtonSource:
    """One ``[[button]]``; ``row`` counts from 1, None for a row of its own."""

    text: Source
    kind: ButtonKind
    target: Source
    row: int | None = None
    style: str | None = None


@dataclass(frozen=True)
class OptionsSource:
    """A whole file."""

    path: str
    media: tuple[MediaKind, Source] | None = None
    buttons: tuple[ButtonSource, ...] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)


def read_options(path: str, text: str, others: Iterable[str] = ()) -> OptionsSource:
    """A file's options; keys among ``others`` say something else, and are read elsewhere.

    Raises:
        ConfigError: the first thing that is wrong, with file and line.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        line = at[1] if at else str(text.count("\n") + 1)
        raise ConfigError(f"{path}:{line}: {str(error).partition(' (at ')[0]}") from None
    return _OptionsReader(path, text).read(
        {k: v for k, v in values.items() if k not in set(others)}
    )


class _OptionsReader:
    """One file; knows the line of each key."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._lines = path, text.splitlines()
        self._button_lines = [n for n, one in enumerate(self._lines) if "[[button]]" in one]

    def read(self, values: Mapping[str, Any]) -> OptionsSource:
        self._check_keys(values, (*MEDIA, *FLAGS, "button"), None)
        media = [(kind, self._text(values, kind, None)) for kind in MEDIA if kind in values]
        if len(media) > 1:
            raise self._wrong(media[1][0], None, "a message has one medium: keep one")
        for flag in FLAGS:
            if not isinstance(values.get(flag, False), bool):
                raise self._wrong(flag, None, "expected true or false")
        buttons = values.get("button", [])
        if not isinstance(buttons, list) or not all(isinstance(one, dict) for one in buttons):
            raise self._wrong("button", None, "write [[button]] above the keys of each button")
        return OptionsSource(
            self._path,
            media[0] if media else None,
            tuple(self._button(one, number) for number, one in enumerate(buttons)),
            {flag: values[flag] for flag in FLAGS if flag in values},
        )

    def _button(self, values: Mapping[str, Any], number: int) -> ButtonSource:
        self._check_keys(values, BUTTON_KEYS, number)
        if "text" not in values:
            raise self._wrong("", number, "a button needs a text")
        actions = [key for key in ACTIONS if key in values]
        if len(actions) != 1:
            raise self._wrong("", number, f"a button needs one of {', '.join(ACTIONS)}")
        row = values.get("row")
        if row is not None and (isinstance(row, bool) or not isinstance(row, int) or row < 1):
            raise self._wrong("row", number, "expected a number from 1 on")
        if values.get("style", STYLES[0]) not in STYLES:
            raise self._wrong("style", number, f"expected one of {', '.join(STYLES)}")
        [action] = actions
        return ButtonSource(
            self._text(values, "text", number),
            ACTIONS[action],
            self._text(values, action, number),
            row,
            values.get("style"),
        )

    def _check_keys(
        self, values: Iterable[str], known: tuple[str, ...], number: int | None
    ) -> None:
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(known)}"
                raise self._wrong(key, number, f"unknown key {key!r}: {hint}")

    def _text(self, values: Mapping[str, Any], key: str, number: int | None) -> Source:
        if not isinstance(values[key], str):
            raise self._wrong(key, number, f"{key}: expected a text in quotes")
        return Source(values[key], self._line(key, number))

    def _wrong(self, key: str, number: int | None, text: str) -> ConfigError:
        return ConfigError(f"{self._path}:{self._line(key, number)}: {text}")

    def _line(self, key: str, number: int | None) -> int:
        """The line of a key, of the file or of its button ``number`` counted from 0."""
        starts = [0, *self._button_lines]
        if number is not None and number >= len(self._button_lines):
            return 1  # an inline table, in whatever line
        begin = starts[0 if number is None else number + 1]
        ends = [start for start in (*self._button_lines, len(self._lines)) if start > begin]
        for place in range(begin, ends[0] if ends else len(self._lines)):
            if key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", self._lines[place]):
                return place + 1
        return begin + 1
