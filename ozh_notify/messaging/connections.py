"""Connections to the Bot API, straight or through a proxy; none that its peer has closed."""

from __future__ import annotations

import socket
from typing import Any
from weakref import WeakSet

from ozh_notify.errors import ConfigError, Unavailable
from ozh_notify.messaging.proxy import ChosenProxy

try:
    import aiohttp
except OSError as error:  # it makes a TLS context as it is imported: SSLKEYLOGFILE, certificates
    raise Unavailable(
        f"TLS cannot be used: {error}; look at SSLKEYLOGFILE and SSL_CERT_FILE in the environment"
    ) from None

__all__ = ["IDLE_LIMIT", "ClosedByPeer", "aiohttp", "connector"]

IDLE_LIMIT = 3.0
"""Seconds for which an unused connection is kept. The Bot API's own server keeps one for 500 s
(``HttpServer.h`` of tdlib/telegram-bot-api), nginx before it for 75 s by default, a load balancer
or NAT in between perhaps for a few: a request on a connection that is gone may count as sent."""

_ESTABLISHED = 1
"""The first byte of Linux's ``TCP_INFO`` on a connection that neither side has closed."""


class ClosedByPeer(aiohttp.ClientConnectionError):
    """The server closed a new connection before a request was written."""


class CheckedConnector(aiohttp.TCPConnector):
    """Asks the kernel, before a request is written, whether the server has closed a connection.

    The event loop may learn of it a moment later, and then the request would seem to have left.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._known: WeakSet[Any] = WeakSet()

    async def connect(self, *arguments: Any, **named: Any) -> Any:
        """A connection that is open; raises ClosedByPeer where a new one is not."""
        while True:
            connection = await super().connect(*arguments, **named)
            if not is_closed(connection.transport):
                self._known.add(connection.protocol)
                return connection
            is_new = connection.protocol not in self._known
            connection.close()
            if is_new:
                raise ClosedByPeer


def is_closed(transport: Any) -> bool:
    """Whether the kernel knows that a connection is closed; False where it cannot be asked."""
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        info: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except OSError:
        return True
    return info[0] != _ESTABLISHED


def connector(
    limit: int, proxy: ChosenProxy | None, idle_limit: float
) -> tuple[aiohttp.TCPConnector, tuple[type[Exception], ...]]:
    """A connector for at most ``limit`` connections, and the errors of its SOCKS proxy.

    Raises:
        ConfigError: a SOCKS proxy, and the extra ``socks`` is not installed.
    """
    if proxy is None or not proxy.is_socks:
        return CheckedConnector(limit=limit, keepalive_timeout=idle_limit), ()
    try:
        from aiohttp_socks import (  # noqa: PLC0415 - an extra
            ProxyConnectionError,
            ProxyConnector,
            ProxyError,
            ProxyTimeoutError,
        )
    except ImportError:
        raise ConfigError(
            f"{proxy.variable}: a SOCKS proxy needs the extra: pip install 'ozh-notify[socks]'"
        ) from None

    class CheckedProxyConnector(CheckedConnector, ProxyConnector):
        """Both: through the proxy, and checked before each request."""

    made = CheckedProxyConnector.from_url(proxy.address, limit=limit, keepalive_timeout=idle_limit)
    return made, (ProxyError, ProxyConnectionError, ProxyTimeoutError)
