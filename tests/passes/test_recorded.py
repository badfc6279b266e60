"""What was delivered and could not be recorded is told, and a bug hides nothing of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.campaigns.test_campaigns import install
from tests.conftest import PASSWORD, Finished, Ozh
from tests.helpers.passes import (
    chats,
    deliveries,
    ended,
    failing,
    states,
    wait_until,
)
from tests.helpers.users import Client, Users, ago, discount_users

TOLD = re.compile(r"ERROR not recorded: user .* chat (\d+): (\w+)(?: message (\d+))?$", re.M)


def told(result: Finished) -> dict[int, tuple[str, str]]:
    """Of each chat that could not be recorded the outcome, one line a user."""
    lines = TOLD.findall(result.err)
    assert len(lines) == len({chat for chat, *_ in lines}), result.err
    return {int(chat): (state, message_id) for chat, state, message_id in lines}


def check_told(users: Users, bot_api: BotApiServer, result: Finished, key: str = "discount") -> int:
    """Every message stands in the database or on stderr, with its id; how many on stderr."""
    lines, stored = told(result), deliveries(users, key)
    entries = users.database.ozh_notify_journal.find({"state": "sent"})
    journalled = {entry["chat_id"]: entry["message_id"] for entry in entries}
    for message in bot_api.control.messages():
        delivery = stored[message.chat_id]
        if delivery["state"] == "sent":
            assert delivery["message_id"] == message.message_id
        elif message.chat_id in journalled:
            assert journalled[message.chat_id] == message.message_id
        else:
            assert delivery["state"] == "sending"
            assert lines[message.chat_id] == ("sent", str(message.message_id)), result.err
    return len(lines)


def test_what_could_not_be_recorded_is_told_and_reconcile_takes_the_log(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client, tmp_path: Path
) -> None:
    """One ERROR line a user, also with LOGGING_ENABLED=False; then `--mark-sent` settles them.

    Here the account loses the right to write. Users who were claimed and not messaged are logged
    as `retry`, and given back by the same log.
    """
    users.insert_many(discount_users(40))
    bot_api.control.rules([{"do": "slow", "seconds": 0.5, "skip": 2}])
    process = ozh.start("discount", "--json", "--rate", "20", LOGGING_ENABLED="False")
    wait_until(lambda: len(chats(bot_api)) >= 5, "five messages")
    with failing(mongo_client, "alwaysOn", failCommands=["update"], errorCode=13):
        result = ended(ozh, process)
    assert result.code == 74, result.err
    said = result.json()
    assert "MongoDB does not let this account" in said["error"]
    assert "ozh-notify reconcile discount --mark-sent --user @LOG" in said["error"]
    assert said["sent"] == len(chats(bot_api)) >= 5
    assert said["claimed"] + said["remaining"] == 40
    assert check_told(users, bot_api, result) >= 1
    assert "INFO" not in result.err

    lost = [chat for chat, (state, _) in told(result).items() if state == "sent"]
    past = {"$set": {"ozh_notify.discount.hold_until": ago(minutes=1)}}
    users.update_many({"ozh_notify.discount.state": "sending"}, past)  # their lease is over
    bot_api.control.rules([])
    log = tmp_path / "stderr.log"
    log.write_text(result.err)
    line = ("reconcile", "discount", "--user", f"@{log}", "--yes", "--json")
    settled = ozh(*line, "--mark-sent")
    assert (settled.code, settled.json()["settled"]) == (0, len(lost)), settled.err
    assert states(users).count("sent") == len(chats(bot_api))
    assert users.count_documents({"discount_offered": True}) == len(chats(bot_api))
    assert ozh(*line, "--resend").code == 0
    rest = ozh("discount", "--json")
    assert rest.json()["sent"] == 40 - said["sent"] - states(users).count("unknown"), rest.err
    assert len(set(chats(bot_api))) == len(chats(bot_api)) == states(users).count("sent")


@pytest.mark.long
def test_a_connection_lost_after_a_delivery_is_74_and_told(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: Client
) -> None:
    """The write is repeated for a bounded time; what was delivered meanwhile is not hidden."""
    users.insert_many(discount_users(6))
    bot_api.control.rules([{"do": "slow", "seconds": 1.2, "skip": 1}])
    process = ozh.start("discount", "--json", LOGGING_ENABLED="False")
    wait_until(lambda: len(chats(bot_api)) == 6, "all messages; five have no answer yet")
    wait_until(lambda: states(users).count("sent") == 1, "the first one recorded")
    with failing(mongo_client, "alwaysOn", failCommands=["update"], closeConnection=True):
        # The journal, the users and what is given back are each tried for 15 s.
        result = ended(ozh, process, 100)
    assert result.code == 74, result.err
    said = result.json()
    assert (said["status"], said["sent"], said["remaining"]) == ("error", 6, 0)
    assert said["unrecorded"] == 5
    assert "MongoDB cannot be reached" in said["error"]
    assert check_told(users, bot_api, result) == 5


def test_one_document_that_is_replaced_meanwhile_is_74_and_serves_the_others(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Without a journal its outcome stands nowhere: a person must look before the next pass."""
    who = discount_users(6)
    users.insert_many(who)
    bot_api.control.rules([{"do": "slow", "seconds": 0.7, "chat_id": who[1]["telegram_id"]}])
    process = ozh.start("discount", "--json", OZH_JOURNAL_COLLECTION="off")
    wait_until(lambda: who[1]["telegram_id"] in chats(bot_api), "the second message")
    users.replace_one({"_id": who[1]["_id"]}, who[1])
    result = ended(ozh, process)
    assert result.code == 74, result.err
    said = result.json()
    assert (said["status"], said["sent"], said["unrecorded"]) == ("error", 6, 1)
    assert said["error"].startswith("1 delivered message could be recorded nowhere")
    assert list(told(result)) == [who[1]["telegram_id"]]


