"""The faults that a rule can put into the answer to a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from .replies import Reply, failure, flood, html_page, json_reply

Params = dict[str, Any]
Ending = Literal["reply", "cut", "drip", "close"]

GARBAGE = Reply(200, b"<!doctype html><p>It works!</p>", "text/html")


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    ``reply`` replaces the normal answer; ``waits`` delays the end by ``seconds``.
    """

    delivers: bool
    reply: Callable[[Params], Reply] | None = None
    ending: Ending = "reply"
    waits: bool = False


def _refusal(code: int, description: str) -> Fault:
    return Fault(False, lambda _: failure(code, description))


def _migrated(params: Params) -> Reply:
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    chat_id = params.get("migrate_to_chat_id", -1001234567890)
    return failure(400, text, {"migrate_to_chat_id": chat_id})


def _error(params: Params) -> Reply:
    code: int = params.get("code", 500)
    reply = failure(code, params.get("description", "Internal Server Error"))
    return replace(reply, status=params["status"]) if "status" in params else reply


FAULTS: dict[str, Fault] = {
    "blocked": _refusal(403, "Forbidden: bot was blocked by the user"),
    "deactivated": _refusal(403, "Forbidden: user is deactivated"),
    "cannot_initiate": _refusal(403, "Forbidden: bot can't initiate conversation with a user"),
    "not_found": _refusal(400, "Bad Request: chat not found"),
    "unauthorized": _refusal(401, "Unauthorized"),
    "flood_bare": _refusal(429, "Too Many Requests"),
    "migrated": Fault(False, _migrated),
    "flood": Fault(False, lambda params: flood(params.get("retry_after", 1))),
    "error": Fault(False, _error),
    "html_error": Fault(False, lambda params: html_page(params.get("code", 502))),
    "garbage_undelivered": Fault(False, lambda _: GARBAGE),
    "garbage": Fault(True, lambda _: GARBAGE),
    "no_result": Fault(True, lambda _: json_reply({"ok": True})),
    "bad_result": Fault(True, lambda _: json_reply({"ok": True, "result": True})),
    "cut_before": Fault(False, ending="cut"),
    "cut_after": Fault(True, ending="cut"),
    "hang_before": Fault(False, ending="cut", waits=True),
    "hang_after": Fault(True, ending="cut", waits=True),
    "slow": Fault(True, waits=True),
    "slow_headers": Fault(True, ending="drip"),
    "close_after": Fault(True, ending="close"),
}
