"""No HTTP client at all: the same bytes over and over; what the Bot API itself can do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import uvloop
from clocked import TEXT, TOKEN, chats, clocked, options


class Client(asyncio.Protocol):
    """One connection: sends the next request as soon as the last one is answered."""

    def __init__(self, request: bytes, left: Iterator[int], done: asyncio.Future[None]) -> None:
        self._request, self._left, self._done = request, left, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        if next(self._left, None) is not None:
            self._transport.write(self._request)
        elif not self._done.done():
            self._done.set_result(None)


async def main() -> None:
    """Send to all; an answer fits into one segment here."""
    parts = urlsplit(asked.url)
    body = json.dumps({"chat_id": 1000, "text": TEXT, "parse_mode": "HTML"}).encode()
    head = (
        f"POST /bot{TOKEN}/sendMessage HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    loop, left = asyncio.get_running_loop(), chats(asked.count)

    async def work() -> None:
        ends = [loop.create_future() for _ in range(asked.connections)]
        for end in ends:
            await loop.create_connection(
                lambda end=end: Client(head.encode() + body, left, end), parts.hostname, parts.port
            )
        await asyncio.gather(*ends)

    await clocked(asked.count, work)


if __name__ == "__main__":
    asked = options()
    uvloop.run(main())
