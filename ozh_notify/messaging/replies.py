"""What a reply of the Bot API says: accepted, refused, asked to wait, or nothing sensible.

Pure: a status and a body in, the body or an error out. A body that is valid JSON with
``"ok": false`` comes from a Bot API server, whatever the HTTP status: the server did not deliver.
Its ``error_code`` decides (relays between us and Telegram may answer 200).
"""

from __future__ import annotations

import json
import re
from typing import Any

from telegram.error import NetworkError, TelegramError

DEFAULT_FLOOD_WAIT = 5.0
"""Seconds to wait after a 429 that names no time."""

_ACCEPTED = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\b')


class RequestNotSent(NetworkError):
    """The request never left this machine: surely not delivered."""


class NoResponse(NetworkError):
    """The request left, and no sensible answer came: it may have been delivered."""


class TooManyRequests(NetworkError):
    """A 429; ``seconds`` is how long Telegram asks to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Telegram asks to wait {seconds:g} s")
        self.seconds = seconds


class RequestRefused(TelegramError):
    """The Bot API server says that it did not do it; ``code`` is its ``error_code``."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.message = description  # as Telegram words it: the library would change it
        self.code = code


def check_reply(status: int, body: bytes) -> bytes:
    """The body of a success.

    Raises:
        RequestRefused, TooManyRequests: the server did not do it, and says why.
        NoResponse: anything else; it may have been done.
    """
    success = 200 <= status < 300
    if success and _ACCEPTED.match(body):
        return body
    reply = _json_object(body)
    if reply.get("ok") is False:
        raise _refusal(status, reply)
    if success:
        return body
    raise NoResponse(f"HTTP {status}")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(body)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _refusal(status: int, reply: dict[str, Any]) -> TelegramError:
    code = reply.get("error_code")
    if isinstance(code, bool) or not isinstance(code, int):
        code = status
    parameters = reply.get("parameters")
    if code == 429:
        seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
        if isinstance(seconds, int | float) and seconds > 0:
            return TooManyRequests(float(seconds))
        return TooManyRequests(DEFAULT_FLOOD_WAIT)
    if code >= 500:  # the server failed; what it had done before is not known
        return NoResponse(f"HTTP {code}")
    description = reply.get("description")
    text = description if isinstance(description, str) and description else f"error {code}"
    return RequestRefused(code, text)
