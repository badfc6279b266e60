"""python-telegram-bot's ``BaseRequest`` over aiohttp (``docs/decisions/0005-transport.md``).

It knows what the library does not tell: whether a failed request had left the machine, and which
status came back. Its errors carry no URL, because a URL of the Bot API holds the token.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from telegram.error import TelegramError
from telegram.request import BaseRequest, RequestData

from ozh_notify.config.settings import SEND_LIMIT
from ozh_notify.messaging.connections import IDLE_LIMIT, ClosedByPeer, aiohttp, connector
from ozh_notify.messaging.proxy import ChosenProxy
from ozh_notify.messaging.replies import NoResponse, RequestNotSent, check_reply

CONNECT_LIMIT = 5.0
"""Seconds to connect, name lookup and TLS included."""

NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, ClosedByPeer)
"""aiohttp's errors that come before a request leaves."""

message_id: ContextVar[int | None] = ContextVar("message_id", default=None)
"""Telegram's id of the message that this task has just sent; None if the reply had no id."""

still_allowed: ContextVar[Callable[[], bool]] = ContextVar("still_allowed", default=lambda: True)
"""Whether this task's request may still go out; asked when nothing but the write is left to do."""


class CheckedBody(aiohttp.BytesPayload):
    """A body that is written only while its request may still go out.

    A process can be frozen (SIGSTOP, a suspended machine) between any two of its steps. This check
    is the last one before the request leaves.
    """

    is_withheld = False

    async def write(self, writer: Any) -> None:
        """Write all of it; aiohttp before 3.12 calls this one."""
        self._check()
        await super().write(writer)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """Write all of it."""
        self._check()
        await super().write_with_length(writer, content_length)

    def _check(self) -> None:
        self.is_withheld = not still_allowed.get()()
        if self.is_withheld:
            raise ConnectionAbortedError("the claim has become too old to send")


class AiohttpRequest(BaseRequest):
    """HTTP for ``telegram.Bot``: one session, at most ``connections`` requests at a time."""

    def __init__(
        self, connections: int, proxy: ChosenProxy | None = None, idle_limit: float = IDLE_LIMIT
    ) -> None:
        self._connections, self._proxy, self._idle_limit = connections, proxy, idle_limit
        self._session: aiohttp.ClientSession | None = None
        self._proxy_errors: tuple[type[Exception], ...] = ()
        """Errors of a SOCKS proxy; they come before the request leaves."""

    @property
    def read_timeout(self) -> float | None:
        """Seconds, the whole request included."""
        return SEND_LIMIT.total_seconds()

    async def initialize(self) -> None:
        """Open the session once; the library asks for it twice."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(
                total=SEND_LIMIT.total_seconds(), connect=CONNECT_LIMIT, sock_connect=CONNECT_LIMIT
            )
            made, self._proxy_errors = connector(self._connections, self._proxy, self._idle_limit)
            self._session = aiohttp.ClientSession(
                connector=made,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
            )

    async def shutdown(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *_: Any, **__: Any
    ) -> tuple[int, bytes]:
        """One request; the library's own time limits are replaced by this class's.

        Raises:
            RequestNotSent, NoResponse, RequestRefused, TooManyRequests: see `replies`.
        """
        assert self._session is not None, "initialize() comes first"  # noqa: S101
        # As a payload, so that aiohttp does not have to guess its type and how to send it.
        text = json.dumps(request_data.parameters if request_data else {})
        body = CheckedBody(text.encode(), content_type="application/json")
        proxy = self._proxy.address if self._proxy and not self._proxy.is_socks else None
        try:
            async with self._session.request(
                method, url, data=body, proxy=proxy, allow_redirects=False
            ) as response:
                return response.status, check_reply(response.status, await response.read())
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            ClosedByPeer,
        ) as error:
            raise RequestNotSent(_error_kind(error)) from None
        except aiohttp.ClientHttpProxyError as error:
            raise RequestNotSent(f"the proxy answered {error.status}") from None
        except self._proxy_errors as error:
            raise RequestNotSent(f"the proxy failed: {_error_kind(error)}") from None
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            if body.is_withheld:
                raise RequestNotSent("the claim was too old to send") from None
            raise NoResponse(_error_kind(error)) from None

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        """A reply; of a message only its id, because the program keeps nothing else.

        The library's own method would log a senseless reply, and build a ``Message`` of 170
        attributes, which takes a fifth of the time of a pass.
        """
        try:
            reply = json.loads(payload)
        except ValueError:
            raise TelegramError("Invalid server response") from None
        sent = reply.get("result") if isinstance(reply, dict) else None
        if isinstance(sent, dict) and isinstance(sent.get("message_id"), int):
            message_id.set(sent["message_id"])
            return {"result": True}
        return reply


def _error_kind(error: BaseException) -> str:
    """The kind of an error without its text, which may hold the URL and so the token."""
    cause = getattr(error, "os_error", None)
    kind = type(error).__name__
    return f"{kind}: {cause.strerror}" if cause is not None and cause.strerror else kind
