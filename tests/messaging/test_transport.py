"""Over real sockets: had a request left, which way did it go, and what came back."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from telegram.error import TelegramError

from ozh_notify.config.load import load
from ozh_notify.messaging.connections import IDLE_LIMIT
from ozh_notify.messaging.message import Message
from ozh_notify.messaging.proxy import proxy_for
from ozh_notify.messaging.replies import (
    NoResponse,
    RequestNotSent,
    RequestRefused,
    TooManyRequests,
)
from ozh_notify.messaging.sender import TelegramSender
from ozh_notify.messaging.transport import AiohttpRequest
from ozh_notify.sandbox.botapi.client import BotApiServer
from ozh_notify.sandbox.mongo import free_port
from ozh_notify.users.delivery_state import FailureCause, State
from tests.conftest import PASSWORD, TOKEN, Ozh
from tests.helpers.users import Users, discount_user

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HELLO = Message("hello")


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """A TCP server on 127.0.0.1; its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def request_of(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """One HTTP request: its first line and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.decode().splitlines():
        name, _, value = line.partition(":")
        length = int(value) if name.lower() == "content-length" else length
    return head.decode().splitlines()[0], await reader.readexactly(length)


def http(status: int, body: object) -> bytes:
    """An HTTP response; anything but bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + content


def answering(response: bytes) -> AbstractAsyncContextManager[int]:
    """A server that gives every request the same bytes and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(response)
        await writer.drain()

    return listening(handle)


@asynccontextmanager
async def opened(
    proxy: str | None = None, connections: int = 4, idle_limit: float = IDLE_LIMIT
) -> AsyncIterator[AiohttpRequest]:
    """The transport, ready."""
    chosen = proxy_for("", proxy) if proxy else None
    request = AiohttpRequest(connections, chosen, idle_limit)
    try:
        await request.initialize()
        yield request
    finally:
        await request.shutdown()


async def post(request: AiohttpRequest, url: str) -> Any:
    """One request, as python-telegram-bot makes it; only the token in it is made up."""
    return await request.post(f"{url}/bot{TOKEN}/sendMessage")


async def failure(url: str, proxy: str | None = None) -> TelegramError:
    """The error a request ends with; never one that names the address, which holds the token."""
    async with opened(proxy) as request:
        with pytest.raises(TelegramError) as caught:
            await post(request, url)
    for secret in (TOKEN.partition(":")[2], PASSWORD):
        assert secret not in f"{caught.value!r} {caught.value}"
        assert secret not in repr(caught.value.__cause__)
    return caught.value


# --- never left, or no answer ---


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://nowhere.invalid"]
)
async def test_what_could_not_connect_never_left(url: str) -> None:
    """Refused, or no such name: surely not delivered."""
    assert type(await failure(url)) is RequestNotSent


async def test_what_is_no_tls_never_left() -> None:
    """A handshake that fails comes before the request."""
    async with listening(lambda reader, writer: writer.drain()) as port:
        assert type(await failure(f"https://127.0.0.1:{port}")) is RequestNotSent


async def test_what_waits_for_a_connection_too_long_never_left() -> None:
    """A server that does not accept, one that never ends its handshake, and a full pool."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def pool(url: str) -> None:
        async with opened(connections=1) as request:
            first = asyncio.create_task(post(request, url))
            await asyncio.sleep(0.1)
            with pytest.raises(RequestNotSent):
                await post(request, url)
            first.cancel()
            await asyncio.wait({first})

    with closing(socket.socket()) as deaf, closing(socket.socket()) as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting.setblocking(False)
        waiting.connect_ex(deaf.getsockname())  # the only place in its queue
        async with listening(silent) as port:
            ends = await asyncio.gather(
                failure(f"http://127.0.0.1:{deaf.getsockname()[1]}"),
                failure(f"https://127.0.0.1:{port}"),
                pool(f"http://127.0.0.1:{port}"),
            )
    assert [type(end) for end in ends[:2]] == [RequestNotSent, RequestNotSent]


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a TCP reset."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def test_what_was_cut_off_may_have_been_delivered() -> None:
    """Closed or reset after the request left, before or within the answer."""

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)

    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        reset(writer)

    half = http(200, {"ok": True, "result": True})[:-5]
    for server in (listening(closes), listening(resets), answering(half)):
        async with server as port:
            assert type(await failure(f"http://127.0.0.1:{port}")) is NoResponse


