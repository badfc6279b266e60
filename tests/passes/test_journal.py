"""The journal in a pass: nobody gets a second message, whatever a backend does to the documents."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import (
    FAR,
    chats,
    check_states,
    deliveries,
    ended,
    failing,
    states,
    wait_until,
)
from tests.helpers.users import Client, Users, ago, bonus_user, discount_users, now

LEASE = timedelta(seconds=120 + 20, minutes=10)


@pytest.fixture
def journal(users: Users) -> Users:
    """The journal beside the users."""
    return users.database.ozh_notify_journal


def erase(users: Users) -> None:
    """A backend saves whole documents as it read them before the pass."""
    users.update_many({}, {"$unset": {"ozh_notify": ""}, "$set": {"discount_offered": False}})


def test_each_message_has_an_entry_with_what_came_of_it(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """The same as in the user's document, and who, when and by which pass."""
    users.insert_many(discount_users(3))
    result = ozh("discount", "--json").json()
    assert (result["sent"], result["duplicates"], result["overwritten"]) == (3, 0, 0)
    for user in users.find():
        chat, delivery = user["telegram_id"], user["ozh_notify"]["discount"]
        entry = journal.find_one({"_id": f"discount:{chat}"})
        assert entry
        for key in ("state", "run", "at", "attempts", "message_id"):
            assert entry[key] == delivery[key], key
        assert (entry["campaign"], entry["chat_id"], entry["user"]) == (
            "discount", chat, user["_id"],
        )  # fmt: skip
        assert entry["claim"] == f"{result['run_id']}-1"
        assert entry["claimed_at"] <= entry["at"]
        assert "journal" not in delivery


