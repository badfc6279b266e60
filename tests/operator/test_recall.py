"""``ozh-notify recall``: the messages of one run are taken back."""

from __future__ import annotations

from typing import Any

import pymongo
import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import chats, ended, failing, wait_until
from tests.helpers.users import Users, ago, discount_users


def deleted(bot_api: BotApiServer) -> list[int]:
    """Ids of the messages that were deleted."""
    return [m.message_id for m in bot_api.control.messages() if m.deleted]


def test_the_messages_of_a_run_are_taken_back_and_each_refusal_is_told(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The deliveries stay `sent`, nobody gets the message again, and a second time does nothing."""
    journal = users.database.ozh_notify_journal
    who = discount_users(6)
    users.insert_many(who)
    run = ozh("discount", "--json").json()["run_id"]
    other = [user["telegram_id"] for user in who]
    refusals = {
        other[0]: {"code": 403, "description": "Forbidden: bot was blocked by the user"},
        other[1]: {"code": 400, "description": "Bad Request: message to delete not found"},
        other[2]: {"code": 400, "description": "Bad Request: message can't be deleted"},
    }
    bot_api.control.rules(
        [
            {"do": "error", "method": "deleteMessage", "chat_id": chat, **refusal}
            for chat, refusal in refusals.items()
        ]
    )
    journal.update_one({"chat_id": other[3]}, {"$set": {"at": ago(hours=49)}})
    told = ozh("recall", "discount", "--run", run, "--yes", "--json")
    assert told.code == 0, told.err
    said = told.json()
    assert (said["recalled"], said["blocked"], said["not found"], said["too old"]) == (2, 1, 1, 2)
    assert len(said["errors"]) == 3
    assert len(deleted(bot_api)) == 2
    back = list(journal.find({"recalled_at": {"$exists": True}}))
    assert {entry["message_id"] for entry in back} == set(deleted(bot_api))
    assert {entry["state"] for entry in back} == {"sent"}
    again = ozh("recall", "discount", "--run", run, "--yes", "--json").json()
    assert (again["recalled"], again["recalled before"]) == (0, 2)
    assert ozh("discount", "--json").json()["eligible"] == 0
    history = ozh("history", str(other[5]), "--json").json()["deliveries"]
    assert history[0]["recalled_at"]


def run_with_the_wrong_price(
    ozh: Ozh, users: Users, bot_api: BotApiServer, number: int
) -> tuple[str, set[int]]:
    """Id and message ids of a run, whose users are due for the right price since."""
    users.insert_many(discount_users(number))
    wrong = ozh("discount", "--json").json()["run_id"]
    users.update_many({}, {"$set": {"discount_offered": False}})
    return wrong, {message.message_id for message in bot_api.control.messages()}


@pytest.mark.long
def test_a_run_whose_message_was_sent_once_more_is_taken_back_too(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The wrong price went out, then the right one: only the wrong one goes."""
    wrong, first = run_with_the_wrong_price(ozh, users, bot_api, 2)
    assert ozh("discount", "--again", "--json").json()["sent"] == 2
    assert ozh("recall", "discount", "--run", wrong, "--yes", "--json").json()["recalled"] == 2
    assert set(deleted(bot_api)) == first
    again = ozh("recall", "discount", "--run", wrong, "--yes", "--json").json()
    assert (again["recalled"], again["recalled before"]) == (0, 2)


def test_a_message_that_a_pass_moves_during_a_recall_is_recorded_where_it_is(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """`--again` takes over entries between the list and the deletion."""
    wrong, first = run_with_the_wrong_price(ozh, users, bot_api, 12)
    bot_api.control.rules([{"do": "slow", "method": "deleteMessage", "seconds": 2}])
    process = ozh.start("recall", "discount", "--run", wrong, "--yes", "--json")
    asked = bot_api.control.requests
    wait_until(lambda: "deleteMessage" in asked()["by_method"], "a deletion under way")
    assert ozh("discount", "--again", "--rate", "1000", "--json").json()["sent"] == 12
    assert ended(ozh, process).json()["recalled"] == 12
    assert set(deleted(bot_api)) == first
    journal = users.database.ozh_notify_journal
    for entry in journal.find({"chat_id": {"$exists": True}}):
        assert "recalled_at" not in entry
        assert [old["message_id"] in first for old in entry["previous"]] == [True]
        assert "recalled_at" in entry["previous"][0]


@pytest.mark.long
def test_an_interrupted_recall_goes_on_where_it_was(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """At the pacer's rate; after a signal what is left is told, and 75."""
    users.insert_many(discount_users(20))
    run = ozh("discount", "--json").json()["run_id"]
    line = ("recall", "discount", "--run", run, "--yes", "--json")
    process = ozh.start(*line, OZH_RATE_LIMIT="10")
    wait_until(lambda: len(deleted(bot_api)) >= 3, "three deletions")
    process.terminate()
    result = ended(ozh, process)
    assert result.code == 75, result.err
    done = result.json()["recalled"]
    assert 3 <= done < 20
    assert result.json()["left"] == 20 - done
    rest = ozh(*line).json()
    assert (rest["recalled"], rest["recalled before"]) == (20 - done, done)
    assert len(set(deleted(bot_api))) == 20 == len(chats(bot_api))


@pytest.mark.long
def test_recall_refuses_what_it_cannot_do(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """An unknown run, no journal, no terminal to confirm on, another bot's messages."""
    users.insert_many(discount_users(1))
    run = ozh("discount", "--json").json()["run_id"]
    assert ozh("recall", "discount", "--run", run).code == 2
    unknown = ozh("recall", "discount", "--run", "x", "--yes")
    assert unknown.code == 78
    assert "no pass of discount has the run id 'x'" in unknown.err
    off = ozh("recall", "discount", "--run", run, "--yes", OZH_JOURNAL_COLLECTION="off")
    assert off.code == 78
    journal = users.database.ozh_notify_journal
    journal.update_one({"_id": f"run:{run}"}, {"$set": {"bot": "another_bot"}})
    other = ozh("recall", "discount", "--run", run, "--yes")
    assert other.code == 78
    assert "only the bot that sent a message can delete it" in other.err
    assert deleted(bot_api) == []


def test_an_error_loses_the_record_of_no_other_deletion(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: pymongo.MongoClient[Any]
) -> None:
    """One write to the journal fails while others are in flight: these are recorded all the same.

    The one that could not be recorded is named, nothing more is deleted, and the error is the
    command's.
    """
    users.insert_many(discount_users(60))
    run = ozh("discount", "--json").json()["run_id"]
    bot_api.control.rules([{"do": "slow", "method": "deleteMessage", "seconds": 0.3}])
    line = ("recall", "discount", "--run", run, "--yes", "--json")
    with failing(mongo_client, {"times": 1}, failCommands=["update"], errorCode=13):
        result = ozh(*line)
    assert result.code == 78, result.err
    assert "does not let this account write to the journal" in result.err
    gone = deleted(bot_api)
    assert 1 < len(gone) < 60
    assert result.json()["recalled"] == len(gone)
    assert result.json()["left"] == 60 - len(gone)
    journal = users.database.ozh_notify_journal
    back = {entry["message_id"] for entry in journal.find({"recalled_at": {"$exists": True}})}
    [lost] = set(gone) - back
    assert "deleted and not recorded: chat" in result.err
    assert f" message {lost}" in result.err
    bot_api.control.rules([])
    rest = ozh(*line)
    assert rest.code == 0, rest.err
    assert (rest.json()["recalled"], rest.json()["recalled before"]) == (60 - len(gone), len(back))