@pytest.mark.parametrize(
    "response",
    [
        http(500, {"ok": False, "error_code": 500, "description": "Internal Server Error"}),
        http(502, b"<html>Bad Gateway</html>"),
        http(403, b"<html>Forbidden by the firewall</html>"),
        http(404, b"[]"),
        http(400, {"description": "no ok"}),
        http(302, b""),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["500", "502", "403 of a firewall", "list", "no ok", "redirect", "no HTTP", "nothing"],
)
async def test_a_reply_without_sense_is_no_answer(response: bytes) -> None:
    """Only Telegram's own refusal says that a message was not delivered."""
    async with answering(response) as port:
        assert type(await failure(f"http://127.0.0.1:{port}")) is NoResponse


@pytest.mark.parametrize("status", [200, 400, 403, 502])
@pytest.mark.parametrize(
    ("code", "text"),
    [
        (400, "Bad Request: chat not found"),
        (402, "Payment Required"),
        (403, "Forbidden: bot was blocked by the user"),
        (406, "Not Acceptable"),
        (409, "Conflict"),
        (413, "Request Entity Too Large"),
        (420, "FROZEN_METHOD_INVALID"),
        (421, "Misdirected Request"),
    ],
)
async def test_a_refusal_counts_by_its_own_code(status: int, code: int, text: str) -> None:
    """A server that says `"ok": false` has not delivered, whatever HTTP status a relay gives."""
    body = {"description": text, "error_code": code, "ok": False}
    async with answering(http(status, body)) as port:
        error = await failure(f"http://127.0.0.1:{port}")
    assert isinstance(error, RequestRefused)
    assert error.code == code
    assert error.message == text


@pytest.mark.parametrize("code", [None, True, "403"])
async def test_a_refusal_without_a_code_counts_by_its_status(code: object) -> None:
    """And without a text of its own it has one that names the code."""
    async with answering(http(403, {"ok": False, "error_code": code})) as port:
        error = await failure(f"http://127.0.0.1:{port}")
    assert isinstance(error, RequestRefused)
    assert (error.code, error.message) == (403, "error 403")


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        ({"retry_after": 7}, 7),
        ({"retry_after": 0.5}, 0.5),
        (None, 5),
        ({}, 5),
        ({"retry_after": -1}, 5),
        ({"retry_after": "soon"}, 5),
        ([], 5),
    ],
)
async def test_a_429_says_how_long_to_wait(parameters: object, seconds: float) -> None:
    """Also one without the parameter: then it is a default."""
    body = {"ok": False, "error_code": 429, "description": "Too Many Requests"}
    if parameters is not None:
        body["parameters"] = parameters
    for status in (429, 200):
        async with answering(http(status, body)) as port:
            error = await failure(f"http://127.0.0.1:{port}")
        assert isinstance(error, TooManyRequests)
        assert error.seconds == seconds


# --- connections that are kept ---

ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" + b'{"ok":true,"result":true}'


