"""Errors that end a pass or a command; each carries its exit code and result status."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, after BSD's ``sysexits.h`` where it has a fitting one."""

    OK = 0
    USAGE = 2
    UNAVAILABLE = 69
    BUG = 70
    UNRECORDED = 74
    INCOMPLETE = 75
    REFUSED = 77
    CONFIG = 78


class OzhError(Exception):
    """An error with an exit code; its text is what the user reads."""

    exit_code = Exit.BUG
    status = "error"


class ConfigError(OzhError):
    """The configuration is wrong: settings, mapping, token, button or template."""

    exit_code = Exit.CONFIG


class Unavailable(OzhError):
    """MongoDB or Telegram cannot be reached, and nothing was delivered."""

    exit_code = Exit.UNAVAILABLE


class Unrecorded(OzhError):
    """Something was delivered and could be recorded nowhere: look before you run it again."""

    exit_code = Exit.UNRECORDED


class Incomplete(OzhError):
    """The pass ended early; running it again is safe and right."""

    exit_code = Exit.INCOMPLETE
    status = "incomplete"


class Refused(OzhError):
    """The recipient limit: the pass would message more users than allowed."""

    exit_code = Exit.REFUSED
    status = "refused"
