"""What stops a pass, and what happens to its claimed users: refusals, floods, outages."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ozh_notify.sandbox.botapi import client as botapi
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import TOKEN, Finished, Ozh
from tests.helpers.parameters import first_and_long
from tests.helpers.passes import (
    chats,
    check_states,
    deliveries,
    ended,
    states,
    wait_until,
)
from tests.helpers.users import Users, bonus_user, discount_user, discount_users
from tests.torture.environment import WRAPPER

CONTENT = {"do": "error", "code": 400, "description": "Bad Request: can't parse entities: tag"}
NOT_FOUND = {"do": "not_found"}


def stopped(result: Finished, code: int, status: str, words: str) -> dict[str, Any]:
    """The result of a pass that was stopped: how, and that its counts sum up."""
    assert result.code == code, result.out + result.err
    assert "Traceback" not in result.err
    assert "Unclosed" not in result.err
    said: dict[str, Any] = result.json()
    assert said["status"] == status
    assert words.lower() in said["error"].lower()
    outcomes = ("sent", "unreachable", "rejected", "retry", "unknown")
    assert said["claimed"] == sum(said[name] for name in outcomes)
    assert said["eligible"] == sum(said[n] for n in ("claimed", "remaining", "skipped"))
    return said


def given_back(users: Users, key: str = "discount") -> list[dict[str, Any]]:
    """Deliveries in `retry`, each free for the next pass."""
    found = [
        delivery for delivery in deliveries(users, key).values() if delivery.get("state") == "retry"
    ]
    assert not [delivery for delivery in found if {"hold_until", "claim"} & delivery.keys()]
    return found


# --- the token ---


def test_a_token_that_telegram_rejects_claims_nobody(ozh: Ozh, users: Users) -> None:
    """`getMe` comes before the first claim."""
    users.insert_many(discount_users(3))
    wrong = "987654321:AAanother-token-nobody-may-see_abcdefg"
    result = ozh("discount", "--json", TELEGRAM_BOT_TOKEN=wrong)
    said = stopped(result, 78, "error", "TELEGRAM_BOT_TOKEN")
    assert wrong.partition(":")[2] not in result.out + result.err
    assert said["claimed"] == 0
    assert states(users) == ["", "", ""]


def test_a_token_that_is_revoked_in_mid_pass_gives_back_the_rest(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """401 says nothing about a user: sent messages are `sent`, the next pass takes the others."""
    users.insert_many(discount_users(20))
    bot_api.control.rules([{"do": "unauthorized", "skip": 5}])
    said = stopped(ozh("discount", "--json"), 78, "error", "TELEGRAM_BOT_TOKEN")
    assert said["sent"] == len(chats(bot_api)) == 5
    assert said["retry"] == len(given_back(users)) >= 1
    check_states(users, bot_api)
    bot_api.control.rules([])
    assert ozh("discount", "--json").json()["sent"] == 15
    check_states(users, bot_api)


# --- the content ---


@pytest.mark.parametrize("delivered", [0, 4])
def test_two_refused_messages_in_a_row_are_the_templates_fault(
    delivered: int, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Both are given back, before and after a delivery; the reason is told."""
    users.insert_many(discount_users(12))
    bot_api.control.rules([{**CONTENT, "skip": delivered}])
    said = stopped(ozh("discount", "--json"), 78, "error", "can't parse entities")
    assert "template" in said["error"]
    assert (said["sent"], said["rejected"]) == (delivered, 0)
    assert delivered or bot_api.control.requests()["by_method"]["sendMessage"] == 2
    assert said["retry"] == len(given_back(users)) >= 2
    check_states(users, bot_api)
    bot_api.control.rules([])
    assert ozh("discount", "--json").json()["sent"] == 12 - delivered


