"""Log lines for people, journald and machines, without any secret in them."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Literal, TextIO

TOKEN = re.compile(r"\d{5,}:[A-Za-z0-9_-]{20,}")
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+:[^/\s]+@")
SHORTEST_SECRET = 4
"""A shorter secret looks like ordinary text, so it is not replaced."""

PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Redactor:
    """Replaces secrets in text, and whatever has the shape of a token or of credentials."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = [s for s in secrets if len(s) >= SHORTEST_SECRET]
        # JSON writes a quote or a backslash of a password with a backslash before it.
        as_json = [json.dumps(s, ensure_ascii=False)[1:-1] for s in long_enough]
        known = sorted({*long_enough, *as_json}, key=len, reverse=True)
        # python-telegram-bot quotes texts in lower case.
        self._known = re.compile("|".join(map(re.escape, known)), re.IGNORECASE) if known else None

    def __call__(self, text: str) -> str:
        if self._known:
            text = self._known.sub("***", text)
        return CREDENTIALS.sub("***@", TOKEN.sub("***", text))


class TextFormatter(logging.Formatter):
    """``2026-11-24 11:05:00.000+03:00 INFO text``; under systemd a priority before the text."""

    PRIORITY = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def __init__(self, redact: Redactor, zone: tzinfo, *, journald: bool) -> None:
        super().__init__("%(message)s" if journald else "%(asctime)s %(levelname)s %(message)s")
        self._redact, self._zone, self._journald = redact, zone, journald

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The time in the operator's zone, with its difference from UTC."""
        at = datetime.fromtimestamp(record.created, self._zone)
        return at.isoformat(" ", "milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        """One line, or more where there is a traceback."""
        text = self._redact(super().format(record))
        if not self._journald:
            return text
        level = next((p for n, p in self.PRIORITY if record.levelno >= n), 7)
        return "\n".join(f"<{level}>{line}" for line in text.splitlines() or [""])


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ``time``, ``level``, ``event``, ``message``, and its subject.

    Every line of a pass has ``run`` and ``campaign``; a line about a user has ``user``,
    ``chat_id``, ``state`` and ``message_id``.
    """

    def __init__(self, redact: Redactor, zone: tzinfo = timezone.utc) -> None:
        super().__init__()
        self._redact, self._zone = redact, zone

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, self._zone).isoformat(),
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
    """Writes each line to the current `sys.stderr`, which a progress bar replaces for a while."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO | None:  # type: ignore[override]  # a property, not an attribute
        """The current `sys.stderr`; None where it was closed before the start."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or nothing where stderr is closed."""
        if self.stream is not None:
            super().emit(record)


def setup(
    kind: Literal["auto", "text", "json"],
    redact: Redactor,
    *,
    enabled: bool = True,
    verbose: bool = False,
    quiet: bool = False,
    zone: tzinfo = timezone.utc,
    stream: TextIO | None = None,
) -> None:
    """Send log lines to stderr: this program's, and warnings and errors of other libraries.

    Times are in ``zone``.
    """
    if kind == "auto":
        kind = "json" if "KUBERNETES_SERVICE_HOST" in os.environ else "text"
    handler = logging.StreamHandler(stream) if stream else CurrentStderr()
    journald = _is_journal(handler.stream)
    handler.setFormatter(
        JsonFormatter(redact, zone)
        if kind == "json"
        else TextFormatter(redact, zone, journald=journald)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if enabled else logging.ERROR)
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.getLogger("ozh_notify").setLevel(level if enabled else logging.ERROR)


def name_pass(run: str, campaign: str) -> None:
    """Let every further line, of whatever module, name the pass."""

    def add_names(record: logging.LogRecord) -> bool:
        record.__dict__.setdefault("run", run)
        record.__dict__.setdefault("campaign", campaign)
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(add_names)


def _is_journal(stream: TextIO | None) -> bool:
    """Whether a stream is connected to systemd's journal.

    Every process that a unit starts inherits the variable, also one whose stderr is a file:
    ``man systemd.exec``, ``JOURNAL_STREAM``.
    """
    if stream is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
