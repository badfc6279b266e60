"""Chat ids as people hand them over: a number, a file of them, or what a pass has logged."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import typer

log = logging.getLogger(__name__)

NOT_RECORDED = re.compile(r"not recorded: user .* chat ([0-9]+): ([a-z]+)")
"""What a pass says of a user whose outcome it could not write (``delivery.unrecorded``)."""

CONTRADICTS = {"resend": ("sent",), "mark-sent": ("retry", "unreachable", "rejected")}
"""Logged outcomes that forbid an action: what was delivered, or surely was not."""


def chats_in(text: str, action: str | None) -> list[int]:
    """The chat ids an option's value names: a number, ``@FILE``, or ``-`` for stdin.

    A logged line whose outcome contradicts ``action`` is left out; so is a line without a chat.

    Raises:
        typer.BadParameter: it is none of these, or the file cannot be read.
    """
    if not (text == "-" or text.startswith("@")):
        return [_number(text)]
    name = "stdin" if text == "-" else text[1:]
    found = [_logged(line, action) for line in _lines(text) if line.strip()]
    chats = [chat for chat in found if chat]
    if len(chats) < len(found):
        why = f" that goes with --{action}" if action else ""
        log.warning("%d lines of %s name no chat%s", len(found) - len(chats), name, why)
    return chats


def _lines(text: str) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if text == "-" else Path(text[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(
            f"{text[1:]} cannot be read: {error.strerror}", param_hint="--user"
        ) from None
    return raw.decode(errors="replace").splitlines()


def _number(text: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,15}", text):
        raise typer.BadParameter(f"{text!r} is no chat id", param_hint="--user")
    return int(text)


def _logged(line: str, action: str | None) -> int | None:
    if re.fullmatch(r"\s*0*[1-9][0-9]{0,15}\s*", line):
        return int(line)
    told = NOT_RECORDED.search(line)
    if not told or told[2] in CONTRADICTS.get(action or "", ()):
        return None
    return int(told[1])