class KeepAlive:
    """A server in a thread of its own: keeps connections, or closes them without saying so."""

    def __init__(self, *, closes: bool) -> None:
        self.requests = self.connections = 0
        self._closes = closes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> KeepAlive:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while self._whole_request(connection):
                self.requests += 1
                connection.sendall(ACCEPTED)
                if self._closes:
                    return

    @staticmethod
    def _whole_request(connection: socket.socket) -> bool:
        """Headers and body may come one after the other; False at the end of the stream."""
        received = b""
        while not received.endswith(b"{}"):
            if not (part := connection.recv(65536)):
                return False
            received += part
        return True


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    """The kernel knows it before the event loop does; otherwise the request seems to have left."""
    with KeepAlive(closes=True) as server:
        async with opened() as request:
            for _ in range(20):
                await post(request, server.url)
                time.sleep(0.01)  # noqa: ASYNC251 - the loop must not see the end of stream
    assert (server.requests, server.connections) == (20, 20)


async def test_a_connection_is_kept_for_a_few_seconds_only() -> None:
    """A proxy or firewall in between may forget it without a word."""
    assert IDLE_LIMIT <= 5
    with KeepAlive(closes=False) as server:
        async with opened(idle_limit=0.3) as request:
            for pause in (0.05, 0.5, 0):
                await post(request, server.url)
                await asyncio.sleep(pause)
    assert (server.requests, server.connections) == (3, 2)


