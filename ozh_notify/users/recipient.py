"""Reads a user document: the recipient of a message, or the reason against one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign

CONTROL = "control"
"""The arm of an experiment that gets no message, as the journal spells it."""

MISSING = object()
"""What :func:`at_path` returns where a document has no such field."""

CHAT_ID_BOUND = 2**52
"""A chat id has at most 52 significant bits (Bot API, type Chat)."""

MAX_NAME = 64
"""Telegram's limit for a first name, in characters (MTProto errors: FIRSTNAME_INVALID)."""

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")

JOINERS = "\u200c\u200d"
"""They shape Persian words and hold emoji of several people together."""


@dataclass(frozen=True)
class Recipient:
    """A claimed user with what the message needs; ``id`` is the document's ``_id``."""

    id: Any
    chat_id: int
    first_name: str
    language: str
    claim: str
    claimed_at: datetime
    claimed_monotonic: float
    attempts: int
    """Claims that led to a send in this period, this one included."""
    assignment: Mapping[str, Any] = field(default_factory=dict)
    """What a running experiment writes into the journal's entry; empty without one."""
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Values of the document that the message names, by dotted path."""
    text_alone: bool = False
    """Telegram has refused the user's own picture: the message goes out without it."""

    @property
    def is_control(self) -> bool:
        """Whether an experiment holds this user out: no message."""
        return self.assignment.get("arm") == CONTROL


@dataclass(frozen=True)
class Claimed:
    """What came of claiming one batch."""

    recipients: list[Recipient]
    """Users that this pass may send to."""
    controls: list[Recipient] = field(default_factory=list)
    """Users that a running experiment holds out; the journal has them."""
    duplicates: int = 0
    """Claimed users whose chat another delivery has dealt with; they are not sent to."""
    refused: list[tuple[Any, str]] = field(default_factory=list)
    """Users whose document the server refuses to update, each with the server's reason."""


def at_path(document: Any, path: str) -> Any:
    """The value at a dotted path, or :data:`MISSING`. Inside an array it is the array itself."""
    for part in path.split("."):
        if isinstance(document, list):
            return document
        if not isinstance(document, Mapping) or part not in document:
            return MISSING
        document = document[part]
    return document


def fields_at(document: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """The values at dotted paths; a path that leads into an array is :data:`MISSING`."""
    return {path: _through_objects(document, path) for path in paths}


def _through_objects(document: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(document, Mapping) or part not in document:
            return MISSING
        document = document[part]
    return document


def parse_chat_id(value: Any) -> int | None:
    """A usable chat id: a positive whole number, or its decimal digits as a string."""
    if isinstance(value, bool) or value is None:
        return None
    if type(value) is str:  # the driver's type for JavaScript is a kind of str
        value = int(value) if re.fullmatch(r"[0-9]{1,16}", value) else 0
    if isinstance(value, float):
        value = int(value) if value.is_integer() else 0
    usable = isinstance(value, int) and 0 < value < CHAT_ID_BOUND
    return int(value) if usable else None


def why_invalid(document: Mapping[str, Any], campaign: Campaign) -> str | None:
    """Why a user the scan matched cannot be claimed, or None."""
    settings = campaign.settings
    if parse_chat_id(at_path(document, settings.field_chat_id)) is None:
        return f"no usable chat id in {settings.field_chat_id}"
    for path in (settings.state_field, campaign.state_path):
        if not _absent(value := at_path(document, path)) and not isinstance(value, Mapping):
            return f"{path} is not an object"
    hold = at_path(document, f"{campaign.state_path}.hold_until")
    # A date out of Python's range is still a date: the driver hands it over as DatetimeMS.
    if not _absent(hold) and type(hold).__name__ not in ("datetime", "DatetimeMS"):
        return f"{campaign.state_path}.hold_until is not a date"
    return None


def clean_name(value: Any) -> str:
    """A first name fit for a message, at most 64 characters; empty where it shows nothing.

    Controls and direction marks are left out. ``None``, ``null`` and ``undefined`` are what
    programs write for a missing name.
    """
    if not isinstance(value, str):
        return ""
    kept = (c for c in value[:1000] if c not in BIDI and unicodedata.category(c) not in _UNFIT)
    shown = "".join(c if _is_shown(c) or c in JOINERS else " " for c in kept)
    name = " ".join(shown.split())[:MAX_NAME].strip(f" {JOINERS}")
    visible = any(unicodedata.category(c)[0] in "LNPS" for c in name)
    return name if visible and name.lower() not in _NO_NAMES else ""


_UNFIT = ("Cs", "Co", "Cn")
_NO_NAMES = ("none", "null", "undefined")
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols to Unicode, but nothing is drawn for them."""


def _is_shown(character: str) -> bool:
    return character.isprintable() and character not in _BLANK_LETTERS


def parse_language(value: Any) -> str:
    """A language code such as ``ru``, ``pt-br`` or ``zh-hans-cn``; empty for anything else."""
    form = r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}"
    fits = isinstance(value, str) and re.fullmatch(form, value)
    return value.lower().replace("_", "-") if fits else ""


def _absent(value: Any) -> bool:
    return value is MISSING or value is None
