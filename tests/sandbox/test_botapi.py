"""The Bot API emulator: a real process, asked over real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import Forbidden, RetryAfter

from ozh_notify.sandbox.botapi import links
from ozh_notify.sandbox.botapi.client import BotApiServer, run
from ozh_notify.sandbox.botapi.config import Config
from ozh_notify.sandbox.botapi.server import start

Answer = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module")
def process() -> Iterator[BotApiServer]:
    with run() as server:
        yield server


@pytest.fixture
def server(process: BotApiServer) -> BotApiServer:
    process.control.reset()
    return process


def exchange(server: BotApiServer, path: str, payload: object = None) -> tuple[int, bytes]:
    """One request over a connection of its own; what goes wrong is raised as it is."""
    address = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(payload), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(server: BotApiServer, method: str, token: str | None = None, **params: Any) -> Answer:
    """One call of the Bot API."""
    status, body = exchange(server, f"/bot{token or server.token}/{method}", params)
    return status, json.loads(body)


def send(server: BotApiServer, chat_id: object = 5, text: object = "hi", **params: Any) -> Answer:
    return ask(server, "sendMessage", chat_id=chat_id, text=text, **params)


def description(reply: Answer) -> str:
    return str(reply[1]["description"])


def delivered_chats(server: BotApiServer) -> list[int]:
    return [message.chat_id for message in server.control.messages()]


# --- methods ---


def test_get_me_names_the_bot_of_the_token(server: BotApiServer) -> None:
    """The id is the token's; method names are not case sensitive."""
    status, body = ask(server, "GETME")
    assert status == 200
    assert body["result"]["id"] == 123456
    assert body["result"]["username"] == "ozhivlyator_demo_bot"


@pytest.mark.parametrize(
    ("token", "status", "text"),
    [("654321:AAA", 401, "Unauthorized"), ("nonsense", 404, "Not Found"), (":", 404, "Not Found")],
)
def test_a_wrong_token_is_refused_as_telegram_does(
    server: BotApiServer, token: str, status: int, text: str
) -> None:
    """An unknown token is 401, one that is none at all is 404."""
    expected = {"ok": False, "error_code": status, "description": text}
    assert ask(server, "getMe", token) == (status, expected)


def test_an_unknown_method_or_path_is_not_found(server: BotApiServer) -> None:
    """404, in JSON all the same."""
    assert description(ask(server, "sendMassage")) == "Not Found"
    assert exchange(server, "/")[0] == 404


def test_a_message_is_delivered_recorded_and_answered(server: BotApiServer) -> None:
    """The answer has Telegram's shape, the record what a test wants to know."""
    markup = {"inline_keyboard": [[{"text": "Buy", "callback_data": "buy"}]]}
    before = time.time()
    status, body = send(
        server, "7", " <b>ж</b> ", parse_mode="HTML", reply_markup=markup, allow_paid_broadcast=True
    )
    result, [message] = body["result"], server.control.messages()
    assert status == 200
    assert result["chat"] == {"id": 7, "type": "private", "first_name": "User 7"}
    assert (result["text"], result["reply_markup"]) == ("ж", markup)
    assert result["from"]["is_bot"]
    assert result["message_id"] == message.message_id
    assert (message.chat_id, message.method, message.text) == (7, "sendMessage", "ж")
    assert (message.raw_text, message.reply_markup) == (" <b>ж</b> ", markup)
    assert message.allow_paid_broadcast
    assert before <= message.time <= time.time()


def test_message_ids_are_unique_and_messages_can_be_asked_for_since_one(
    server: BotApiServer,
) -> None:
    """Also after a reset no id comes twice."""
    first = send(server)[1]["result"]["message_id"]
    server.control.reset()
    second, third = (send(server)[1]["result"]["message_id"] for _ in range(2))
    assert first < second < third
    assert [m.message_id for m in server.control.messages(after=second)] == [third]