async def test_a_server_that_closes_every_new_connection_is_not_asked_for_ever() -> None:
    """The request ends, and it either was not sent or may have been delivered."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def slam() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=slam, daemon=True).start()
        error = await failure(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert isinstance(error, (RequestNotSent, NoResponse))


# --- the way there ---


class Proxy:
    """A tiny HTTP proxy: forwards plain requests, tunnels none, remembers all."""

    def __init__(self, status: int = 200) -> None:
        self.seen: list[str] = []
        self._status = status

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        self.seen.append(line)
        if line.startswith("CONNECT"):
            writer.write(http(self._status, b""))
            return
        length = next((int(h[15:]) for h in headers if h.lower().startswith("content-length")), 0)
        body = await reader.readexactly(length)
        method, url, version = line.split()
        host, _, path = url.removeprefix("http://").partition("/")
        to_reader, to_writer = await asyncio.open_connection(*host.split(":"))
        kept = [h for h in headers if h and not h.lower().startswith(("connection", "proxy-"))]
        lines = [f"{method} /{path} {version}", *kept, "Connection: close", "", ""]
        to_writer.write("\r\n".join(lines).encode() + body)
        writer.write(await to_reader.read())
        to_writer.close()


async def run(ozh: Ozh, *arguments: str, **extra: Any) -> Any:
    """The installed command, while this loop serves it."""
    return await asyncio.to_thread(ozh, *arguments, **extra)


async def test_an_http_proxy_is_used(ozh: Ozh, bot_api: BotApiServer, tmp_path: Path) -> None:
    """`OZH_TELEGRAM_PROXY` wins over `HTTPS_PROXY` and needs no `NO_PROXY`."""
    proxy = Proxy()
    async with listening(proxy) as port:
        mine = f"http://user:{PASSWORD}@127.0.0.1:{port}"
        env = {"OZH_TELEGRAM_PROXY": mine, "HTTP_PROXY": "http://127.0.0.1:1"}
        result = await run(ozh, "discount", "--test-to", "5", **env)
        assert result.code == 0, result.err
        secret = tmp_path / "proxy"
        secret.write_text(mine)
        env = {"OZH_TELEGRAM_PROXY_FILE": str(secret)}
        assert (await run(ozh, "discount", "--test-to", "6", **env)).code == 0
    assert [line.split()[1].rpartition("/")[2] for line in proxy.seen] == [
        *("getMe", "sendMessage") * 2
    ]
    assert [message.chat_id for message in bot_api.control.messages()] == [5, 6]


async def test_the_environments_proxy_is_used_unless_no_proxy_says_otherwise(
    ozh: Ozh, bot_api: BotApiServer
) -> None:
    """As every other program of the machine does."""
    proxy = Proxy()
    async with listening(proxy) as port:
        env = {"HTTP_PROXY": f"http://user:{PASSWORD}@127.0.0.1:{port}"}
        assert (await run(ozh, "discount", "--test-to", "5", **env)).code == 0
        assert len(proxy.seen) == 2
        env["NO_PROXY"] = "example.org,127.0.0.1"
        assert (await run(ozh, "discount", "--test-to", "6", **env)).code == 0
        assert len(proxy.seen) == 2
    assert len(bot_api.control.messages()) == 2


@pytest.mark.parametrize(
    ("environment", "address", "direct"),
    [
        ({"all_proxy": "http://p:1"}, "https://api.telegram.org", False),
        ({"https_proxy": "p:1"}, "https://api.telegram.org", False),
        ({"http_proxy": "p:1"}, "https://api.telegram.org", True),
        ({"all_proxy": "p:1", "no_proxy": "*"}, "https://api.telegram.org", True),
        ({"all_proxy": "p:1", "no_proxy": ".telegram.org"}, "https://api.telegram.org", True),
        (
            {"all_proxy": "p:1", "no_proxy": "api.telegram.org:443"},
            "https://api.telegram.org",
            True,
        ),
        (
            {"all_proxy": "p:1", "no_proxy": "api.telegram.org:80"},
            "https://api.telegram.org",
            False,
        ),
        ({"all_proxy": "p:1", "no_proxy": "10.0.0.0/8, 192.168.0.0/16"}, "http://10.1.2.3", True),
        ({"all_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, "http://11.1.2.3", False),
        ({"all_proxy": "p:1", "no_proxy": "fd00::/8"}, "http://[fd00::1]:8081", True),
        ({"all_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, "https://api.telegram.org", False),
    ],
)
def test_the_environment_says_which_addresses_need_a_proxy(
    environment: dict[str, str], address: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ALL_PROXY` counts, and `NO_PROXY` takes names, ports and networks."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chosen = proxy_for(address)
    assert (chosen is None) is direct
    assert chosen is None or chosen.address == "http://p:1"


@pytest.mark.parametrize(
    ("own", "address"),
    [
        ("socks5h://u:p@h:9", "socks5://u:p@h:9"),
        ("socks5://h", "socks5://h:1080"),
        ("SOCKS5://h:9/", "socks5://h:9/"),
        ("h:3128", "http://h:3128"),
    ],
)
def test_a_proxys_address_is_made_whole(own: str, address: str) -> None:
    """`socks5h` says what socks5 does here anyway: the proxy looks names up."""
    chosen = proxy_for("https://api.telegram.org", own)
    assert chosen
    assert chosen.address == address


@pytest.mark.long
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("value", [f"ftp://user:{PASSWORD}@h:1", "http://", "socks5://h:x"])
def test_a_proxy_that_cannot_be_used_is_named(variable: str, value: str, ozh: Ozh) -> None:
    """By its variable: to send past it in silence is as wrong as to blame the Bot API."""
    extra: dict[str, Any] = {variable: value}
    result = ozh("discount", "--json", **extra)
    assert result.code == 78, result.err
    assert f"{variable} names a proxy that cannot be used" in result.json()["error"]


@pytest.mark.skipif(
    not hasattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED"),
    reason="this aiohttp makes its TLS context only where it connects by TLS",
)
def test_a_key_log_that_cannot_be_opened_is_named(ozh: Ozh) -> None:
    """`SSLKEYLOGFILE` of a colleague's shell: 69 and what failed, not a traceback."""
    result = ozh("discount", "--json", SSLKEYLOGFILE="/nowhere/keys")
    assert result.code == 69, result.err
    assert "/nowhere/keys" in result.json()["error"]
    assert "SSLKEYLOGFILE" in result.json()["error"]
    assert "Traceback" not in result.err
    lines = ozh("check", "--json", SSLKEYLOGFILE="/nowhere/keys").json()["results"]
    [bot] = [line for line in lines if line["subject"] == "bot"]
    assert bot["verdict"] == "problem"
    assert "SSLKEYLOGFILE" in bot["finding"]


