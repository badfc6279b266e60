"""MongoDB's bad days: what passes is waited for, what stays ends the pass, and nobody pays for it.

The faults are the server's own: MongoDB's test commands, and signals to its process.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure, PyMongoError

from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Finished, Ozh, server_kind
from tests.helpers.passes import (
    chats,
    check_states,
    deliveries,
    ended,
    failing,
    states,
    wait_until,
)
from tests.helpers.users import Client, Users, discount_users

BLOCKED = 4.5
"""Seconds a command is held up: longer than one try of a write may take."""


def disturbed(
    ozh: Ozh, bot_api: BotApiServer, client: Client, *commands: str, times: Any = 3, **fault: Any
) -> Finished:
    """A pass whose commands fail from its fifth message on."""
    process = ozh.start("discount", "--json", "--rate", "40")
    wait_until(lambda: len(chats(bot_api)) >= 5, "five messages")
    mode = times if isinstance(times, str) else {"times": times}
    with failing(client, mode, failCommands=list(commands), **fault):
        return ended(ozh, process, 60)


PASSING: dict[str, dict[str, Any]] = {
    "the connection is cut": {"closeConnection": True},
    "not the primary (10107)": {"errorCode": 10107},
    "shutting down (91)": {"errorCode": 91},
    "interrupted (11601)": {"errorCode": 11601},
    "write conflict (112)": {"errorCode": 112},
    "a code that nobody knows (50463173)": {"errorCode": 50463173},
    "not confirmed by a majority (64)": {"writeConcernError": {"code": 64, "errmsg": "timed out"}},
    "held up past the limit": {"blockConnection": True, "blockTimeMS": int(BLOCKED * 1000)},
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_nobody_a_message(
    fault: str, ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client
) -> None:
    """Whether the write was applied or not: it is repeated by its claim id, and read back."""
    users.insert_many(discount_users(40))
    once = "blockConnection" in PASSING[fault]
    result = disturbed(
        ozh, bot_api, mongo_client, "update", times=1 if once else 3, **PASSING[fault]
    )
    assert result.code == 0, result.err
    assert result.json()["sent"] == len(chats(bot_api)) == 40
    assert "not recorded" not in result.err
    assert "trying again" in result.err or fault == "the connection is cut"
    check_states(users, bot_api)
    assert {delivery["attempts"] for delivery in deliveries(users).values()} == {1}


@pytest.mark.long
@pytest.mark.parametrize("fault", [{"closeConnection": True}, {"errorCode": 91}])
def test_a_claim_that_cannot_be_read_back_at_once_is_read_again(
    fault: dict[str, Any], ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client
) -> None:
    """The claim was applied: its users get their messages, and nobody is left behind."""
    users.insert_many(discount_users(40))
    result = disturbed(ozh, bot_api, mongo_client, "find", times=4, **fault)
    assert result.code == 0, result.err
    assert result.json()["sent"] == 40
    check_states(users, bot_api)


def test_users_of_a_claim_with_unknown_result_are_given_back(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client
) -> None:
    """The read-back keeps failing: nobody was messaged, so nobody has to wait for a lease."""
    users.insert_many(discount_users(40))
    result = disturbed(ozh, bot_api, mongo_client, "find", times="alwaysOn", errorCode=13)
    assert result.code == 78, result.err
    assert 5 <= result.json()["sent"] == len(chats(bot_api)) < 40
    check_states(users, bot_api)
    back = [delivery for delivery in deliveries(users).values() if delivery.get("state") == "retry"]
    assert {delivery["attempts"] for delivery in back} == {0}
    assert ozh("discount", "--json").json()["sent"] == 40 - result.json()["sent"]
    check_states(users, bot_api)


def test_a_dry_run_without_its_reasons_shows_the_rest(
    ozh: Ozh, users: Users, mongo_client: Client
) -> None:
    """Counting why users are held back may fail or take too long; only these counts are lost."""
    users.insert_many(discount_users(3))
    with failing(mongo_client, "alwaysOn", failCommands=["aggregate"], errorCode=50):
        result = ozh("discount", "--dry-run", "--json")
    assert result.code == 0, result.err
    assert result.json()["eligible"] == 3
    assert len(result.json()["preview"]["recipients"]) == 3
    assert result.json()["held"] == {}
    assert "the reasons why users are held back are not shown" in result.err


@pytest.mark.long
def test_a_server_that_stays_away_before_the_first_claim_is_69(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client
) -> None:
    """The claim is repeated for a bounded time; nobody is messaged or left behind."""
    users.insert_many(discount_users(5))
    with failing(mongo_client, "alwaysOn", failCommands=["update"], errorCode=10107):
        result = ozh("discount", "--json")
    assert result.code == 69, result.err
    said = result.json()
    assert (said["status"], said["claimed"], said["sent"]) == ("error", 0, 0)
    assert "MongoDB cannot be reached to" in said["error"]
    assert "Topology" not in said["error"]
    assert states(users) == [""] * 5
    assert chats(bot_api) == []


@pytest.mark.long
def test_a_signal_while_writes_fail_ends_it_in_time(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client
) -> None:
    """A signal ends the repeated tries at once."""
    users.insert_many(discount_users(40))
    process = ozh.start("discount", "--json", "--rate", "40")
    wait_until(lambda: len(chats(bot_api)) >= 5, "five messages")
    with failing(mongo_client, "alwaysOn", failCommands=["update"], closeConnection=True):
        time.sleep(1)
        at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        result = ended(ozh, process)
    assert time.monotonic() - at < 10
    assert result.code == (74 if result.json()["unrecorded"] else 75), result.err
    sending = [
        chat for chat, delivery in deliveries(users).items() if delivery.get("state") == "sending"
    ]
    for chat in set(sending) & set(chats(bot_api)):
        assert f"chat {chat}: sent message" in result.err


def test_a_step_down_in_mid_pass_is_waited_for(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client
) -> None:
    """A new primary is found within the time writes are repeated."""
    users.insert_many(discount_users(40))
    process = ozh.start("discount", "--json", "--rate", "40")
    wait_until(lambda: len(chats(bot_api)) >= 5, "five messages")
    try:
        command = ("replSetStepDown", 2)
        mongo_client.admin.command(*command, secondaryCatchUpPeriodSecs=1, force=True)
    except OperationFailure as error:
        ended(ozh, process)
        pytest.skip(f"the server does not step down: {error.details}")
    result = ended(ozh, process)
    wait_until(lambda: writable(mongo_client), "a primary")
    assert result.code == 0, result.err
    assert result.json()["sent"] == len(chats(bot_api)) == 40
    check_states(users, bot_api)


def writable(client: Client) -> bool:
    """Whether the server takes writes."""
    with suppress(PyMongoError):
        client.probe.probe.update_one({"_id": 0}, {"$inc": {"n": 1}}, upsert=True)
        return True
    return False


def test_a_server_that_dies_in_mid_pass_is_74_and_what_it_missed_is_told(
    ozh: Ozh, bot_api: BotApiServer
) -> None:
    """Its memory is gone with it here: the log alone says who was reached."""
    with mongo.run(server_kind()) as server:
        with pymongo.MongoClient[dict[str, Any]](server.uri) as client:
            client[ozh.environment["MONGO_DB_NAME"]].users.insert_many(discount_users(40))
        process = ozh.start("discount", "--json", "--rate", "20", MONGO_URI=server.uri)
        wait_until(lambda: len(chats(bot_api)) >= 5, "five messages")
        os.killpg(server.process.pid, signal.SIGKILL)
        wait_until(lambda: process.poll() is not None or len(chats(bot_api)) > 5, "one more", 5)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)  # it would wait for fifteen seconds else
        result = ended(ozh, process)
    assert result.code == 74, result.err
    said = result.json()
    assert said["sent"] == len(chats(bot_api))
    assert said["remaining"] + said["claimed"] == 40
    assert "Traceback" not in result.err
    assert f"chat {chats(bot_api)[-1]}: sent message" in result.err