def test_documents_saved_over_their_delivery_state_cost_nobody_a_second_message(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """They are claimed, found in the journal, repaired with the flag, and counted; not sent."""
    users.insert_many(discount_users(12))
    assert ozh("discount", "--json").json()["sent"] == 12
    before = list(users.find().sort("_id"))
    erase(users)
    again = ozh("discount", "--json")
    result = again.json()
    assert (again.code, result["claimed"], result["duplicates"]) == (0, 12, 12), again.err
    assert (result["sent"], result["remaining"], result["skipped"]) == (0, 0, 0)
    assert len(chats(bot_api)) == 12
    assert again.err.count("dealt with") == 1
    assert "12 claimed users were not messaged" in again.err
    assert list(users.find().sort("_id")) == before
    assert ozh("discount", "--json").json()["eligible"] == 0


@pytest.mark.long
def test_the_daily_reminder_is_of_the_day_and_comes_again_the_next(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """An entry of yesterday holds nobody today."""
    users.insert_many(bonus_user() for _ in range(2))
    assert ozh("daily-bonus", "--json").json()["sent"] == 2
    users.update_many({}, {"$unset": {"ozh_notify": ""}})
    assert ozh("daily-bonus", "--json").json()["duplicates"] == 2
    today = datetime.now(timezone.utc).date()
    for entry in list(journal.find({"campaign": "daily-bonus", "state": "sent"})):
        assert entry["_id"] == f"daily-bonus:{entry['chat_id']}:{today.isoformat()}"
        assert entry["expires_at"] == entry["claimed_at"] + timedelta(days=400)
        journal.delete_one({"_id": entry["_id"]})
        yesterday = (today - timedelta(days=1)).isoformat()
        journal.insert_one({**entry, "_id": f"daily-bonus:{entry['chat_id']}:{yesterday}"})
    users.update_many({}, {"$unset": {"ozh_notify": ""}})
    assert ozh("daily-bonus", "--json").json()["sent"] == 2


def test_a_chat_in_several_documents_gets_one_message(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """Whatever type each writes the chat id in, in one batch or in several; all end as `sent`."""
    one = discount_users(1)[0]
    one.pop("_id", None)
    forms = [5001, "5001", 5001.0, 5001]
    users.insert_many([{**one, "telegram_id": form} for form in forms])
    users.insert_many(discount_users(30))
    result = ozh("discount", "--json", "--rate", "50")
    assert result.code == 0, result.err
    assert (result.json()["sent"], result.json()["duplicates"]) == (31, 3)
    assert result.json()["claimed"] == 34
    assert chats(bot_api).count(5001) == 1
    same = list(users.find({"telegram_id": {"$in": forms}}))
    assert {u["ozh_notify"]["discount"]["state"] for u in same} == {"sent"}
    assert len({u["ozh_notify"]["discount"]["message_id"] for u in same}) == 1
    assert {u["discount_offered"] for u in same} == {True}
    assert users.count_documents({"ozh_notify.discount.state": "sending"}) == 0
    assert journal.count_documents({"chat_id": 5001}) == 1


def test_a_second_document_made_after_the_message_is_found_out(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """As a race at /start makes one."""
    [user] = discount_users(1)
    users.insert_one(dict(user))
    assert ozh("discount", "--json").json()["sent"] == 1
    users.insert_one({**user, "telegram_id": str(user["telegram_id"])})
    result = ozh("discount", "--json").json()
    assert (result["sent"], result["duplicates"]) == (0, 1)
    assert len(chats(bot_api)) == 1


@pytest.mark.long
@pytest.mark.parametrize("state", ["unreachable", "rejected", "retry"])
def test_what_was_not_delivered_is_taken_over_when_the_hold_is_over(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer, state: str
) -> None:
    """Its entry does not hold."""
    [user] = discount_users(1)
    users.insert_one(user)
    assert ozh("discount", "--json").json()["sent"] == 1
    bot_api.control.reset()
    old = {"state": state, "error": "blocked", "at": ago(days=31), "claim": "old-1"}
    journal.update_one({"chat_id": user["telegram_id"]}, {"$set": old})
    erase(users)
    assert ozh("discount", "--json").json()["sent"] == 1
    entry = journal.find_one({"chat_id": user["telegram_id"]})
    assert entry
    assert (entry["state"], entry.get("error")) == ("sent", None)


@pytest.mark.long
def test_again_sends_once_more_and_the_journal_remembers_both(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """`--again` is meant, once; the same option on another day is meant once more."""
    users.insert_many(discount_users(2))
    first = ozh("discount", "--json").json()["run_id"]
    users.update_many({}, {"$set": {"discount_offered": False}})
    result = ozh("discount", "--again", "--json").json()
    assert (result["sent"], result["duplicates"]) == (2, 0)
    for entry in journal.find({"campaign": "discount", "state": "sent"}):
        [before] = entry["previous"]
        assert (before["run"], before["state"]) == (first, "sent")
        assert before["message_id"] != entry["message_id"]
    assert len(chats(bot_api)) == 4


def test_again_messages_nobody_whose_document_alone_was_erased(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """An erased document says nothing of `sent`; the entry does, so it is sent again on purpose."""
    users.insert_many(discount_users(2))
    assert ozh("discount", "--json").json()["sent"] == 2
    erase(users)
    assert ozh("discount", "--json").json()["duplicates"] == 2
    assert len(chats(bot_api)) == 2


@pytest.mark.long
def test_an_outcome_of_a_replaced_document_is_kept_by_the_journal(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """It is counted, a warning says so, and the next pass repairs the document; no error."""
    users.insert_many(discount_users(3))
    bot_api.control.rules([{"do": "slow", "seconds": 1, "skip": 2}])
    process = ozh.start("discount", "--json")
    wait_until(lambda: states(users).count("sent") == 2, "two recorded")
    wait_until(lambda: len(chats(bot_api)) == 3, "the third is sent")
    erase(users)
    result = ended(ozh, process)
    said = result.json()
    assert (result.code, said["sent"], said["overwritten"], said["unrecorded"]) == (0, 3, 1, 0)
    assert "1 user document" in result.err
    assert ozh("discount", "--json").json()["duplicates"] == 3
    check_states(users, bot_api)


# --- the journal fails ---


@pytest.mark.long
@pytest.mark.parametrize("code", [13, 20])
def test_a_journal_that_refuses_ends_the_pass_and_messages_nobody(
    ozh: Ozh, users: Users, mongo_client: Client, bot_api: BotApiServer, code: int
) -> None:
    """What was claimed is given back, so that the next pass takes it."""
    users.insert_many(discount_users(5))
    with failing(mongo_client, "alwaysOn", failCommands=["insert"], errorCode=code):
        result = ozh("discount", "--json")
    assert result.code == 78, result.err
    assert chats(bot_api) == []
    assert set(states(users)) <= {"retry", ""}
    assert ozh("discount", "--json").json()["sent"] == 5


@pytest.mark.long
def test_with_the_journal_off_a_pass_works_as_without_one(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """No entry, no mark in the claim; what only the journal can promise is gone."""
    users.insert_many(discount_users(3))
    result = ozh("discount", "--json", OZH_JOURNAL_COLLECTION="off")
    assert (result.code, result.json()["sent"], result.json()["duplicates"]) == (0, 3, 0)
    assert journal.count_documents({}) == 0
    erase(users)
    assert ozh("discount", "--json", OZH_JOURNAL_COLLECTION="off").json()["sent"] == 3
    assert len(chats(bot_api)) == 6


# --- the sweep ---


def crashed(ozh: Ozh, users: Users, bot_api: BotApiServer, count: int = 3) -> None:
    """A pass is killed while its messages are under way, and its lease is over."""
    users.insert_many(discount_users(count))
    bot_api.control.rules([{"do": "hang_after", "seconds": 30}])
    process = ozh.start("discount", "--json")
    wait_until(lambda: len(chats(bot_api)) == 1, "a message whose answer hangs")
    wait_until(lambda: states(users).count("sending") == count, "all claimed")
    process.kill()
    process.communicate()
    bot_api.control.rules([])


def lapse(users: Users, journal: Users) -> None:
    """The lease of every claim is over."""
    past = ago(minutes=20)
    users.update_many(
        {"ozh_notify.discount.state": "sending"},
        {"$set": {"ozh_notify.discount.hold_until": past + LEASE}},
    )
    journal.update_many({"state": "sending"}, {"$set": {"claimed_at": past}})


def test_a_crash_leaves_both_in_doubt_and_a_person_settles_both(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """`unknown` in the document and in the entry; nothing is sent twice."""
    crashed(ozh, users, bot_api)
    lapse(users, journal)
    result = ozh("discount", "--json").json()
    assert (result["swept"], result["sent"]) == (3, 0)
    assert states(users) == ["unknown"] * 3
    assert journal.count_documents({"state": "unknown"}) == 3
    assert len(chats(bot_api)) == 1


def test_a_claim_without_an_entry_was_never_sent(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """So the sweep gives it back, and the very pass sends it."""
    crashed(ozh, users, bot_api)
    lapse(users, journal)
    messaged = chats(bot_api)[0]
    journal.delete_many({"chat_id": {"$ne": messaged}, "state": "sending"})
    result = ozh("discount", "--json").json()
    assert (result["swept"], result["sent"], result["unknown"]) == (1, 2, 0)
    assert sorted(states(users)) == ["sent", "sent", "unknown"]
    assert len(set(chats(bot_api))) == len(chats(bot_api)) == 3


@pytest.mark.long
def test_a_claim_of_an_earlier_version_or_without_the_journal_stays_in_doubt(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """It says nothing of a journal, so that no entry of it proves nothing."""
    crashed(ozh, users, bot_api)
    lapse(users, journal)
    journal.delete_many({})
    users.update_many({}, {"$unset": {"ozh_notify.discount.journal": ""}})
    result = ozh("discount", "--json").json()
    assert (result["swept"], result["sent"]) == (3, 0)
    assert states(users) == ["unknown"] * 3


@pytest.mark.long
def test_a_claim_made_with_the_journal_stays_in_doubt_where_it_is_off_now(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """Nobody looks into the journal, so that nobody knows."""
    crashed(ozh, users, bot_api)
    lapse(users, journal)
    result = ozh("discount", "--json", OZH_JOURNAL_COLLECTION="off").json()
    assert (result["swept"], result["sent"]) == (3, 0)
    assert states(users) == ["unknown"] * 3


def test_a_lapsed_claim_takes_over_the_outcome_that_its_entry_knows(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """The pass was killed between its two writes."""
    crashed(ozh, users, bot_api)
    lapse(users, journal)
    ids = [u["telegram_id"] for u in users.find().sort("_id")]
    for chat, state in zip(ids, ("sent", "unreachable", "retry"), strict=True):
        known = {"state": state, "at": now(), "message_id": 77} if state == "sent" else {
            "state": state, "at": now(), "error": "known",
        }  # fmt: skip
        journal.update_one({"chat_id": chat}, {"$set": known})
    result = ozh("discount", "--json", "--limit", "1").json()
    assert result["swept"] == 0
    stored = deliveries(users)
    assert (stored[ids[0]]["state"], stored[ids[0]]["message_id"]) == ("sent", 77)
    assert stored[ids[0]]["hold_until"] == FAR
    assert (stored[ids[1]]["state"], stored[ids[1]]["error"]) == ("unreachable", "known")
    assert stored[ids[1]]["hold_until"] > now() + timedelta(days=29)
    assert stored[ids[2]]["state"] == "sent"  # it was in `retry`, so the pass has taken it
    offered = [u["discount_offered"] for u in users.find().sort("_id")]
    assert offered == [True, False, True]


@pytest.mark.long
def test_a_crash_whose_documents_were_saved_over_is_in_doubt_all_the_same(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """The entries are left in `sending`; they become `unknown`, and hold."""
    crashed(ozh, users, bot_api)
    lapse(users, journal)
    erase(users)
    result = ozh("discount", "--json").json()
    assert (result["swept"], result["sent"], result["duplicates"]) == (3, 0, 3)
    assert states(users) == ["unknown"] * 3
    assert len(chats(bot_api)) == 1


@pytest.mark.long
def test_documents_saved_over_between_crash_and_lease_end_hold_nobody_twice(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """Another's `sending` entry holds: the document gets its claim back, and is swept later."""
    crashed(ozh, users, bot_api)
    claims = {d["claim"] for d in deliveries(users).values()}
    erase(users)
    result = ozh("discount", "--json").json()
    assert (result["sent"], result["duplicates"]) == (0, 3)
    assert {d["claim"] for d in deliveries(users).values()} == claims
    assert states(users) == ["sending"] * 3
    lapse(users, journal)
    assert ozh("discount", "--json").json()["swept"] == 3
    assert states(users) == ["unknown"] * 3
    assert len(chats(bot_api)) == 1


def test_an_outcome_that_only_the_document_has_is_told_to_the_journal(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """The journal could not be written to in that moment."""
    users.insert_many(discount_users(2))
    assert ozh("discount", "--json").json()["sent"] == 2
    past = {"state": "sending", "at": ago(minutes=30), "claimed_at": ago(minutes=30)}
    journal.update_many({"campaign": "discount", "state": "sent"}, {"$set": past})
    assert ozh("discount", "--json").json()["swept"] == 0
    assert journal.count_documents({"state": "sent", "campaign": "discount"}) == 2
    assert len(chats(bot_api)) == 2


def test_what_was_surely_not_sent_is_sent_by_the_next_pass_though_the_journal_missed_it(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """Also before the lease is over: the pass that claimed them has told their documents."""
    users.insert_many(discount_users(2))
    bot_api.control.rules([{"do": "flood", "retry_after": 3600}])
    assert ozh("discount", "--json").json()["retry"] == 2
    just_now = {"state": "sending", "at": ago(seconds=5), "claimed_at": ago(seconds=5)}
    journal.update_many({"campaign": "discount", "state": "retry"}, {"$set": just_now})
    assert journal.count_documents({"campaign": "discount", "state": "sending"}) > 0
    bot_api.control.rules([])
    assert ozh("discount", "--json").json()["sent"] == 2
    assert sorted(chats(bot_api)) == sorted(u["telegram_id"] for u in users.find())


# --- rights, bots and passes ---


@pytest.mark.long
@pytest.mark.parametrize("command", ["find", "insert", "update"])
def test_a_missing_right_on_the_journal_is_named_before_anybody_is_claimed(
    ozh: Ozh, users: Users, mongo_client: Client, bot_api: BotApiServer, command: str
) -> None:
    """78 with the right, the collection, and what to do."""
    users.insert_many(discount_users(3))
    before = list(users.find())
    with failing(mongo_client, "alwaysOn", failCommands=[command], errorCode=13):
        result = ozh("discount", "--json")
    place = f"{users.database.name}.ozh_notify_journal"
    assert result.code == 78
    assert f"does not let this account {command} in the journal {place}" in result.json()["error"]
    assert "OZH_JOURNAL_COLLECTION=off" in result.json()["error"]
    assert list(users.find()) == before
    assert chats(bot_api) == []


OTHER_TOKEN = "123456789:BBtests-only-token_of-another-bot-x"


def test_a_token_of_another_bot_messages_nobody_unless_it_is_meant(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """The journal knows who delivered last; `--new-bot` accepts the new one, once."""
    users.insert_many(discount_users(2))
    assert ozh("discount", "--json", "--limit", "1").json()["sent"] == 1
    first = journal.find_one({"_id": "bot"})
    assert first
    assert first["bot_id"] == int(ozh.environment["TELEGRAM_BOT_TOKEN"].partition(":")[0])
    journal.update_one({"_id": "bot"}, {"$set": {"bot_id": 1, "username": "old_bot"}})
    before = list(users.find())
    refused = ozh("discount", "--json")
    assert (refused.code, refused.json()["status"]) == (78, "error")
    assert "@old_bot" in refused.json()["error"]
    assert "--new-bot" in refused.json()["error"]
    assert list(users.find()) == before
    meant = ozh("discount", "--json", "--new-bot")
    assert (meant.code, meant.json()["sent"]) == (0, 1), meant.err
    assert journal.find_one({"_id": "bot"}, {"since": 0}) == {
        "_id": "bot", "bot_id": first["bot_id"], "username": first["username"],
    }  # fmt: skip
    assert ozh("discount", "--json").code == 0


def test_a_bot_that_delivered_nothing_is_not_remembered(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """A pass without a message does not show which bot these users know."""
    users.insert_many(bonus_user() for _ in range(2))
    assert ozh("discount", "--json").json()["sent"] == 0
    assert journal.find_one({"_id": "bot"}) is None


@pytest.mark.long
def test_each_pass_leaves_a_document_that_says_how_it_ended(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """The keys of its result; of one that sent nothing or was refused, too; not of a dry run."""
    users.insert_many(discount_users(3))
    refused = ozh("discount", "--json", "--max-recipients", "1").json()
    sent = ozh("discount", "--json").json()
    nobody = ozh("discount", "--json").json()
    assert ozh("discount", "--dry-run").code == 0
    runs = {run["run_id"]: run for run in journal.find({"_id": {"$regex": "^run:"}})}
    assert list(runs) == [said["run_id"] for said in (refused, sent, nobody)]
    for said in (refused, sent, nobody):
        run = runs[said["run_id"]]
        assert run["_id"] == f"run:{said['run_id']}"
        assert run["expires_at"] == run["started_at"] + timedelta(days=400)
        assert {key: run[key] for key in said if not key.endswith("_at")} == {
            key: value for key, value in said.items() if not key.endswith("_at")
        }
    assert [run["status"] for run in runs.values()] == ["refused", "ok", "ok"]


def test_a_killed_pass_is_left_running_in_the_journal(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """So that it is known that there was one."""
    crashed(ozh, users, bot_api)
    [run] = journal.find({"_id": {"$regex": "^run:"}})
    assert run["status"] == "running"


def test_a_pass_that_was_interrupted_says_so_in_the_journal(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """Within the ten seconds after a signal."""
    users.insert_many(discount_users(20))
    process = ozh.start("discount", "--json", "--rate", "10")
    wait_until(lambda: len(chats(bot_api)) >= 2, "two messages")
    process.terminate()
    result = ended(ozh, process)
    assert result.code == 75
    [run] = journal.find({"_id": {"$regex": "^run:"}})
    assert (run["status"], run["sent"]) == ("incomplete", result.json()["sent"])
    assert run["claimed"] == result.json()["claimed"]


def test_an_odd_entry_spares_its_chat_and_stops_nobody_else(
    ozh: Ozh, users: Users, journal: Users, bot_api: BotApiServer
) -> None:
    """Somebody wrote it by hand, or a later version did."""
    who = discount_users(5)
    users.insert_many(who)
    spared = who[2]["telegram_id"]
    journal.insert_one({"_id": f"discount:{spared}", "campaign": "discount", "state": "sent"})
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert sorted(chats(bot_api)) == sorted({w["telegram_id"] for w in who} - {spared})
    assert "is odd" in result.err