async def test_parameters_come_by_query_form_json_or_multipart(server: BotApiServer) -> None:
    """All four ways of the Bot API, by GET and by POST."""
    url = f"{server.url}/bot{server.token}/sendMessage"
    values = {"chat_id": "5", "text": "ж & 1"}
    multipart = aiohttp.FormData(values)
    multipart.add_field("extra", b"x", filename="x.bin")
    async with aiohttp.ClientSession() as session:
        for call in (
            session.get(url, params=values),
            session.post(url, data=values),
            session.post(url, json=values | {"chat_id": 5}),
            session.post(url, data=multipart),
        ):
            async with call as response:
                assert response.status == 200
    assert [m.text for m in server.control.messages()] == ["ж & 1"] * 4


async def test_a_photo_needs_a_photo_and_keeps_to_the_caption_limit(server: BotApiServer) -> None:
    """A file, a URL or a file id; the caption is checked like a text, but may be empty."""
    url = f"{server.url}/bot{server.token}/sendPhoto"
    form = aiohttp.FormData({"chat_id": "5", "caption": "<i>c</i>", "parse_mode": "html"})
    form.add_field("photo", b"\x89PNG", filename="p.png")
    async with aiohttp.ClientSession() as session, session.post(url, data=form) as response:
        assert (await response.json())["result"]["caption"] == "c"
    assert ask(server, "sendPhoto", chat_id=5, photo="https://a.example/p.png")[0] == 200
    assert "there is no photo" in description(ask(server, "sendPhoto", chat_id=5))
    long = ask(server, "sendPhoto", chat_id=5, photo="x", caption="x" * 1025)
    assert description(long) == "Bad Request: message caption is too long"


# --- checks ---


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"chat_id": ""}, "chat_id is empty"),
        ({"chat_id": 0}, "chat not found"),
        ({"chat_id": -5}, "chat not found"),
        ({"chat_id": "five"}, "chat not found"),
        ({"chat_id": 1.5}, "chat not found"),
        ({"chat_id": 1 << 52}, "chat not found"),
        ({"text": ""}, "message text is empty"),
        ({"text": " \n\u200b"}, "text must be non-empty"),
        ({"text": "<b> </b>", "parse_mode": "HTML"}, "text must be non-empty"),
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "x" * 32769}, "text is too long"),
        (
            {"text": "<x>", "parse_mode": "HTML"},
            'can\'t parse entities: Unsupported start tag "x" at byte offset 0',
        ),
        ({"parse_mode": "BBCode"}, "unsupported parse_mode"),
    ],
)
def test_a_bad_message_is_refused_in_telegrams_words(
    server: BotApiServer, params: dict[str, Any], text: str
) -> None:
    """400, the very description Telegram gives, and nothing delivered."""
    status, body = send(server, **params)
    assert (status, body["description"]) == (400, f"Bad Request: {text}")
    assert delivered_chats(server) == []


def test_the_limit_counts_characters_after_entities(server: BotApiServer) -> None:
    """Markup is free, and an emoji is one character."""
    assert send(server, text=f"<b>{'😀' * 4096}</b>", parse_mode="html")[0] == 200