def test_one_refused_message_is_that_users_and_the_pass_goes_on(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Also the first one, the last one, and two that do not follow each other."""
    who = discount_users(9)
    users.insert_many(who)
    refused = [who[n]["telegram_id"] for n in (0, 4, 8)]
    bot_api.control.rules([{**CONTENT, "chat_id": refused}])
    result = ozh("discount", "--json", "--rate", "50")
    assert result.code == 0, result.err
    assert (result.json()["sent"], result.json()["rejected"]) == (6, 3)
    stored = deliveries(users)
    assert [stored[chat]["state"] for chat in refused] == ["rejected"] * 3
    check_states(users, bot_api)


# --- strangers ---


STRANGERS: dict[str, dict[str, Any]] = {
    "chat not found": NOT_FOUND,
    "can't initiate conversation": {"do": "cannot_initiate"},
}


@pytest.mark.parametrize("words", first_and_long(STRANGERS))
def test_ten_strangers_in_a_row_before_any_delivery_mean_the_wrong_bot(
    words: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Nobody pays for a wrong token with thirty days: all are given back, in every pass."""
    users.insert_many(discount_users(30))
    bot_api.control.rules([STRANGERS[words]])
    for attempt in (1, 2):
        said = stopped(ozh("discount", "--json"), 78, "error", "is @ozhivlyator_demo_bot the bot")
        assert words in said["error"].lower()
        assert bot_api.control.requests()["by_method"]["sendMessage"] == 10 * attempt
        assert bot_api.control.requests()["max_in_flight"] == 1
        assert (said["unreachable"], said["rejected"], said["unknown"]) == (0, 0, 0)
        tried = [delivery for delivery in given_back(users) if delivery["attempts"] == attempt]
        assert len(tried) == 10
    assert set(states(users)) <= {"retry", ""}


def test_a_few_strangers_before_any_delivery_are_given_back_with_the_question(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A pass of five users must not hold them for thirty days because the bot may be wrong."""
    users.insert_many(discount_users(12))
    bot_api.control.rules([NOT_FOUND])
    for _ in range(2):
        result = ozh("discount", "--json", "--limit", "5")
        said = stopped(result, 75, "incomplete", "is @ozhivlyator_demo_bot the bot these users")
        assert (said["retry"], said["unreachable"]) == (5, 0)
        assert len(given_back(users)) == 5
    bot_api.control.rules([])
    assert ozh("discount", "--json").json()["sent"] == 12


def test_nine_strangers_and_a_friend_are_just_that(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A delivery settles those who wait, and after one no row of strangers stops a pass."""
    who = discount_users(25)
    users.insert_many(who)
    strangers = [u["telegram_id"] for n, u in enumerate(who) if n != 9]
    bot_api.control.rules([{**NOT_FOUND, "chat_id": strangers}])
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert (result.json()["sent"], result.json()["unreachable"]) == (1, 24)
    assert sorted(states(users)) == ["sent"] + ["unreachable"] * 24


def test_strangers_stop_nothing_once_a_bot_has_delivered(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A message of an earlier pass, here of the other campaign, shows that the users know it."""
    users.insert_one(bonus_user())
    assert ozh("daily-bonus", "--json").json()["sent"] == 1
    users.insert_many(discount_users(12))
    bot_api.control.rules([NOT_FOUND])
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert result.json()["unreachable"] == 12


def test_an_outage_among_strangers_holds_nobody(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Those who wait are given back, whatever ends the pass."""
    users.insert_many(discount_users(30))
    bot_api.control.rules([{"do": "error", "code": 502, "skip": 4}, NOT_FOUND])
    said = stopped(ozh("discount", "--json"), 69, "error", "10 requests in a row failed")
    assert (said["unreachable"], said["unknown"]) == (0, 10)
    assert len([delivery for delivery in given_back(users) if delivery["attempts"] == 1]) >= 4


# --- refusals meant for the bot ---


FOR_THE_BOT = [
    (0, 400, "Bad Request: Logged out"),
    (5, 400, "Bad Request: FROZEN_METHOD_INVALID"),
    (5, 420, "FROZEN_METHOD_INVALID"),
    (5, 400, "Bad Request: BALANCE_TOO_LOW"),
    (0, 402, "Payment Required"),
    (5, 406, "Not Acceptable"),
]


@pytest.mark.parametrize(("delivered", "code", "words"), first_and_long(FOR_THE_BOT))
def test_ten_refusals_with_the_same_words_are_the_bots_fault(
    delivered: int, code: int, words: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Before and after a delivery: the pass stops with Telegram's words, and holds nobody."""
    users.insert_many(discount_users(60))
    bot_api.control.rules([{"do": "error", "code": code, "description": words, "skip": delivered}])
    said = stopped(ozh("discount", "--json"), 78, "error", words)
    assert (said["sent"], said["rejected"]) == (delivered, 0)
    assert said["retry"] == len(given_back(users)) >= 10
    assert "the bot these users" not in said["error"]
    assert bot_api.control.requests()["by_method"]["sendMessage"] < 40
    bot_api.control.rules([])
    assert ozh("discount", "--json").json()["sent"] == 60 - delivered


def test_a_few_refusals_for_the_bot_hold_nobody_where_nothing_was_delivered(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A small audience must not be held for thirty days because the bot is frozen."""
    users.insert_many(discount_users(3))
    refusal = {"do": "error", "code": 420, "description": "FROZEN_METHOD_INVALID"}
    bot_api.control.rules([refusal])
    said = stopped(ozh("discount", "--json"), 75, "incomplete", "FROZEN_METHOD_INVALID")
    assert (said["retry"], said["rejected"]) == (3, 0)
    assert len(given_back(users)) == 3


def test_an_unknown_refusal_among_deliveries_is_that_users(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Nine with the same words and a delivery are nine rejected users, and the pass goes on."""
    who = discount_users(20)
    users.insert_many(who)
    refusal = {"do": "error", "code": 400, "description": "Bad Request: something new"}
    bot_api.control.rules([{**refusal, "chat_id": [u["telegram_id"] for u in who[:9]]}])
    result = ozh("discount", "--json", "--rate", "50")
    assert result.code == 0, result.err
    assert (result.json()["sent"], result.json()["rejected"]) == (11, 9)


# --- floods ---


@pytest.mark.parametrize("daily", [False, True])
def test_a_spent_flood_budget_ends_the_pass_and_gives_back_the_rest(
    daily: bool, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """It does not count against the users: the next pass finds them as before."""
    users.insert_many(bonus_user() if daily else discount_user() for _ in range(12))
    campaign, key = ("daily-bonus", "daily_bonus") if daily else ("discount", "discount")
    bot_api.control.rules([{"do": "flood", "retry_after": 3600, "skip": 3}])
    said = stopped(ozh(campaign, "--json"), 75, "incomplete", "flood budget")
    assert said["sent"] == len(chats(bot_api)) == 3
    assert said["retry"] == len(given_back(users, key)) >= 1
    assert said["flood_wait_seconds"] == 0
    bot_api.control.rules([])
    assert ozh(campaign, "--json").json()["sent"] == 9
    check_states(users, bot_api, key)
    assert {delivery["attempts"] for delivery in deliveries(users, key).values()} <= {1, 2}


def test_one_chat_that_is_always_flooded_costs_nobody_else_the_message(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Beyond the budget it is given back, and the pass goes on with the next user."""
    who = discount_users(12)
    users.insert_many(who)
    first = who[0]["telegram_id"]
    bot_api.control.rules([{"do": "flood", "retry_after": 3600, "chat_id": first}])
    said = stopped(ozh("discount", "--json"), 75, "incomplete", "1 delivery left in retry")
    assert (said["sent"], said["retry"], said["remaining"]) == (11, 1, 0)
    assert deliveries(users)[first]["state"] == "retry"


def test_after_a_429_it_waits_and_goes_on_at_half_the_rate(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Further 429s do not lower the rate again; the user who met the 429 gets the message once."""
    users.insert_many(discount_users(21))
    bot_api.control.rules([{"do": "flood", "retry_after": 1, "times": 2, "every": 2}])
    result = ozh("discount", "--json", "--rate", "20")
    assert result.code == 0, result.err
    assert result.json()["flood_wait_seconds"] >= 1
    times = [message.time for message in bot_api.control.messages()]
    # At 10/s twenty steps take two seconds, at 20/s one; the waits themselves come on top.
    steps = times[-1] - times[0] - result.json()["flood_wait_seconds"]
    assert 1.7 < steps < 15
    check_states(users, bot_api)


# --- the service ---


TROUBLE: dict[str, tuple[dict[str, Any], str]] = {
    "5xx": ({"do": "error", "code": 502}, "HTTP 502"),
    "cut": ({"do": "cut_before"}, "ServerDisconnected"),
    "reset": ({"do": "cut_after", "reset": True}, "Error"),
    "garbage": ({"do": "garbage"}, "Invalid server response"),
}


@pytest.mark.parametrize("delivered", [False, True])
@pytest.mark.parametrize("kind", first_and_long(TROUBLE))
def test_ten_failures_in_a_row_stop_the_pass_and_stay_unknown(
    kind: str, delivered: bool, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """69 where nothing was delivered, 75 where something was; the unsent are given back."""
    users.insert_many(discount_users(40))
    rule, words = TROUBLE[kind]
    bot_api.control.rules([{**rule, "skip": 7 if delivered else 0}])
    result = ozh("discount", "--json")
    code, status = (75, "incomplete") if delivered else (69, "error")
    said = stopped(result, code, status, words)
    assert "10 requests in a row failed" in said["error"]
    assert said["sent"] == (7 if delivered else 0)
    # Those in flight beside the tenth are in doubt too.
    requests = bot_api.control.requests()["by_method"]["sendMessage"]
    assert said["unknown"] == requests - said["sent"] >= 10
    assert delivered or requests == 10
    assert states(users).count("unknown") == said["unknown"]
    assert len(given_back(users)) == said["retry"]
    assert "sending" not in states(users)
    doubtful = [
        delivery for delivery in deliveries(users).values() if delivery.get("state") == "unknown"
    ]
    assert all(delivery["claim"].startswith(said["run_id"]) for delivery in doubtful)


def test_nine_failures_in_a_row_and_a_delivery_stop_nothing(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Any answer that makes sense ends the row."""
    users.insert_many(discount_users(20))
    bot_api.control.rules([{"do": "error", "code": 500, "times": 9}])
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert (result.json()["unknown"], result.json()["sent"]) == (9, 11)


def test_ten_timeouts_in_a_row_stop_the_pass_and_stay_unknown(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Telegram takes each message and never answers; here a send may take one second, not 20."""
    users.insert_many(discount_users(30))
    bot_api.control.rules([{"do": "hang_after", "seconds": 60, "skip": 3}])
    process = subprocess.Popen(
        [sys.executable, WRAPPER, "discount", "--json"],
        env={**ozh.environment, "TORTURE_SEND_LIMIT": "1"},
        cwd=ozh.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said = stopped(ended(ozh, process), 75, "incomplete", "Timeout")
    assert said["sent"] == 3
    assert said["unknown"] == len(chats(bot_api)) - 3 >= 10
    assert states(users).count("unknown") == said["unknown"]
    assert "sending" not in states(users)


@contextmanager
def only_get_me() -> Iterator[str]:
    """A Bot API that answers its first request, and then is gone: its address."""
    me = {"id": 987654321, "is_bot": True, "first_name": "x", "username": "x_bot"}
    body = json.dumps({"ok": True, "result": me}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)

    def answer() -> None:
        with listener:
            connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join()


def test_ten_refused_connections_before_any_delivery_are_69_and_harm_nobody(
    ozh: Ozh, users: Users
) -> None:
    """A request that never left the machine is not delivered: the next pass takes these users."""
    users.insert_many(discount_users(15))
    with only_get_me() as url:
        result = ozh("discount", "--json", OZH_TELEGRAM_API_URL=url)
    said = stopped(result, 69, "error", "10 requests in a row failed")
    assert said["bot"] == "x_bot"
    assert (said["sent"], said["unknown"]) == (0, 0)
    assert len(given_back(users)) == said["retry"] >= 10
    assert states(users)[:10] == ["retry"] * 10


def test_a_bot_api_that_dies_in_mid_pass_is_75(ozh: Ozh, users: Users) -> None:
    """What was in flight is in doubt, what came after was refused and is given back."""
    users.insert_many(discount_users(60))
    with botapi.run(tokens=(TOKEN,)) as dying:
        process = ozh.start("discount", "--json", "--rate", "40", OZH_TELEGRAM_API_URL=dying.url)
        wait_until(lambda: len(dying.control.messages()) >= 5, "five messages")
        dying.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)  # messages in flight now get no answer
        dying.process.kill()
        dying.process.wait()
        result = ended(ozh, process)
    said = stopped(result, 75, "incomplete", "10 requests in a row failed")
    assert said["sent"] >= 5
    assert states(users).count("sent") == said["sent"]
    assert len(given_back(users)) == said["retry"] >= 6
    assert "sending" not in states(users)
