"""The leanest Bot API that answers after a set latency: its own process, so as not to be the limit.

Unlike the emulator of the tests it checks nothing. ``GET /times`` returns when each message came,
and forgets them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import time
from array import array
from typing import cast

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHAT = re.compile(rb'chat_id(?:=|"\r\n\r\n|" *: *"?)(\d+)')
ME = b'{"ok":true,"result":{"id":1,"is_bot":true,"first_name":"bench","username":"bench_bot"}}'
SENT = (
    b'{"ok":true,"result":{"message_id":%d,"from":{"id":1,"is_bot":true,"first_name":"bench",'
    b'"username":"bench_bot"},"chat":{"id":%s,"first_name":"A","type":"private"},'
    b'"date":1790000000,"text":"hello"}}'
)
PHOTO = SENT.replace(
    b'"text":"hello"',
    b'"caption":"hello","photo":[{"file_id":"AgAD","file_unique_id":"AQAD","width":90,'
    b'"height":90,"file_size":1}]',
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class BotApi(asyncio.Protocol):
    """One connection; requests are answered in order, each ``latency`` seconds after it came."""

    latency = 0.05
    times: array[float] = array("d")

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = LENGTH.search(head)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/times":
            self._write(json.dumps(list(self.times)).encode())
            del self.times[:]
        elif path.lower().endswith(b"getme"):
            self._write(ME)
        else:
            self.times.append(time.time())
            chat = CHAT.search(body) or CHAT.search(path)
            form = PHOTO if path.lower().endswith(b"sendphoto") else SENT
            reply = form % (len(self.times), chat[1] if chat else b"1")
            asyncio.get_running_loop().call_later(self.latency, self._write, reply)

    def _write(self, payload: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(HEAD % len(payload) + payload)


async def serve(port: int) -> None:
    """Listen on 127.0.0.1 until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(BotApi, "127.0.0.1", port, backlog=1024)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=50)
    options = parser.parse_args()
    BotApi.latency = options.latency_ms / 1000
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port))