BUTTON = "can't parse inline keyboard button: "


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("{", "can't parse reply keyboard markup JSON object"),
        ([], "object expected as reply markup"),
        ({"inline_keyboard": {}}, 'field "inline_keyboard" must be of type Array'),
        ({"keyboard": ["x"]}, 'field "keyboard" must be an Array of Arrays'),
        (
            {"inline_keyboard": [{}]},
            'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays',
        ),
        ({"inline_keyboard": [["x"]]}, BUTTON + "InlineKeyboardButton must be an Object"),
        ({"inline_keyboard": [[{}]]}, BUTTON + 'Can\'t find field "text"'),
        (
            {"inline_keyboard": [[{"text": [], "url": "a.example"}]]},
            BUTTON + 'Field "text" must be of type String',
        ),
        (
            {"inline_keyboard": [[{"text": "x", "callback_data": ""}]]},
            BUTTON + "Text buttons are unallowed in the inline keyboard",
        ),
        (
            {"inline_keyboard": [[{"text": "", "callback_data": "x"}]]},
            "inline keyboard button text must be non-empty",
        ),
        (
            {"inline_keyboard": [[{"text": "x", "callback_data": "ж" * 33}]]},
            "BUTTON_DATA_INVALID",
        ),
        (
            {"inline_keyboard": [[{"text": "x", "url": "http://localhost"}]]},
            "inline keyboard button URL 'http://localhost' is invalid: Wrong HTTP URL",
        ),
    ],
)
def test_a_bad_button_is_refused_in_telegrams_words(
    server: BotApiServer, markup: object, text: str
) -> None:
    """Every shape of keyboard Telegram refuses."""
    assert description(send(server, reply_markup=markup)) == f"Bad Request: {text}"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://t.me/x?start=1", None),
        ("t.me/x", None),
        ("tg://resolve?domain=x", None),
        ("tg:resolve", None),
        ("https://пример.рф:8443/ж", None),
        ("http://u:p@a.example", None),
        ("http://[::1]/", None),
        ("ftp://a.example", "Unsupported URL protocol"),
        ("https://a.example:x", "Wrong port number specified in the URL"),
        ("https:///x", "URL host is empty"),
        ("https://.", "Host is invalid"),
        ("https://a b.example", "Disallowed character in URL host"),
        ("https://a%zz.example", "Wrong percent-encoded symbol in URL host"),
        ("https://a b@a.example", "Disallowed character in URL userinfo"),
        ("http://[1]", "Wrong IPv6 address specified in the URL"),
        ("tg://http://x", "Wrong tg URL"),
        ("tg://a.b", "Unallowed characters in URL host"),
    ],
)
def test_urls_of_buttons_are_judged_as_telegram_does(url: str, problem: str | None) -> None:
    """None for a good one, or the reason that TDLib gives."""
    assert links.problem(url) == problem


# --- rules ---


@pytest.mark.parametrize(
    ("rule", "status", "body"),
    [
        ({"do": "blocked"}, 403, "Forbidden: bot was blocked by the user"),
        ({"do": "deactivated"}, 403, "Forbidden: user is deactivated"),
        ({"do": "cannot_initiate"}, 403, "Forbidden: bot can't initiate conversation with a user"),
        ({"do": "not_found"}, 400, "Bad Request: chat not found"),
        ({"do": "migrated"}, 400, "Bad Request: group chat was upgraded to a supergroup chat"),
        ({"do": "flood", "retry_after": 9}, 429, "Too Many Requests: retry after 9"),
        ({"do": "flood_bare"}, 429, "Too Many Requests"),
        ({"do": "unauthorized"}, 401, "Unauthorized"),
        ({"do": "error", "code": 500, "description": "Internal: x"}, 500, "Internal: x"),
    ],
)
def test_an_error_rule_answers_as_telegram_and_delivers_nothing(
    server: BotApiServer, rule: dict[str, Any], status: int, body: str
) -> None:
    """Code and description are Telegram's."""
    server.control.rules([rule])
    reply = send(server)
    assert (reply[0], reply[1]["error_code"], description(reply)) == (status, status, body)
    assert delivered_chats(server) == []


def test_parameters_come_with_flood_and_migration_only(server: BotApiServer) -> None:
    """A bare 429 has none."""
    server.control.rules(
        [
            {"do": "flood", "retry_after": 9, "chat_id": 1},
            {"do": "migrated", "migrate_to_chat_id": -8, "chat_id": 2},
            {"do": "flood_bare"},
        ]
    )
    assert send(server, 1)[1]["parameters"] == {"retry_after": 9}
    assert send(server, 2)[1]["parameters"] == {"migrate_to_chat_id": -8}
    assert "parameters" not in send(server, 3)[1]