@pytest.mark.parametrize("status", [407, 502])
async def test_what_a_proxy_refuses_never_left(status: int) -> None:
    """A tunnel that is not opened has carried nothing."""
    proxy = Proxy(status)
    async with listening(proxy) as port:
        address = f"http://user:{PASSWORD}@127.0.0.1:{port}"
        error = await failure("https://api.telegram.invalid", address)
        assert type(error) is RequestNotSent
        assert proxy.seen[0].startswith("CONNECT api.telegram.invalid:443")


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
@pytest.mark.parametrize("target", ["http://127.0.0.1:2", "https://127.0.0.1:2"])
async def test_what_did_not_reach_its_proxy_never_left(scheme: str, target: str) -> None:
    """A proxy that is down is not the users' fault."""
    proxy = f"{scheme}://user:{PASSWORD}@127.0.0.1:{free_port()}"
    assert type(await failure(target, proxy)) is RequestNotSent


class Socks:
    """A tiny SOCKS5 server (RFC 1928, 1929); refuses a wrong password, or all with ``reply``."""

    def __init__(self, reply: int = 0, password: str = PASSWORD) -> None:
        self.seen: list[str] = []
        self._reply, self._password = reply, password

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly((await reader.readexactly(2))[1])
        writer.write(b"\x05\x02")
        await reader.readexactly((await reader.readexactly(2))[1])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x01" + bytes([password.decode() != self._password]))
        kind = (await reader.readexactly(4))[3]
        size = 4 if kind == 1 else (await reader.readexactly(1))[0]
        address = await reader.readexactly(size)
        host = socket.inet_ntoa(address) if kind == 1 else address.decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.seen.append(host)
        writer.write(b"\x05" + bytes([self._reply]) + b"\x00\x01" + bytes(6))
        if not self._reply:
            to_reader, to_writer = await asyncio.open_connection(host, port)
            await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other."""
    while piece := await reader.read(65536):
        writer.write(piece)
    writer.close()


async def test_a_socks_proxy_is_used_and_resolves_the_name(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """With the extra `socks`; no name of Telegram's is looked up on this machine."""
    users.insert_one(discount_user())
    socks = Socks()
    async with listening(socks) as port:
        result = await run(
            ozh,
            "discount",
            "--json",
            ALL_PROXY=f"socks5h://user:{PASSWORD}@127.0.0.1:{port}",
            OZH_TELEGRAM_API_URL=bot_api.url.replace("127.0.0.1", "localhost"),
        )
    assert result.json()["sent"] == 1, result.err
    assert set(socks.seen) == {"localhost"}


@pytest.mark.parametrize("reply", [1, 4, 5])
async def test_what_a_socks_proxy_refuses_never_left(reply: int) -> None:
    """General failure, host unreachable, connection refused (RFC 1928)."""
    async with listening(Socks(reply)) as port:
        proxy = f"socks5://user:{PASSWORD}@127.0.0.1:{port}"
        assert type(await failure("http://api.telegram.invalid", proxy)) is RequestNotSent


async def test_a_socks_proxys_wrong_password_never_left() -> None:
    """And is not shown."""
    async with listening(Socks(password="another")) as port:
        proxy = f"socks5://user:{PASSWORD}@127.0.0.1:{port}"
        assert type(await failure("http://api.telegram.invalid", proxy)) is RequestNotSent


def test_without_the_extra_a_socks_proxy_is_a_configuration_error(ozh: Ozh, tmp_path: Path) -> None:
    """It says what to install. A module that fails to import stands for one that is not there."""
    (tmp_path / "aiohttp_socks.py").write_text("raise ImportError('not installed')\n")
    result = ozh(
        "discount",
        "--json",
        PYTHONPATH=str(tmp_path),
        OZH_TELEGRAM_PROXY=f"socks5://user:{PASSWORD}@127.0.0.1:1",
    )
    assert result.code == 78, result.err
    assert "pip install 'ozh-notify[socks]'" in result.json()["error"]


