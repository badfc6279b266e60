"""An experiment in real passes: both arms claimed alike, controls silent, settings fixed."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pymongo
import pytest

from ozh_notify.effect.arms import Arm, arm_of
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import chats, deliveries, ended, failing, states, table_rows, wait_until
from tests.helpers.users import Users, bonus_user, discount_user

LATER = (datetime.now(timezone.utc) + timedelta(days=9)).date().isoformat()
SETTINGS: dict[str, Any] = {
    "OZH_DISCOUNT_HOLDOUT": "50",
    "OZH_DISCOUNT_EXPERIMENT": "spring",
    "OZH_DISCOUNT_EXPERIMENT_UNTIL": LATER,
}


def controls(users: Users, name: str = "spring", campaign: str = "discount") -> set[int]:
    """Chats that the documented hash holds out."""
    found = {int(chat) for chat in users.distinct("telegram_id")}
    return {chat for chat in found if arm_of(name, campaign, chat, 50) is Arm.CONTROL}


def test_controls_are_journalled_like_the_treated_and_get_no_message(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Same filter, same batch; no message, no flag, no turn of their own in the counts of sends."""
    users.insert_many(discount_user() for _ in range(40))
    held = controls(users)
    dry = ozh("discount", "--dry-run", "--json", **SETTINGS).json()
    assert dry["preview"]["held_out"] == len(held)
    rows = table_rows(ozh("discount", "--dry-run", **SETTINGS).out)
    assert rows["held out"] == str(len(held))
    assert rows["to be messaged"] == str(40 - len(held))
    result = ozh("discount", "--json", **SETTINGS)
    said = result.json()
    assert result.code == 0, result.err
    assert said["held_out"] == len(held)
    assert said["sent"] == 40 - len(held)
    assert said["claimed"] == 40
    assert set(chats(bot_api)) == set(users.distinct("telegram_id")) - held
    flagged = {u["telegram_id"] for u in users.find({"discount_offered": True})}
    assert flagged == set(chats(bot_api))
    journal = users.database.ozh_notify_journal
    entries = {e["chat_id"]: e for e in journal.find({"experiment": "spring"})}
    assert len(entries) == 40
    for chat, entry in entries.items():
        assert entry["arm"] == ("control" if chat in held else "treated")
        assert entry["state"] == ("held_out" if chat in held else "sent")
        assert entry["baseline"]["generations"] == 1
        assert entry["judge_at"] - entry["claimed_at"] == timedelta(days=7)
        assert entry["share"] == 50
    for chat, delivery in deliveries(users).items():
        assert delivery["state"] == ("held_out" if chat in held else "sent")
        assert delivery["hold_until"].year == 9999
    again = ozh("discount", "--json", **SETTINGS).json()
    assert (again["sent"], again["held_out"]) == (0, 0)
    assert journal.count_documents({"_id": "experiment:discount:spring", "share": 50}) == 1
    explained = ozh("explain", "discount", str(min(held)), **SETTINGS)
    assert "held_out" in explained.out


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"OZH_DISCOUNT_HOLDOUT": "20"}, "OZH_DISCOUNT_HOLDOUT"),
        ({"OZH_DISCOUNT_GOAL_DAYS": "3"}, "OZH_DISCOUNT_GOAL_DAYS"),
        ({"OZH_DISCOUNT_EXPERIMENT_UNTIL": "2099-01-01"}, "OZH_DISCOUNT_EXPERIMENT_UNTIL"),
    ],
)
def test_an_experiment_stays_as_it_began(
    changed: dict[str, Any], name: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """78, before anybody is claimed; under a new name it may differ."""
    users.insert_many(discount_user() for _ in range(4))
    assert ozh("discount", "--json", **SETTINGS).code == 0
    before = len(chats(bot_api))
    users.insert_many(discount_user() for _ in range(4))
    result = ozh("discount", "--json", **{**SETTINGS, **changed})
    assert result.code == 78
    assert name in result.err
    assert "a new name" in result.err
    assert len(chats(bot_api)) == before
    renamed = {**SETTINGS, **changed, "OZH_DISCOUNT_EXPERIMENT": "summer"}
    assert ozh("discount", "--json", **renamed).json()["claimed"] == 4


def test_after_its_last_day_everybody_is_messaged_and_the_controls_stay_held(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The discount is sent once; a control of the past is not messaged by `--again` either."""
    users.insert_many(discount_user() for _ in range(12))
    ozh("discount", "--json", **SETTINGS)
    held, first = controls(users), set(chats(bot_api))
    users.insert_many(discount_user() for _ in range(12))
    over = {**SETTINGS, "OZH_DISCOUNT_EXPERIMENT_UNTIL": "2020-01-01"}
    result = ozh("discount", "--json", **over)
    assert result.json()["sent"] == 12
    assert not held & set(chats(bot_api))
    assert len(set(chats(bot_api)) - first) == 12
    assert ozh("discount", "--again", "--json").json()["sent"] == 0


def test_a_user_that_a_person_named_is_not_part_of_the_experiment(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A control of the hash gets the message, and no arm."""
    users.insert_many(discount_user() for _ in range(12))
    chat = min(controls(users))
    result = ozh("discount", "--user", str(chat), "--json", **SETTINGS)
    assert result.json()["sent"] == 1
    assert chats(bot_api) == [chat]
    entry = users.database.ozh_notify_journal.find_one({"_id": f"discount:{chat}"})
    assert "experiment" not in (entry or {})


def test_a_control_that_a_person_names_afterwards_stays_held_out(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """An arm that lost its controls one by one would be compared with something else."""
    users.insert_many(discount_user() for _ in range(12))
    ozh("discount", "--json", **SETTINGS)
    chat, sent = min(controls(users)), sorted(chats(bot_api))
    for further in ((), ("--again",)):
        result = ozh("discount", "--user", str(chat), *further, "--json", **SETTINGS)
        assert result.json()["sent"] == 0
    assert sorted(chats(bot_api)) == sent


@pytest.mark.long
def test_again_splits_users_of_before_and_keeps_every_arm(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Users messaged before the experiment get an arm; those in an arm stay in it."""
    users.insert_many(discount_user() for _ in range(12))
    ozh("discount", "--json")
    before = set(users.distinct("telegram_id"))
    users.insert_many(discount_user() for _ in range(12))
    held = controls(users)
    ozh("discount", "--json", **SETTINGS)
    journal = users.database.ozh_notify_journal
    first = {e["chat_id"]: e for e in journal.find({"experiment": "spring"})}
    assert first.keys() == set(users.distinct("telegram_id")) - before
    users.update_many({}, {"$set": {"discount_offered": False}})
    result = ozh("discount", "--again", "--json", **SETTINGS).json()
    assert result["held_out"] == len(held & before)
    assert result["sent"] == 24 - len(held)
    then = {e["chat_id"]: e for e in journal.find({"experiment": "spring"})}
    assert then.keys() == first.keys() | before
    for chat, entry in then.items():
        assert entry["arm"] == ("control" if chat in held else "treated")
        assert entry["state"] == ("held_out" if chat in held else "sent")
    for chat, entry in first.items():
        for key in ("arm", "share", "baseline", "judge_at"):
            assert then[chat][key] == entry[key]


@pytest.mark.long
def test_a_resend_keeps_the_arm_the_baseline_and_the_day_of_the_judgement(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A delivery that was settled by hand is judged like all others."""
    users.insert_many(discount_user() for _ in range(12))
    bot_api.control.rules([{"do": "cut_after", "skip": 1, "times": 1}])
    ozh("discount", "--json", **SETTINGS)
    journal = users.database.ozh_notify_journal
    first = {e["chat_id"]: e for e in journal.find({"state": "unknown"})}
    assert len(first) == 1
    resent = ozh("reconcile", "discount", "--resend", "--yes", "--json")
    assert resent.code == 0, resent.err
    assert ozh("discount", "--json", **SETTINGS).json()["sent"] == 1
    for chat, entry in first.items():
        now = journal.find_one({"_id": f"discount:{chat}"}) or {}
        assert now["state"] == "sent"
        for key in ("experiment", "arm", "share", "baseline", "judge_at"):
            assert now[key] == entry[key]
    assert not controls(users) & set(chats(bot_api))


def test_shards_and_a_limit_keep_both_arms_comparable(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The limit counts both arms; every chat has the arm of the hash in every shard."""
    users.insert_many(discount_user() for _ in range(24))
    held = controls(users)
    limited = ozh("discount", "--limit", "6", "--json", **SETTINGS).json()
    assert limited["claimed"] == limited["sent"] + limited["held_out"] == 6
    for shard in ("0/2", "1/2"):
        assert ozh("discount", "--shard", shard, "--json", **SETTINGS).code == 0
    assert set(chats(bot_api)) == set(users.distinct("telegram_id")) - held
    assert len(chats(bot_api)) == 24 - len(held)


def test_a_control_of_the_daily_bonus_is_free_the_next_day(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Its hold ends with the local day."""
    users.insert_many(bonus_user() for _ in range(12))
    settings = {name.replace("DISCOUNT", "DAILY_BONUS"): v for name, v in SETTINGS.items()}
    result = ozh("daily-bonus", "--json", **settings)
    held = controls(users, campaign="daily-bonus")
    assert result.json()["held_out"] == len(held)
    ends = {d["hold_until"] for d in deliveries(users, "daily_bonus").values()}
    [midnight] = ends
    assert timedelta() < midnight - datetime.now(timezone.utc) <= timedelta(days=1)


def test_a_document_erased_by_a_backend_keeps_its_arm(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The journal holds the control; nobody who was held out gets a message."""
    users.insert_many(discount_user() for _ in range(16))
    ozh("discount", "--json", **SETTINGS)
    sent = sorted(chats(bot_api))
    users.update_many({}, {"$unset": {"ozh_notify": ""}, "$set": {"discount_offered": False}})
    result = ozh("discount", "--json", **SETTINGS).json()
    assert result["duplicates"] == 16
    assert sorted(chats(bot_api)) == sent
    states = {d["state"] for d in deliveries(users).values()}
    assert states == {"sent", "held_out"}


def test_a_pass_judges_who_is_due(ozh: Ozh, users: Users) -> None:
    """The first pass after `judge_at` writes the goal."""
    users.insert_many(discount_user() for _ in range(6))
    ozh("discount", "--json", **SETTINGS)
    journal = users.database.ozh_notify_journal
    past = datetime.now(timezone.utc) - timedelta(days=1)
    journal.update_many({"experiment": "spring"}, {"$set": {"judge_at": past}})
    users.update_one({}, {"$set": {"generations_count": 5}})
    ozh("discount", "--json", **SETTINGS)
    goals = [e["goal"] for e in journal.find({"judged_at": {"$exists": True}})]
    assert sorted(goals) == [False] * 5 + [True]


@pytest.mark.long
def test_a_signal_while_the_experiment_is_written_ends_the_pass_in_time(
    ozh: Ozh, users: Users, bot_api: BotApiServer, mongo_client: pymongo.MongoClient[Any]
) -> None:
    """The first claim of an experiment hangs in MongoDB: 75 within 10 s, and nobody is claimed."""
    users.insert_many(discount_user() for _ in range(2000))
    journal = users.database.ozh_notify_journal
    block = {"blockConnection": True, "blockTimeMS": 30_000}
    process = ozh.start("discount", "--json", **SETTINGS)
    wait_until(lambda: journal.count_documents({"campaign": "discount"}), "the pass begun")
    with failing(mongo_client, "alwaysOn", failCommands=["insert"], **block):
        time.sleep(2)
        at = time.monotonic()
        process.terminate()
        result = ended(ozh, process, 90)
        took = time.monotonic() - at
    assert journal.count_documents({"_id": "experiment:discount:spring"}) == 0
    assert took < 10, took
    assert result.code == 75, result.err
    assert set(states(users)) == {""}
    assert chats(bot_api) == []