@pytest.mark.parametrize(
    ("rule", "status", "delivered"),
    [
        ({"do": "garbage"}, 200, [5]),
        ({"do": "garbage_undelivered"}, 200, []),
        ({"do": "html_error", "code": 502}, 502, []),
    ],
)
async def test_a_body_that_is_no_json_can_come_with_any_status(
    server: BotApiServer, rule: dict[str, Any], status: int, delivered: list[int]
) -> None:
    """Whether the message arrived is the rule's business."""
    server.control.rules([rule])
    got, body = await post(server)
    assert got == status
    assert body.startswith(b"<")
    assert delivered_chats(server) == delivered


@pytest.mark.parametrize(
    ("kind", "body"),
    [("no_result", {"ok": True}), ("bad_result", {"ok": True, "result": True})],
)
def test_a_result_can_be_missing_or_nonsense(
    server: BotApiServer, kind: str, body: dict[str, Any]
) -> None:
    """200 and JSON, but no message in it; delivered all the same."""
    server.control.rules([{"do": kind}])
    assert send(server) == (200, body)
    assert delivered_chats(server) == [5]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("kind", "delivered"),
    [("cut_before", []), ("cut_after", [5]), ("hang_before", []), ("hang_after", [5])],
)
def test_a_connection_can_be_cut_before_or_after_delivery(
    server: BotApiServer, kind: str, delivered: list[int], reset: bool
) -> None:
    """No byte of an answer; with ``reset`` the peer sees a TCP reset."""
    server.control.rules([{"do": kind, "seconds": 0.05, "reset": reset}])
    expected = ConnectionResetError if reset else http.client.RemoteDisconnected
    with pytest.raises(ConnectionResetError) as caught:
        send(server)
    assert type(caught.value) is expected
    assert delivered_chats(server) == delivered
    assert server.control.requests()["by_status"] == {"cut": 1}


async def post(server: BotApiServer, chat_id: int = 5, timeout: float = 5) -> tuple[int, bytes]:
    url = f"{server.url}/bot{server.token}/sendMessage"
    limit = aiohttp.ClientTimeout(timeout)
    async with (
        aiohttp.ClientSession(timeout=limit) as session,
        session.post(url, data={"chat_id": chat_id, "text": "x"}) as response,
    ):
        return response.status, await response.read()


@pytest.mark.parametrize("kind", ["slow", "slow_headers"])
async def test_a_slow_answer_is_delivered_at_once_and_delays_nobody_else(
    server: BotApiServer, kind: str
) -> None:
    """The record is there, and others are served, while the slow one still waits."""
    server.control.rules([{"do": kind, "seconds": 0.5, "chat_id": 1}])
    began = time.monotonic()
    slow = asyncio.create_task(post(server, 1))
    await asyncio.sleep(0.1)
    assert (await post(server, 2))[0] == 200
    assert time.monotonic() - began < 0.4
    assert delivered_chats(server) == [1, 2]
    status, body = await slow
    assert time.monotonic() - began >= 0.5
    assert (status, json.loads(body)["result"]["chat"]["id"]) == (200, 1)
    assert server.control.requests()["max_in_flight"] == 2


async def test_a_client_that_gives_up_is_no_longer_in_flight(server: BotApiServer) -> None:
    """So ``max_in_flight`` counts what a sender really had under way."""
    server.control.rules([{"do": "hang_after", "seconds": 60, "times": 1}])
    with pytest.raises(asyncio.TimeoutError):
        await post(server, timeout=0.1)
    await asyncio.sleep(0.1)
    await post(server)
    assert server.control.requests()["max_in_flight"] == 1
    assert delivered_chats(server) == [5, 5]