# --- the sender, over it ---


@asynccontextmanager
async def sender(tmp_path: Path, url: str, **variables: str) -> AsyncIterator[TelegramSender]:
    """The main bot at an address."""
    file = tmp_path / "empty.env"
    file.touch()
    needed = {"MONGO_URI": "mongodb://h/db", "TELEGRAM_BOT_TOKEN": TOKEN}
    settings, _ = load(file, {**needed, "OZH_TELEGRAM_API_URL": url, **variables})
    bot = TelegramSender(settings)
    try:
        await bot.open()
        yield bot
    finally:
        await bot.close()


@pytest.mark.parametrize(
    ("rule", "state", "blame"),
    [
        ({"do": "blocked"}, State.UNREACHABLE, FailureCause.USER),
        ({"do": "deactivated"}, State.UNREACHABLE, FailureCause.USER),
        ({"do": "cannot_initiate"}, State.UNREACHABLE, FailureCause.CHAT),
        ({"do": "not_found"}, State.UNREACHABLE, FailureCause.CHAT),
        ({"do": "migrated"}, State.UNREACHABLE, FailureCause.CHAT),
        ({"do": "unauthorized"}, State.RETRY, FailureCause.TOKEN),
        ({"do": "flood"}, State.RETRY, FailureCause.FLOOD),
        ({"do": "flood_bare"}, State.RETRY, FailureCause.FLOOD),
        ({"do": "error", "code": 500}, State.UNKNOWN, FailureCause.SERVICE),
        ({"do": "html_error"}, State.UNKNOWN, FailureCause.SERVICE),
        ({"do": "garbage"}, State.UNKNOWN, FailureCause.SERVICE),
        ({"do": "no_result"}, State.UNKNOWN, FailureCause.SERVICE),
        ({"do": "bad_result"}, State.UNKNOWN, FailureCause.SERVICE),
        ({"do": "cut_before"}, State.UNKNOWN, FailureCause.SERVICE),
        ({"do": "cut_after"}, State.UNKNOWN, FailureCause.SERVICE),
        ({"do": "cut_after", "reset": True}, State.UNKNOWN, FailureCause.SERVICE),
        (
            {"do": "error", "code": 400, "description": "Bad Request: message is too long"},
            *(State.REJECTED, FailureCause.CONTENT),
        ),
        (
            {"do": "error", "code": 400, "description": "Bad Request: something new"},
            *(State.REJECTED, FailureCause.BOT),
        ),
        (
            {"do": "error", "code": 400, "description": "Logged out"},
            *(State.REJECTED, FailureCause.BOT),
        ),
        (
            {"do": "error", "code": 420, "description": "FROZEN_METHOD_INVALID"},
            *(State.REJECTED, FailureCause.BOT),
        ),
        (
            {"do": "error", "code": 400, "description": "Bad Request: BALANCE_TOO_LOW"},
            *(State.REJECTED, FailureCause.BOT),
        ),
        *(
            (
                {"do": "error", "code": code, "description": f"code {code}"},
                *(State.REJECTED, FailureCause.BOT),
            )
            for code in (402, 406, 409, 421)
        ),
        (
            {"do": "error", "code": 413, "description": "Request Entity Too Large"},
            *(State.REJECTED, FailureCause.CONTENT),
        ),
        (
            {"do": "error", "code": 403, "status": 200, "description": "Forbidden: x"},
            *(State.UNREACHABLE, FailureCause.USER),
        ),
    ],
    ids=lambda value: str(value.get("description", value["do"])) if isinstance(value, dict) else "",
)
async def test_every_ending_of_a_send_is_an_outcome(
    rule: dict[str, Any], state: State, blame: FailureCause, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """Expected endings are values; only what surely was not delivered may be sent again."""
    bot_api.control.rules([rule])
    async with sender(tmp_path, bot_api.url) as bot:
        outcome = await bot.send(5, HELLO)
    assert (outcome.state, outcome.cause) == (state, blame)
    assert outcome.error
    assert outcome.message_id is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((400, "Logged out"), ("logged out of the Bot API server at", "OZH_TELEGRAM_API_URL")),
        ((420, "FROZEN_METHOD_INVALID"), ("Telegram refuses this bot", "FROZEN_METHOD_INVALID")),
        ((401, "Unauthorized"), ("Telegram rejects this token",)),
        ((404, "Not Found"), ("TELEGRAM_BOT_TOKEN or OZH_TELEGRAM_API_URL", "404")),
    ],
)
def test_a_refusal_of_get_me_says_what_it_means(
    answer: tuple[int, str], words: tuple[str, ...], ozh: Ozh, bot_api: BotApiServer
) -> None:
    """78 and what to look at; a 404 may be the address as well as the token."""
    code, text = answer
    rule = {"do": "error", "method": "getMe", "code": code, "description": text}
    bot_api.control.rules([rule])
    result = ozh("discount", "--json")
    assert result.code == 78, result.err
    for word in words:
        assert word in result.json()["error"]


