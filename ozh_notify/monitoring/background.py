"""A report on its way: in a thread that nobody waits for past a limit."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

log = logging.getLogger(__name__)

LIMIT = 4.0
"""Seconds all reports of a pass may take together; they go out side by side."""
ATTEMPT = 2.5
"""Seconds for one request."""


class BackgroundReport(threading.Thread):
    """Work in a thread that ends with the process, done or not.

    Time limits of sockets hold neither for a name server nor for a disk that hangs.
    """

    def __init__(self, variable: str, work: Callable[[], None]) -> None:
        super().__init__(name=variable, daemon=True)
        self._work, self._problem = work, "no answer in time"
        self.start()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or badly."""
        return not self.is_alive()

    def run(self) -> None:
        """Do it; what goes wrong is kept for :meth:`warn`."""
        try:
            self._work()
            self._problem = ""
        except Exception as error:
            self._problem = error_reason(error)

    def warn(self) -> None:
        """One warning, unless it succeeded."""
        if self._problem:
            log.warning("%s: the pass was not reported there: %s", self.name, self._problem)


def error_reason(error: BaseException) -> str:
    """An error in words, without the address that its own text may quote."""
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