def test_three_outcomes_in_a_row_that_stand_nowhere_end_the_pass(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A backend that erases what the pass writes must not cost everybody a second message."""
    users.insert_many(discount_users(60))
    bot_api.control.rules([{"do": "slow", "seconds": 0.3, "skip": 1}])
    process = ozh.start("discount", "--json", "--rate", "20", OZH_JOURNAL_COLLECTION="off")
    while process.poll() is None:
        # Only after the send began: a claim that goes earlier is "skipped", and nobody is messaged.
        arrived = {"telegram_id": {"$in": chats(bot_api)}, "ozh_notify.discount.state": "sending"}
        users.update_many(arrived, {"$unset": {"ozh_notify": 1}})
    result = ended(ozh, process)
    assert result.code == 74, result.err
    said = result.json()
    assert said["sent"] < 30
    assert said["unrecorded"] >= 3
    assert "3 outcomes in a row could not be recorded" in said["error"]


BUG = f"""
from ozh_notify.campaigns.discount import Discount

calls = 0

class Broken(Discount):
    name = "broken"
    summary = "Has a bug."

    def METHOD(self, *args, **kwargs):
        global calls
        calls += 1
        if calls > COUNT:
            raise RuntimeError("a bug beside mongodb://user:{PASSWORD}@host")
        return super().METHOD(*args, **kwargs)
"""


@pytest.mark.long
@pytest.mark.parametrize("journal", ["ozh_notify_journal", "off"])
@pytest.mark.parametrize(
    ("method", "count"), [("set_when_sent", 3), ("closed_reason", 14), ("period_end", 6)]
)
def test_a_bug_in_mid_pass_ends_it_and_hides_nothing(
    method: str,
    count: int,
    journal: str,
    ozh: Ozh,
    users: Users,
    bot_api: BotApiServer,
    tmp_path: Path,
) -> None:
    """70, the traceback and the true counts; 74 where it kept a delivery from being recorded.

    `closed_reason` fails where messages are sent, the others where outcomes are written to the
    user's document: then the journal has them, and without a journal they stand nowhere.
    """
    users.insert_many(discount_users(30))
    files = {"broken.py": BUG.replace("METHOD", method).replace("COUNT", str(count))}
    (tmp_path / "broken.html").write_text("Hello!")
    result = ozh(
        "broken",
        "--json",
        "--rate",
        "40",
        PYTHONPATH=install(tmp_path / "site", "broken = broken:Broken", files),
        OZH_TEMPLATES_DIR=str(tmp_path),
        OZH_JOURNAL_COLLECTION=journal,
    )
    nowhere = method != "closed_reason" and journal == "off"
    assert result.code == (74 if nowhere else 70), result.err
    assert "Traceback" in result.err
    assert "RuntimeError: a bug beside" in result.err
    said = result.json()
    assert said["status"] == "error"
    assert "RuntimeError" in said["error"]
    assert said["run_id"]
    assert 1 <= said["sent"] == len(chats(bot_api)) < 30
    assert said["claimed"] + said["remaining"] == 30
    lost = check_told(users, bot_api, result, "broken")
    assert (lost > 0) is nowhere
    assert ("reconcile broken --mark-sent --user @LOG" in said["error"]) is nowhere
    left = states(users, "broken").count("sending")
    assert (left > 0) is (method != "closed_reason")
    assert left == lost or journal != "off"
    assert states(users, "broken").count("retry") <= said["retry"]


def test_a_bug_does_not_hide_an_outcome_that_was_held_back(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """A first refusal waits for a second one; without one it is the user's."""
    who = discount_users(20)
    users.insert_many(who)
    refusal = {"do": "error", "code": 400, "description": "Bad Request: message is too long"}
    bot_api.control.rules([{**refusal, "chat_id": who[0]["telegram_id"]}])
    files = {"broken.py": BUG.replace("METHOD", "closed_reason").replace("COUNT", "4")}
    (tmp_path / "broken.html").write_text("Hello!")
    site = install(tmp_path / "site", "broken = broken:Broken", files)
    ozh.environment.update(PYTHONPATH=site, OZH_TEMPLATES_DIR=str(tmp_path))
    result = ozh("broken", "--json", "--rate", "20")
    assert result.code == 70, result.err
    assert (result.json()["rejected"], result.json()["sent"]) == (1, 0)
    kept = states(users, "broken")
    assert kept[0] == "rejected"
    assert set(kept[1:]) == {"retry", ""}


def test_a_bug_in_the_recorder_stops_the_pass_at_once(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """It does not go on sending what it cannot record."""
    users.insert_many(discount_users(200))
    files = {"broken.py": BUG.replace("METHOD", "set_when_sent").replace("COUNT", "3")}
    (tmp_path / "broken.html").write_text("Hello!")
    site = install(tmp_path / "site", "broken = broken:Broken", files)
    ozh.environment.update(PYTHONPATH=site, OZH_TEMPLATES_DIR=str(tmp_path))
    result = ozh("broken", "--json", "--rate", "50")
    assert result.code == 70, result.err
    assert len(chats(bot_api)) < 100
