"""What one user receives: a text or a medium with a caption, and the buttons below it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ozh_notify.messaging.html import parse

MediaKind = Literal["photo", "animation", "video"]
ButtonKind = Literal["url", "callback_data", "web_app", "copy_text"]
"""As Telegram names the action of an inline button (Bot API, InlineKeyboardButton)."""


@dataclass(frozen=True)
class MessageButton:
    """An inline button; ``style`` is Telegram's colour of it, None for the usual one."""

    text: str
    kind: ButtonKind
    target: str
    style: str | None = None

    def __str__(self) -> str:
        return f"{self.text} -> {self.target}"


@dataclass(frozen=True)
class Media:
    """A photo, an animation or a video, by ``file_id`` or address."""

    kind: MediaKind
    file: str
    is_own: bool = False
    """It comes from the user's document: if Telegram refuses it, only this user is concerned."""

    def __str__(self) -> str:
        return f"{self.kind} {self.file}"


Keyboard = tuple[tuple[MessageButton, ...], ...]
"""Rows of buttons."""


@dataclass(frozen=True)
class Message:
    """Telegram HTML with what goes with it; ``html`` is the caption where there is a medium."""

    html: str
    keyboard: Keyboard = ()
    media: Media | None = None
    silent: bool = False
    """Telegram shows it without a sound."""
    protect: bool = False
    """It can be neither forwarded nor saved."""
    link_preview: bool = False
    """Telegram shows a preview of the first link."""

    @property
    def buttons(self) -> tuple[MessageButton, ...]:
        """All buttons, row after row."""
        return tuple(button for row in self.keyboard for button in row)


def plain_text(message: Message) -> str:
    """A message as plain text, as Telegram would show it."""
    return parse(message.html).text
