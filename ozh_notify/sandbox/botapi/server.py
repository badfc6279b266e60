"""The HTTP server: one handler, one port on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from dataclasses import dataclass

from aiohttp import web

from . import control, methods, params
from .checks import chat_id_of
from .config import Config
from .methods import NAMES, NOT_FOUND, UNAUTHORIZED, Bot
from .replies import Reply, flood
from .rules import SENDING, Rule
from .state import EmulatorState

_PATH = re.compile(r"/bot([^/]*)/([^/]+)/?")
_TOKEN = re.compile(r"[1-9][0-9]*:.+")
_DRIPS = 10


@dataclass(frozen=True)
class Running:
    """A listening server; `stop` ends it at once, with all requests that hang."""

    url: str
    state: EmulatorState
    _runner: web.ServerRunner

    async def stop(self) -> None:
        await self._runner.cleanup()


async def start(config: Config) -> Running:
    """Starts a server in this event loop."""
    state = EmulatorState(config)
    handler = _Handler(state)
    server = web.Server(handler.handle, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", config.port)
    await site.start()
    return Running(f"http://127.0.0.1:{runner.addresses[0][1]}", state, runner)


class _Handler:
    def __init__(self, state: EmulatorState) -> None:
        self.state = state
        name = state.config.username
        self.bots = {token: Bot(int(token.split(":")[0]), name) for token in state.config.tokens}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith("/control/"):
            return _response(await control.answer(self.state, request))
        match = _PATH.fullmatch(path)
        token, method = match.groups() if match else ("", "")
        name = NAMES.get(method.lower(), method)
        with self.state.arrival(name):
            if not _TOKEN.fullmatch(token):
                return self._counted(NOT_FOUND)
            if token not in self.bots:
                return self._counted(UNAUTHORIZED)
            if name not in NAMES.values():
                return self._counted(NOT_FOUND)
            return await self._call(request, self.bots[token], name)

    async def _call(self, request: web.BaseRequest, bot: Bot, name: str) -> web.StreamResponse:
        values = await params.read(request)
        method = name.lower()
        rule = None
        if method in SENDING and self.state.over_rate():
            reply = flood(1)
        else:
            rule = self.state.pick(method, chat_id_of(values))
            reply = self._reply(rule, bot, name, values)
        delay = self.state.latency_ms / 1000 + (rule.seconds if rule and rule.kind.waits else 0)
        if delay > 0:
            await asyncio.sleep(delay)
        return await self._end(request, rule, reply)

    def _reply(self, rule: Rule | None, bot: Bot, name: str, values: params.Params) -> Reply:
        """Delivers, unless the rule says not to; returns the rule's answer if it has one."""
        if rule and not rule.kind.delivers:
            return rule.kind.reply(rule.params) if rule.kind.reply else NOT_FOUND
        reply = methods.call(self.state, bot, name, values)
        return rule.kind.reply(rule.params) if rule and rule.kind.reply else reply

    async def _end(
        self, request: web.BaseRequest, rule: Rule | None, reply: Reply
    ) -> web.StreamResponse:
        ending = rule.kind.ending if rule else "reply"
        if not rule or ending == "reply":
            return self._counted(reply)
        if ending == "close":
            _close_unannounced(request)
            return self._counted(reply)
        if ending == "cut":
            self.state.by_status["cut"] += 1
            _cut(request, bool(rule.params.get("reset")))
        else:
            self.state.by_status[str(reply.status)] += 1
            await _drip(request, reply, rule.seconds)
        return web.Response()  # nobody gets it: the connection is closed

    def _counted(self, reply: Reply) -> web.Response:
        self.state.by_status[str(reply.status)] += 1
        return _response(reply)


def _response(reply: Reply) -> web.Response:
    return web.Response(
        status=reply.status,
        body=reply.body,
        content_type=reply.content_type,
        headers=reply.headers or None,
    )


def _cut(request: web.BaseRequest, reset: bool) -> None:
    """Ends the connection without an answer, by a TCP reset if asked."""
    if (transport := request.transport) is None:
        return
    if reset and (sock := transport.get_extra_info("socket")):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _close_unannounced(request: web.BaseRequest) -> None:
    """Closes the connection right after the answer, whose headers promise to keep it open."""
    if transport := request.transport:
        asyncio.get_running_loop().call_soon(transport.close)


async def _drip(request: web.BaseRequest, reply: Reply, seconds: float) -> None:
    """Sends the answer in small pieces, its headers first and slowest."""
    head = (
        f"HTTP/1.1 {reply.status} OK\r\nContent-Type: {reply.content_type}\r\n"
        f"Content-Length: {len(reply.body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    step = -(-len(head) // _DRIPS)
    for begin in range(0, len(head), step):
        if (transport := request.transport) is None or transport.is_closing():
            return
        transport.write(head[begin : begin + step])
        await asyncio.sleep(seconds / _DRIPS)
    with contextlib.suppress(ConnectionError):
        if transport := request.transport:
            transport.write(reply.body)
            transport.close()
