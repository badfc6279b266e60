"""Dead-man's switch by the Healthchecks ping protocol (https://healthchecks.io/docs/http_api/).

It pings ``/start`` before a pass and ``/<exit code>`` after it. An incomplete pass (75) pings
``/log`` instead, because the next pass goes on: it is neither a failure nor a success.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ozh_notify import __version__
from ozh_notify.errors import Exit
from ozh_notify.monitoring.background import ATTEMPT, LIMIT, without_credentials
from ozh_notify.passes.result import Result

TRIES = 3
PAUSE = 0.3
"""Seconds between two tries."""


def start(url: str) -> None:
    """Say that a pass begins."""
    _post(address(url, "start"), b"")


def finish(url: str, result: Result, redact: Callable[[str], str]) -> None:
    """Say that the pass ended, with its JSON result as body."""
    code = result.exit_code
    body = redact(json.dumps(result.as_json(), ensure_ascii=False, default=str))
    suffix = "log" if code is Exit.INCOMPLETE else str(int(code))
    _post(address(url, suffix), body.encode())


def log_line(url: str, text: str) -> None:
    """Write a line to the log of the monitoring service."""
    _post(address(url, "log"), text.encode())


def address(url: str, suffix: str) -> str:
    """The ping address with a suffix, which goes before a query such as ``?create=1``."""
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{suffix}{mark}{query}"


def _post(url: str, body: bytes) -> None:
    """Send a request; repeat it within the time limit where that may help.

    Raises:
        OSError, http.client.HTTPException: it did not arrive.
    """
    bare, headers = without_credentials(url)
    headers |= {"User-Agent": f"ozh-notify/{__version__}", "Content-Type": "application/json"}
    until = time.monotonic() + LIMIT
    for tried in range(1, TRIES + 1):
        request = Request(bare, body, headers, method="POST")  # noqa: S310 - settings ask for http(s)
        try:
            urlopen(request, timeout=min(ATTEMPT, until - time.monotonic())).close()  # noqa: S310
            return
        except OSError as error:
            is_final = isinstance(error, HTTPError) and error.code < 500 and error.code != 429
            if is_final or tried == TRIES or time.monotonic() + PAUSE >= until:
                raise
        time.sleep(PAUSE)
