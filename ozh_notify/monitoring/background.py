"""Sends each report in a daemon thread, so that no report can hold up the end of a pass."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

log = logging.getLogger(__name__)

LIMIT = 4.0
"""Seconds that all reports of a pass may take together; they go out side by side."""
ATTEMPT = 2.5
"""Seconds for one request."""
TOO_LATE = "no answer in time"


class BackgroundReport:
    """One report, sent by a daemon thread.

    The thread ends with the process: the time limits of sockets do not cover a name server or a
    disk that hangs.
    """

    def __init__(self, variable: str, send: Callable[[], None]) -> None:
        self.variable = variable
        self.problem: Future[str] = Future()
        """What went wrong; an empty text if the report arrived."""
        self.problem.set_running_or_notify_cancel()  # from now on nobody can cancel it
        Thread(target=self._send, args=(send,), name=variable, daemon=True).start()

    def _send(self, send: Callable[[], None]) -> None:
        try:
            send()
        except Exception as error:
            self.problem.set_result(error_reason(error))
        else:
            self.problem.set_result("")

    def warn(self) -> None:
        """Log one warning, unless the report has arrived."""
        problem = self.problem.result() if self.problem.done() else TOO_LATE
        if problem:
            log.warning("%s: the pass was not reported there: %s", self.variable, problem)


def error_reason(error: BaseException) -> str:
    """Describe an error without its own text, which may quote an address with a key in it."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return error_reason(error.reason)
    if isinstance(error, TimeoutError):
        return TOO_LATE
    return getattr(error, "strerror", None) or type(error).__name__


def without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Split a URL into one that urllib can open, and the header for its ``user:password@``."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    if not credentials:
        return url, {}
    basic = base64.b64encode(unquote(credentials).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {basic}"}
