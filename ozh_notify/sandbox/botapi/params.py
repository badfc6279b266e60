"""Reads the parameters of a request from its query, form, JSON or multipart body.

The Bot API server reads all of them as strings; a JSON value that is not a string counts as its
JSON text (``HttpReader::parse_json_parameters`` in tdlib/td). The query wins over the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web

Params = Mapping[str, str]


async def read(request: web.BaseRequest) -> Params:
    """Never fails: a body that cannot be read has no parameters, as on Telegram's side."""
    kind = request.content_type if request.can_read_body else ""
    if kind == "application/json":
        params = _from_json(await request.read())
    elif kind == "application/x-www-form-urlencoded":
        text = (await request.read()).decode("utf-8", "replace")
        params = dict(parse_qsl(text, keep_blank_values=True))
    elif kind == "multipart/form-data":
        params = await _from_multipart(request)
    else:
        params = {}
    return {**params, **request.query} if request.query_string else params


def _from_json(body: bytes) -> dict[str, str]:
    try:
        values = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


async def _from_multipart(request: web.BaseRequest) -> dict[str, str]:
    """A file is represented by its name; only its presence matters here."""
    try:
        form = await request.post()
    except ValueError:
        return {}
    return {
        k: v if isinstance(v, str) else (getattr(v, "filename", "") or "file")
        for k, v in form.items()
    }
