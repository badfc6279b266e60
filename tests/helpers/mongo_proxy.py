"""A proxy before a MongoDB server, which fails commands by the collection they are for.

A server's own ``failCommand`` knows the command; not every server knows the collection. Here each
command of the wire protocol (``OP_MSG``) is read, and a rule says what becomes of it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import bson

HEADER = struct.Struct("<iiii")
OP_MSG = 2013


@dataclass
class Rule:
    """What becomes of matching commands.

    `refuse`: the server does not see it, the answer is an error with ``code``. `cut`: it does not
    see it, and the connection is closed. `lose`: it is applied, and the connection is closed
    instead of an answer. `slow`: it waits ``seconds`` first.
    """

    command: str
    collection: str
    do: Literal["refuse", "cut", "lose", "slow"]
    seconds: float = 0.0
    code: int = 0
    skip: int = 0
    times: float = float("inf")
    about: bytes = b""
    """Only commands that hold these bytes, such as a field's name."""
    met: int = 0
    """Matching commands so far, the skipped ones too."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def takes(self, command: dict[str, Any], raw: bytes) -> bool:
        """Whether this command is one to spoil."""
        name = next(iter(command))
        if (name, command[name]) != (self.command, self.collection) or self.about not in raw:
            return False
        with self._lock:
            self.met += 1
            return self.skip < self.met <= self.skip + self.times


class MongoProxy:
    """Listens on 127.0.0.1 and passes on to the server; ``rules`` may change at any time."""

    def __init__(self, uri: str) -> None:
        address = urlsplit(uri)
        self._server = (address.hostname or "127.0.0.1", address.port or 27017)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/?directConnection=true"
        self.rules: Sequence[Rule] = ()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._server) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while request := _message(client):
                rule = self._rule(request)
                if rule and rule.do == "slow":
                    time.sleep(rule.seconds)
                if rule and rule.do == "cut":
                    return
                if rule and rule.do == "refuse":
                    client.sendall(_refusal(request, rule.code))
                    continue
                server.sendall(request)
                reply = _message(server)
                if rule and rule.do == "lose":
                    return
                client.sendall(reply)

    def _rule(self, request: bytes) -> Rule | None:
        if HEADER.unpack_from(request)[3] != OP_MSG or request[20] != 0:
            return None
        [size] = struct.unpack_from("<i", request, 21)
        command = bson.decode(request[21 : 21 + size])
        return next((rule for rule in self.rules if rule.takes(command, request)), None)


@contextmanager
def proxy(uri: str) -> Iterator[MongoProxy]:
    """A proxy before the server at ``uri``, while the block lasts."""
    made = MongoProxy(uri)
    try:
        yield made
    finally:
        made.close()


def _message(end: socket.socket) -> bytes:
    """One whole message; empty where the connection is closed."""
    head = _exactly(end, HEADER.size)
    return head + _exactly(end, HEADER.unpack(head)[0] - HEADER.size) if head else b""


def _exactly(end: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        some = end.recv(count - len(found))
        if not some:
            return b""
        found += some
    return bytes(found)


def _refusal(request: bytes, code: int) -> bytes:
    body = bson.encode({"ok": 0.0, "code": code, "errmsg": f"the proxy refuses this ({code})"})
    asked = HEADER.unpack_from(request)[1]
    return HEADER.pack(HEADER.size + 5 + len(body), 0, asked, OP_MSG) + bytes(5) + body
