"""Log lines for people, journald and machines; and no secret in any of them."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, TextIO

TOKEN = re.compile(r"\d{5,}:[A-Za-z0-9_-]{20,}")
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+:[^/\s]+@")
SHORTEST_SECRET = 4
"""A shorter one cannot be told from ordinary text."""

PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Redactor:
    """Replaces secrets in text; knows the shapes of tokens and credentials besides."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = [s for s in secrets if len(s) >= SHORTEST_SECRET]
        # In JSON a quote or a backslash of a password looks different.
        as_json = [json.dumps(s, ensure_ascii=False)[1:-1] for s in long_enough]
        known = sorted({*long_enough, *as_json}, key=len, reverse=True)
        # Telegram's library puts what it quotes in lower case.
        self._known = re.compile("|".join(map(re.escape, known)), re.IGNORECASE) if known else None

    def __call__(self, text: str) -> str:
        if self._known:
            text = self._known.sub("***", text)
        return CREDENTIALS.sub("***@", TOKEN.sub("***", text))


class TextFormatter(logging.Formatter):
    """``2026-11-24 11:05:00.000+03:00 INFO text``; under systemd a priority before the text."""

    PRIORITY = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def __init__(self, redact: Redactor, *, journald: bool) -> None:
        super().__init__("%(message)s" if journald else "%(asctime)s %(levelname)s %(message)s")
        self._redact, self._journald = redact, journald

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """This machine's time, and how far it is from UTC: `OZH_TIMEZONE` may be another one."""
        at = datetime.fromtimestamp(record.created).astimezone()
        return at.isoformat(" ", "milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        """One line, or more where there is a traceback."""
        text = self._redact(super().format(record))
        if not self._journald:
            return text
        level = next((p for n, p in self.PRIORITY if record.levelno >= n), 7)
        return "\n".join(f"<{level}>{line}" for line in text.splitlines() or [""])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``event``, and what the line is about."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "event": "log",
            "message": record.getMessage(),
        }
        fields.update({k: v for k, v in record.__dict__.items() if k not in PLAIN})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return self._redact(json.dumps(fields, ensure_ascii=False, default=str))


if TYPE_CHECKING:
    TextHandler = logging.StreamHandler[TextIO]
else:
    TextHandler = logging.StreamHandler  # it takes a type from Python 3.11 on


class CurrentStderr(TextHandler):
    """Writes to what `sys.stderr` is at each line: a progress bar replaces it for a while."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # a property instead of an attribute
        """The stream of this moment."""
        return sys.stderr


def setup(
    kind: Literal["auto", "text", "json"],
    redact: Redactor,
    *,
    enabled: bool = True,
    verbose: bool = False,
    quiet: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Send this program's log lines to stderr; other libraries' only from warnings on."""
    if kind == "auto":
        kind = "json" if "KUBERNETES_SERVICE_HOST" in os.environ else "text"
    handler = logging.StreamHandler(stream) if stream else CurrentStderr()
    journald = _is_journal(handler.stream)
    handler.setFormatter(
        JsonFormatter(redact) if kind == "json" else TextFormatter(redact, journald=journald)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if enabled else logging.ERROR)
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.getLogger("ozh_notify").setLevel(level if enabled else logging.ERROR)


def _is_journal(stream: TextIO) -> bool:
    """Whether a stream is what systemd connected to its journal, and no file or pipe since.

    The variable is inherited by whatever a unit starts: ``man systemd.exec``, ``JOURNAL_STREAM``.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
