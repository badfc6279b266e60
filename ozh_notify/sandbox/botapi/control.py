"""Answers ``/control/…``, by which a test instructs the server and asks what it did."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from .methods import NOT_FOUND
from .replies import Reply, json_reply
from .rules import read_rules
from .state import EmulatorState

_SETTINGS = {"latency_ms", "rate_limit", "seed"}


async def answer(state: EmulatorState, request: web.BaseRequest) -> Reply:
    """Answers one control request; if it makes no sense, 400 with the reason in ``error``."""
    what = request.method, request.path.removeprefix("/control/").rstrip("/")
    try:
        if what == ("GET", "messages"):
            return json_reply(state.since(int(request.query.get("after", "0"))))
        if what == ("GET", "requests"):
            return json_reply(state.counts())
        if what == ("POST", "rules"):
            state.rules = read_rules(json.loads(await request.read()))
        elif what == ("POST", "settings"):
            _change(state, json.loads(await request.read()))
        elif what == ("POST", "reset"):
            state.reset()
        else:
            return NOT_FOUND
    except (TypeError, ValueError) as error:
        return json_reply({"ok": False, "error": str(error)}, 400)
    return json_reply({"ok": True})


def _change(state: EmulatorState, settings: Any) -> None:
    if not isinstance(settings, dict):
        raise ValueError("settings are an object")
    if unknown := settings.keys() - _SETTINGS:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    if "latency_ms" in settings:
        state.latency_ms = float(settings["latency_ms"])
    if "rate_limit" in settings:
        limit = settings["rate_limit"]
        state.rate_limit = None if limit is None else float(limit)
    if "seed" in settings:
        state.chance.seed(int(settings["seed"]))
