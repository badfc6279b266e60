"""The users of ``reconcile --user``: a number, a file of numbers, or the log of a pass."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from ozh_notify.passes.unrecorded import UnrecordedOutcome, parse_unrecorded
from ozh_notify.wording import counted

log = logging.getLogger(__name__)

NUMBER = re.compile(r"\s*0*([1-9][0-9]{0,15})\s*")

CONTRADICTS = {"resend": ("sent",), "mark-sent": ("retry", "unreachable", "rejected")}
"""Logged outcomes that forbid an action: the message was delivered, or surely was not."""


@dataclass(frozen=True)
class NamedUsers:
    """What the values of ``--user`` name."""

    chats: tuple[int, ...] = ()
    claims: tuple[tuple[str, int], ...] = ()
    """Claim and chat of a log's lines: one delivery each, even if it is still in `sending`."""

    def __bool__(self) -> bool:
        return bool(self.chats or self.claims)


def named_users(texts: Sequence[str], action: str | None) -> NamedUsers:
    """The users that the values name: each a number, ``@FILE``, or ``-`` for stdin.

    A logged line whose outcome contradicts ``action`` is left out; so is a line without a chat.

    Raises:
        typer.BadParameter: a value is none of these, or the file cannot be read.
    """
    found: list[int | UnrecordedOutcome] = []
    for text in texts:
        found += _in_file(text, action) if text == "-" or text[:1] == "@" else [_number(text)]
    logged = [one for one in found if isinstance(one, UnrecordedOutcome)]
    numbers = [one for one in found if isinstance(one, int)]
    numbers += [one.chat_id for one in logged if not one.claim]
    claims = tuple((one.claim, one.chat_id) for one in logged if one.claim)
    return NamedUsers(tuple(numbers), claims)


def _in_file(text: str, action: str | None) -> list[int | UnrecordedOutcome]:
    name = "stdin" if text == "-" else text[1:]
    lines = [line for line in _lines(text) if line.strip()]
    read = [_from_line(line, action) for line in lines]
    found = [one for one in read if one]
    if len(found) < len(lines):
        unused = counted(len(lines) - len(found), "line")
        why = f" or with an outcome that does not fit --{action}" if action else ""
        log.warning("not used: %s of %s without a chat id%s", unused, name, why)
    return found


def _lines(text: str) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if text == "-" else Path(text[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(
            f"{text[1:]} cannot be read: {error.strerror}", param_hint="--user"
        ) from None
    return raw.decode(errors="replace").splitlines()


def _number(text: str) -> int:
    found = NUMBER.fullmatch(text)
    if not found:
        raise typer.BadParameter(f"{text!r} is not a chat id", param_hint="--user")
    return int(found[1])


def _from_line(line: str, action: str | None) -> int | UnrecordedOutcome | None:
    number = NUMBER.fullmatch(line)
    if number:
        return int(number[1])
    told = parse_unrecorded(line)
    return None if not told or told.state in CONTRADICTS.get(action or "", ()) else told