@pytest.mark.parametrize(
    ("rule", "statuses"),
    [
        ({"times": 2}, [403, 403, 200, 200, 200, 200]),
        ({"skip": 2}, [200, 200, 403, 403, 403, 403]),
        ({"every": 3}, [200, 200, 403, 200, 200, 403]),
        ({"skip": 1, "every": 2, "times": 1}, [200, 200, 403, 200, 200, 200]),
        ({"chat_id": 2}, [200, 403, 200, 200, 200, 200]),
        ({"chat_id": [1, 6]}, [403, 200, 200, 200, 200, 403]),
        ({"method": "sendPhoto"}, [200] * 6),
        ({"method": "sendmessage", "probability": 1.0}, [403] * 6),
        ({"probability": 0.0}, [200] * 6),
    ],
)
def test_a_rule_says_which_requests_it_hits_and_how_often(
    server: BotApiServer, rule: dict[str, Any], statuses: list[int]
) -> None:
    """One request each for the chats 1 to 6."""
    server.control.rules([{"do": "blocked", **rule}])
    assert [send(server, chat)[0] for chat in range(1, 7)] == statuses


def test_chance_repeats_with_the_seed(server: BotApiServer) -> None:
    """The same seed, the same victims; some are hit and some are not."""
    server.control.rules([{"do": "blocked", "probability": 0.5}])
    runs = []
    for _ in range(2):
        server.control.settings(seed=7)
        runs.append([send(server)[0] for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 403}


def test_get_me_is_hit_only_by_name(server: BotApiServer) -> None:
    """A rule for all methods means those that send."""
    server.control.rules([{"do": "blocked"}])
    assert ask(server, "getMe")[0] == 200
    server.control.rules([{"do": "unauthorized", "method": "getMe"}])
    assert ask(server, "getMe")[0] == 401


@pytest.mark.parametrize(
    "rules",
    [{}, [5], [{"do": "explode"}], [{"do": "slow", "secnods": 1}], [{"do": "slow", "skip": "x"}]],
)
def test_a_rule_that_makes_no_sense_is_refused(server: BotApiServer, rules: Any) -> None:
    """A typo in a test shows at once, instead of a rule that never fires."""
    with pytest.raises(ValueError, match=r"."):
        server.control._ask("POST", "rules", rules)


# --- settings and counts ---


def test_the_rate_limit_answers_429_and_ends_when_lifted(server: BotApiServer) -> None:
    """At most the limit within a second; the other requests are asked to wait one second."""
    server.control.settings(rate_limit=3)
    replies = [send(server) for _ in range(5)]
    assert [status for status, _ in replies] == [200] * 3 + [429] * 2
    assert replies[-1][1]["parameters"] == {"retry_after": 1}
    server.control.settings(rate_limit=None)
    assert send(server)[0] == 200


def test_latency_can_be_changed_while_running(server: BotApiServer) -> None:
    """Every answer waits for it; the counts do not."""
    server.control.settings(latency_ms=120)
    began = time.monotonic()
    send(server)
    assert time.monotonic() - began >= 0.12
    with pytest.raises(ValueError, match="latency_sm"):
        server.control.settings(latency_sm=1)


def test_requests_are_counted_by_method_and_status(server: BotApiServer) -> None:
    """Attempts count, delivered or not."""
    server.control.rules([{"do": "blocked", "chat_id": 2}])
    began = time.time()
    send(server, 1), send(server, 2), ask(server, "getMe")
    counts = server.control.requests()
    assert counts["by_method"] == {"sendMessage": 2, "getMe": 1}
    assert counts["by_status"] == {"200": 2, "403": 1}
    assert len(counts["send_times"]) == 2
    assert all(began <= at <= time.time() for at in counts["send_times"])


# --- the process, and others' clients ---


async def test_a_server_in_process_stops_at_once_with_requests_hanging() -> None:
    """Requests that wait do not keep it from stopping."""
    running = await start(Config(latency_ms=60_000))
    session = aiohttp.ClientSession()
    url = f"{running.url}/bot{running.state.config.tokens[0]}/getMe"
    hanging = asyncio.create_task(session.get(url).__aenter__())
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await running.stop()
    assert time.monotonic() - began < 1
    with pytest.raises(aiohttp.ClientError):
        await hanging
    await session.close()


@pytest.mark.long
@pytest.mark.parametrize("how", ["sigterm", "sigint", "stdin"])
def test_the_process_ends_cleanly(how: str) -> None:
    """On both signals, and when the process that started it is gone."""
    with run(("1:a", "2:b"), username="other_bot") as server:
        assert ask(server, "getMe", "2:b")[1]["result"]["username"] == "other_bot"
        if how == "stdin":
            assert server.process.stdin
            server.process.stdin.close()
        else:
            server.process.send_signal(getattr(signal, how.upper()))
        assert server.process.wait(3) == 0


def test_a_server_that_cannot_start_says_why(server: BotApiServer) -> None:
    """Its own words, instead of a time limit."""
    taken = urllib.parse.urlsplit(server.url).port or 0
    with pytest.raises(RuntimeError, match="address already in use"), run(port=taken):
        pass


async def test_python_telegram_bot_takes_it_for_telegram(
    server: BotApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own Bot, transport and error classes, from start to end."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")  # without it RetryAfter itself warns
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("x", url="https://a.example")]])
    async with Bot(server.token, base_url=server.url + "/bot") as bot:
        message = await bot.send_message(5, "<b>hi</b>", parse_mode="HTML", reply_markup=keyboard)
        assert (message.chat_id, message.text, message.reply_markup) == (5, "hi", keyboard)
        server.control.rules([{"do": "blocked", "times": 1}, {"do": "flood", "retry_after": 3}])
        with pytest.raises(Forbidden, match="bot was blocked by the user"):
            await bot.send_message(5, "x")
        with pytest.raises(RetryAfter):
            await bot.send_message(5, "x")


