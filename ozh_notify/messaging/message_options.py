"""Compiles ``NAME.toml`` and fills it in for one user: buttons, medium and flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from ozh_notify.config.addresses import CALLBACK_DATA_BYTES, button_target
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.message import ButtonKind, Keyboard, Media, MediaKind, MessageButton
from ozh_notify.messaging.message_options_file import FLAGS, ButtonSource, OptionsSource, Source
from ozh_notify.messaging.templates import check_names
from ozh_notify.messaging.user_fields import paths_in
from ozh_notify.wording import counted

COPY_LIMIT = 256
"""Characters. Bot API, CopyTextButton: "1-256 characters"."""

URL_LIMIT = 2048
"""Characters of an address; Telegram documents no limit, browsers and servers have this one."""


@dataclass(frozen=True)
class OptionText:
    """A compiled text of the file, and the place it comes from."""

    template: jinja2.Template
    where: str
    is_own: bool
    """It names a field of the user's document, which may be empty."""

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text for one user."""
        return self.template.render(variables).strip()

    def check(self, variables: Mapping[str, Any]) -> None:
        """Render it once; raises ConfigError with file and line where an expression fails."""
        try:
            self.render(variables)
        except Exception as error:
            raise ConfigError(f"{self.where}: {error}") from None


@dataclass(frozen=True)
class OptionButton:
    """One compiled button."""

    text: OptionText
    kind: ButtonKind
    target: OptionText
    row: int | None
    style: str | None

    def render(self, variables: Mapping[str, Any], *, strict: bool) -> MessageButton | None:
        """The button for one user; None where a field that it needs is empty, or no target.

        Raises:
            ConfigError: Telegram would refuse it; with file and line. Unless ``strict``, only
                where that is not the fault of a field of the user.
        """
        text, target = self.text.render(variables), self.target.render(variables)
        if (not text and self.text.is_own) or (not target and self.target.is_own):
            return None
        if not text:
            raise ConfigError(f"{self.text.where}: the text of the button would be empty")
        try:
            return MessageButton(text, self.kind, checked_target(self.kind, target), self.style)
        except ValueError as error:
            if self.target.is_own and not strict:
                return None
            raise ConfigError(f"{self.target.where}: {error}") from None


@dataclass(frozen=True)
class MessageOptions:
    """A compiled file."""

    keyboard: tuple[tuple[OptionButton, ...], ...] = ()
    media_kind: MediaKind | None = None
    media: OptionText | None = None
    silent: bool = False
    protect: bool = False
    link_preview: bool = False
    paths: frozenset[str] = frozenset()
    """Fields of the user's document that the file names."""
    names: frozenset[str] = frozenset()
    """The variables that the file uses."""

    def __str__(self) -> str:
        number = sum(map(len, self.keyboard))
        buttons = counted(number, "button") if number else ""
        named = [self.media_kind, buttons, *(flag for flag in FLAGS if getattr(self, flag))]
        return ", ".join(part for part in named if part) or "nothing"

    def as_json(self) -> dict[str, Any]:
        """What machines are shown: the kind of medium, the number of buttons, the flags."""
        return {
            "media": self.media_kind,
            "buttons": sum(map(len, self.keyboard)),
            **{flag: getattr(self, flag) for flag in FLAGS},
        }

    def check(self, variables: Mapping[str, Any]) -> None:
        """Render everything once.

        Raises:
            ConfigError: an expression fails, or Telegram would refuse the result.
        """
        for one in self.fields():
            one.check(variables)
        self.rendered_keyboard(variables, strict=True)
        self.rendered_media(variables, strict=True)

    def fields(self) -> Iterator[OptionText]:
        """All texts and targets of the file."""
        for button in (button for row in self.keyboard for button in row):
            yield from (button.text, button.target)
        if self.media:
            yield self.media

    def rendered_keyboard(self, variables: Mapping[str, Any], *, strict: bool = False) -> Keyboard:
        """The buttons for one user."""
        rows = ([one.render(variables, strict=strict) for one in row] for row in self.keyboard)
        kept = (tuple(button for button in row if button) for row in rows)
        return tuple(row for row in kept if row)

    def rendered_media(self, variables: Mapping[str, Any], *, strict: bool = False) -> Media | None:
        """The medium for one user; None where it is empty.

        Raises:
            ConfigError: it is neither a ``file_id`` nor an address; with file and line.
        """
        if self.media is None or self.media_kind is None:
            return None
        file = self.media.render(variables)
        usable = is_file(file)
        if not file or (self.media.is_own and not usable and not strict):
            return None
        if not usable:
            raise ConfigError(
                f"{self.media.where}: expected a file_id or an address that begins with https://"
            )
        return Media(self.media_kind, file, self.media.is_own)


