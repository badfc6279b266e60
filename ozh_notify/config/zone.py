"""The time zone of this machine, for operators who do not set ``OZH_TIMEZONE``."""

from __future__ import annotations

import re
import struct
import warnings
from datetime import tzinfo
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

POSIX = re.compile(r"(<[A-Za-z0-9+-]{3,}>|[A-Za-z]{3,})[+-]?\d.*", re.ASCII)
"""The beginning of a zone by its rule, such as ``MSK-3``: POSIX.1, "Environment Variables", TZ."""


def local_zone(name: str) -> tzinfo:
    """The zone that ``name``, the value of ``TZ``, stands for; the machine's own where it is empty.

    Raises:
        ValueError: it cannot be used; with the reason.
    """
    name = name.removeprefix(":")
    if not name:
        return _of_this_machine()
    try:
        if name.startswith("/"):
            with Path(name).open("rb") as file:
                return ZoneInfo.from_file(file, key=name.partition("zoneinfo/")[2] or name)
        return _by_name_or_rule(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"TZ is {name!r}, which is not a time zone") from None


def _by_name_or_rule(name: str) -> tzinfo:
    """``EST5EDT`` is both; its name knows when summer time begins."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not POSIX.fullmatch(name):
            raise
        return _by_rule(name)


def _of_this_machine() -> tzinfo:
    import tzlocal  # noqa: PLC0415 - reads files

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it takes UTC where nothing is set
            return tzlocal.get_localzone()
    except Exception as error:
        raise ValueError(f"this machine's time zone is not set up: {error}") from None


def _by_rule(rule: str) -> tzinfo:
    """A zone by its POSIX rule, wrapped into the shortest file that zoneinfo reads (RFC 9636)."""
    block = struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbB", 0, 0, 0) + b"UTC\0"
    part = b"TZif2" + b"\0" * 15 + block
    return ZoneInfo.from_file(BytesIO(part + part + f"\n{rule}\n".encode()), key=rule)