# --- media, buttons of other kinds, and messages taken back ---

FILE_ID = "AgACAgIAAxkBAAIBB2abcdef-_0123"


@pytest.mark.parametrize(
    ("method", "kind"),
    [("sendPhoto", "photo"), ("sendAnimation", "animation"), ("sendVideo", "video")],
)
def test_a_medium_is_taken_by_file_id_or_address(
    server: BotApiServer, method: str, kind: str
) -> None:
    """The record has the file; the answer has Telegram's shape."""
    params: dict[str, Any] = {"chat_id": 5, kind: FILE_ID, "protect_content": True}
    status, body = ask(server, method, **params)
    assert status == 200
    assert body["result"][kind]
    [message] = server.control.messages()
    assert message.media == FILE_ID
    assert message.protect
    assert f"there is no {kind}" in description(ask(server, method, chat_id=5))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("short", "wrong file identifier/HTTP URL specified"),
        ("ftp://a.example/x.png", "wrong file identifier/HTTP URL specified"),
        ("https://a.invalid/x.png", "failed to get HTTP URL content"),
        ("https://a.example/page.html", "wrong type of the web page content"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_telegrams_words(
    server: BotApiServer, file: str, text: str
) -> None:
    """400, and nothing is delivered."""
    assert description(ask(server, "sendPhoto", chat_id=5, photo=file)) == f"Bad Request: {text}"
    assert delivered_chats(server) == []


@pytest.mark.parametrize(
    ("button", "text"),
    [
        ({"web_app": {"url": "http://a.example"}}, "Only HTTPS links are allowed"),
        ({"copy_text": {"text": "x" * 257}}, "COPY_TEXT_INVALID"),
        ({"callback_data": "x", "style": "pink"}, "Invalid button style specified"),
    ],
)
def test_other_kinds_of_buttons_are_checked(
    server: BotApiServer, button: dict[str, Any], text: str
) -> None:
    """Their own limits hold."""
    markup = {"inline_keyboard": [[{"text": "x", **button}]]}
    assert text in description(send(server, reply_markup=markup))


def test_a_message_can_be_deleted_once(server: BotApiServer) -> None:
    """By its chat and id; the record stays and says so."""
    number = send(server, 5)[1]["result"]["message_id"]
    assert ask(server, "deleteMessage", chat_id=5, message_id=number)[1]["result"] is True
    again = ask(server, "deleteMessage", chat_id=5, message_id=number)
    assert description(again) == "Bad Request: message to delete not found"
    assert [message.deleted for message in server.control.messages()] == [True]
