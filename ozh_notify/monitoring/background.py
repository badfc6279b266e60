"""Sends one report in a daemon thread with a time limit."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

LIMIT = 4.0
"""Seconds all reports of a pass may take together; they go out side by side."""
ATTEMPT = 2.5
"""Seconds for one request."""


class BackgroundReport:
    """Sends one report in a daemon thread, which ends with the process.

    Time limits of sockets hold neither for a name server nor for a disk that hangs.
    """

    def __init__(self, variable: str, send: Callable[[], None]) -> None:
        self.variable = variable
        """The setting that asks for the report."""
        self.finished: Future[None] = Future()
        """Done when the report was sent or has failed."""
        self._send = send
        threading.Thread(target=self._run, name=variable, daemon=True).start()

    def _run(self) -> None:
        try:
            self._send()
        except Exception as error:
            self.finished.set_exception(error)
        else:
            self.finished.set_result(None)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, well or badly."""
        wait([self.finished], timeout=seconds)

    def problem(self) -> str:
        """What went wrong; empty when the report was sent."""
        if not self.finished.done():
            return "no answer in time"
        error = self.finished.exception()
        return error_reason(error) if error else ""


def error_reason(error: BaseException) -> str:
    """An error in words, without the address that the error's own text may quote."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return error_reason(error.reason)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__


def without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """A URL urllib can open, and the header that its ``user:password@`` stands for."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    if not credentials:
        return url, {}
    basic = base64.b64encode(unquote(credentials).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {basic}"}