async def test_a_delivered_message_is_known_by_its_id(
    bot_api: BotApiServer, tmp_path: Path
) -> None:
    """Each send's own, also of two at a time."""
    async with sender(tmp_path, bot_api.url) as bot:
        outcomes = await asyncio.gather(*(bot.send(chat, HELLO) for chat in range(1, 20)))
    ids = {message.chat_id: message.message_id for message in bot_api.control.messages()}
    assert [outcome.message_id for outcome in outcomes] == [ids[chat] for chat in range(1, 20)]


async def test_a_request_that_is_not_allowed_any_more_never_leaves(
    bot_api: BotApiServer, tmp_path: Path
) -> None:
    """The process was frozen after its own checks: on a new connection and on an open one."""
    asked = []

    def too_late() -> bool:
        asked.append(1)
        return False

    async with sender(tmp_path, bot_api.url) as bot:
        for delivered in range(3):
            assert len(bot_api.control.messages()) == delivered
            outcome = await bot.send(5, HELLO, too_late)
            assert (outcome.state, outcome.cause) == (State.RETRY, FailureCause.SERVICE)
            assert "too old" in outcome.error
            assert (await bot.send(5, HELLO, lambda: True)).state is State.SENT
    assert len(asked) == 3
    assert len(bot_api.control.messages()) == 3


async def test_a_self_hosted_server_may_have_a_path(bot_api: BotApiServer, tmp_path: Path) -> None:
    """As behind a reverse proxy, here one that serves it below /telegram/api."""
    paths = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _ = await request_of(reader)
        paths.append(line.split()[1].replace(TOKEN, "TOKEN"))
        me = {"id": 987654321, "is_bot": True, "first_name": "x", "username": "x_bot"}
        result = me if paths[-1].endswith("getMe") else {"message_id": 8}
        writer.write(http(200, {"ok": True, "result": result}))
        await writer.drain()

    async with listening(handle) as port:
        url = f"http://127.0.0.1:{port}/telegram/api/"
        async with sender(tmp_path, url) as bot:
            assert (await bot.send(5, HELLO)).message_id == 8
    assert paths == ["/telegram/api/botTOKEN/getMe", "/telegram/api/botTOKEN/sendMessage"]


@pytest.mark.parametrize(("value", "paid"), [("True", True), ("False", False)])
async def test_paid_broadcast_is_asked_for_only_where_it_is_set(
    value: str, paid: bool, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """Nobody's Stars are spent unasked."""
    async with sender(tmp_path, bot_api.url, OZH_PAID_BROADCAST=value) as bot:
        await bot.send(5, HELLO)
    assert [m.allow_paid_broadcast for m in bot_api.control.messages()] == [paid]
