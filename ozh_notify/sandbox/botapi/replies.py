"""Answers of the Bot API as values, without any HTTP connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(payload: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(payload, ensure_ascii=False).encode())


def success(result: object) -> Reply:
    return json_reply({"ok": True, "result": result})


def failure(code: int, description: str, parameters: Mapping[str, Any] | None = None) -> Reply:
    payload: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        payload["parameters"] = dict(parameters)
    return json_reply(payload, code)


def flood(retry_after: int) -> Reply:
    """429 as Telegram answers it, its Retry-After header included."""
    text = f"Too Many Requests: retry after {retry_after}"
    reply = failure(429, text, {"retry_after": retry_after})
    return Reply(429, reply.body, headers={"Retry-After": str(retry_after)})


def html_page(status: int) -> Reply:
    """The error page of a proxy in front of Telegram."""
    page = f"<html>\r\n<head><title>{status}</title></head>\r\n<body>{status}</body>\r\n</html>\r\n"
    return Reply(status, page.encode(), "text/html")


class RequestRejected(Exception):
    """One of Telegram's checks failed; ``reply`` is the answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


def bad_request(message: str) -> RequestRejected:
    """400 with a small first letter, unless the text is a constant such as BUTTON_….

    As the Bot API server words its errors: ``fail_query_with_error`` in
    tdlib/telegram-bot-api, ``telegram-bot-api/Client.cpp``.
    """
    constant = len(message) > 1 and (message[1] == "_" or "A" <= message[1] <= "Z")
    text = message if constant else message[:1].lower() + message[1:]
    return RequestRejected(failure(400, f"Bad Request: {text}"))
