"""Reads the env file. A line of ours that python-dotenv would skip is a problem."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Sequence
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from ozh_notify.config.problem import Problem

DEFAULT = Path(".env")
"""Read where no other file is named, and only if it exists."""


def read_env_file(
    env_file: Path | None, known: Collection[str]
) -> tuple[dict[str, str | None], list[Problem]]:
    """The values in the file by name, and the problems of its lines.

    ``known`` are the names of our variables; an unreadable line of another program is skipped.
    """
    path = env_file or DEFAULT
    try:
        # Some editors begin a file with a byte order mark; it does not belong to the first name.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}, [Problem("", f"there is no {path}")] if env_file else []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [Problem("", f"{path} cannot be read: {read_error(error)}")]
    problems: list[Problem] = []
    readable = ""
    for statement in parse_stream(StringIO(text)):
        found = _problems_of(path, statement, known)
        problems += found
        readable += "" if found else statement.original.string
    return dotenv_values(stream=StringIO(readable)), problems


def _problems_of(path: Path, statement: Binding, known: Collection[str]) -> list[Problem]:
    """A problem for each of our variables that python-dotenv would drop without an error.

    python-dotenv reads a bare name as "no value", and continues a line whose quote is not closed.
    """
    text, line = statement.original
    no_value = statement.key and statement.value is None
    if not (statement.error or no_value or "\n" in text.strip()):
        return []
    names = re.findall(r"^\s*(?:export\s+)?([A-Z][A-Z_]*)", text, re.MULTILINE)
    line += text[: len(text) - len(text.lstrip())].count("\n")
    return [
        Problem(
            name,
            f"line {line} of {path} cannot be read",
            "write NAME=value on one line, with a quote at both ends or none, and JSON in single "
            "quotes",
        )
        for name in dict.fromkeys(names)
        if name in known or name.startswith("OZH_")
    ]


def open_to_all(env_file: Path | None, secrets: Sequence[str]) -> Problem | None:
    """A warning where every user of this machine may read a file that holds secrets."""
    path = env_file or DEFAULT
    if not secrets or os.name == "nt" or not path.stat().st_mode & stat.S_IROTH:
        return None
    text = f"{path} holds {', '.join(secrets)}, and every user of this machine may read it"
    return Problem("", text, f"chmod 600 {path}")


def no_env_file(env_file: Path | None) -> Problem | None:
    """A hint for an operator who is in another folder than the env file."""
    if env_file or os.path.exists(DEFAULT):
        return None
    remedy = "run ozh-notify in the folder that has one, or name it with --env-file"
    return Problem("", f"there is no .env in {working_directory()}", remedy)


def working_directory() -> str:
    """Its name; somebody may have deleted it."""
    try:
        return os.getcwd()
    except OSError:
        return "the working directory"


def read_error(error: Exception) -> str:
    """Why a file cannot be read, in the system's words."""
    return getattr(error, "strerror", None) or "it is not UTF-8 text"