def compile_message_options(
    env: jinja2.Environment, source: OptionsSource, known: set[str]
) -> MessageOptions:
    """Compile the texts of a file.

    Raises:
        ConfigError: one does not compile or names an unknown variable; with file and line.
    """
    compiler = _Compiler(env, source.path, known)
    buttons = [compiler.button(one) for one in source.buttons]
    kind, media = None, None
    if source.media:
        kind, media = source.media[0], compiler.field(source.media[1])
    return MessageOptions(
        tuple(_rows(buttons)),
        kind,
        media,
        **source.flags,
        paths=frozenset(compiler.paths),
        names=frozenset(compiler.names),
    )


class _Compiler:
    def __init__(self, env: jinja2.Environment, path: str, known: set[str]) -> None:
        self._env, self._path, self._known = env, path, known
        self.paths: set[str] = set()
        self.names: set[str] = set()

    def button(self, source: ButtonSource) -> OptionButton:
        text, target = self.field(source.text), self.field(source.target)
        return OptionButton(text, source.kind, target, source.row, source.style)

    def field(self, source: Source) -> OptionText:
        where = f"{self._path}:{source.line}"
        try:
            template = self._env.from_string(source.text)
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(f"{where}: {error.message}") from None
        line, text = source.line, source.text
        self.names |= check_names(self._env, self._path, text, self._known, first_line=line)
        paths = paths_in(self._env, self._path, text, first_line=line)
        self.paths |= paths
        return OptionText(template, where, bool(paths))


def _rows(buttons: list[OptionButton]) -> Iterator[tuple[OptionButton, ...]]:
    """Buttons with the same ``row`` side by side, where the first of them stands."""
    done: set[int] = set()
    for button in buttons:
        if button.row is None:
            yield (button,)
        elif button.row not in done:
            done.add(button.row)
            yield tuple(one for one in buttons if one.row == button.row)


def checked_target(kind: ButtonKind, target: str) -> str:
    """A button's target as Telegram takes it.

    Raises:
        ValueError: it would refuse it; says why.
    """
    if kind == "callback_data":
        if not 1 <= len(target.encode()) <= CALLBACK_DATA_BYTES:
            raise ValueError(f"callback data has 1 to {CALLBACK_DATA_BYTES} bytes: {target!r}")
        return target
    if kind == "copy_text":
        if not 1 <= len(target) <= COPY_LIMIT:
            raise ValueError(f"a text to copy has 1 to {COPY_LIMIT} characters")
        return target
    address = button_target(target)
    allowed = ("https://",) if kind == "web_app" else ("https://", "http://", "tg://")
    if not address.startswith(allowed) or len(address) > URL_LIMIT or " " in address:
        raise ValueError(f"expected an address that begins with {' or '.join(allowed)}")
    return address


def is_file(text: str) -> bool:
    """Whether a text is an address, or looks like a ``file_id``; never the name of a file here."""
    if text.startswith(("https://", "http://")):
        return len(text) <= URL_LIMIT and " " not in text
    return 20 <= len(text) <= 512 and text.replace("-", "").replace("_", "").isalnum()
