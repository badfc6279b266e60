"""Claims: which users are taken, that none is taken twice, and what the sweep does."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import (
    FAR,
    MovableClock,
    chats,
    check_states,
    deliveries,
    ended,
    states,
    wait_until,
)
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    discount_users,
    now,
)

LEASE = timedelta(seconds=120 + 20, minutes=10)
"""Flood budget, send limit and ten minutes, all as they are by default."""


def claimed(**fields: Any) -> dict[str, Any]:
    """A delivery as a killed pass leaves it."""
    at = ago(minutes=20)
    delivery = {"state": "sending", "hold_until": at + LEASE, "claim": "run-1-1", "run": "run-1"}
    return {**delivery, "at": at, "attempts": 1, **fields}


# --- the sweep ---


def test_a_lapsed_claim_is_swept_to_unknown_and_not_sent(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """It keeps claim, run and attempts; a claim that still holds is left alone; neither is sent."""
    lapsed = discount_user(ozh_notify={"discount": claimed()})
    alive = claimed(at=ago(minutes=1), hold_until=now() + timedelta(minutes=5))
    holding = discount_user(ozh_notify={"discount": alive})
    users.insert_many([lapsed, holding, discount_user()])
    began = now()
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert (result.json()["swept"], result.json()["eligible"], result.json()["sent"]) == (1, 1, 1)
    assert "1 delivery of an earlier pass became unknown" in result.err
    stored = deliveries(users)
    swept = stored[lapsed["telegram_id"]]
    assert (swept["state"], swept["hold_until"]) == ("unknown", FAR)
    assert (swept["claim"], swept["run"], swept["attempts"]) == ("run-1-1", "run-1", 1)
    assert swept["at"] >= began
    assert swept["error"]
    assert stored[holding["telegram_id"]] == alive
    assert ozh("discount", "--json").json()["eligible"] == 0
    assert len(chats(bot_api)) == 1


def test_a_sending_user_is_claimed_by_no_pass_whatever_the_hold(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Without a hold or with one that is over: only the sweep takes the user."""
    bare = {"state": "sending", "at": ago(days=2), "run": "run-1"}
    odd = [bare, {**bare, "hold_until": ago(days=1)}, {**bare, "hold_until": None, "claim": "x"}]
    users.insert_many(discount_user(ozh_notify={"discount": delivery}) for delivery in odd)
    for options in ((), ("--again",)):
        result = ozh("discount", "--json", *options)
        assert (result.code, result.json()["eligible"]) == (0, 0), result.err
    assert list(deliveries(users).values()) == odd
    assert chats(bot_api) == []


def test_a_claim_of_yesterday_holds_until_the_midnight_after_its_own_day(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The daily bonus: a later sweep does not cost the user today's reminder."""
    yesterday = claimed(at=ago(days=1), hold_until=ago(hours=23))
    users.insert_one(bonus_user(registered_at=ago(hours=40), ozh_notify={"daily_bonus": yesterday}))
    result = ozh("daily-bonus", "--json")
    assert (result.json()["swept"], result.json()["sent"]) == (1, 1), result.err
    [delivery] = deliveries(users, "daily_bonus").values()
    assert delivery["state"] == "sent"
    assert delivery["attempts"] == 1, "attempts count within the period"
    assert "claim" not in delivery


ODD_SLOTS = (
    {"discount": [claimed()]},
    [{"discount": claimed()}],
    {"discount": claimed(claim={"$gt": ""})},
    {"discount": claimed(claim={"$nonsense": 1})},
    {"discount": claimed(claim=["run-1-1"])},
    {"discount": claimed(at="yesterday", run=None, attempts="many")},
    {"discount": claimed(hold_until=[ago(days=1)])},
)


def test_an_odd_claim_stops_neither_the_sweep_nor_the_pass(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A value that a backend wrote there holds back neither the others nor that user."""
    users.insert_many(discount_user(ozh_notify=odd) for odd in ODD_SLOTS)
    fine = discount_user()
    users.insert_many([discount_user(ozh_notify={"discount": claimed()}), fine])
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert (result.json()["sent"], chats(bot_api)) == (1, [fine["telegram_id"]])
    assert result.json()["swept"] >= 1


# --- the claim ---


def test_a_claim_says_in_the_document_what_is_about_to_happen(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """`sending`, the lease, claim, run and time are there before the message; of the earlier
    delivery neither message id nor error stays."""
    earlier = {"state": "unreachable", "hold_until": ago(days=1), "at": ago(days=31)}
    earlier |= {"attempts": 4, "message_id": 5, "error": "blocked", "run": "run-0"}
    users.insert_one(discount_user(ozh_notify={"muted": False, "discount": earlier}))
    bot_api.control.rules([{"do": "hang_before", "seconds": 30}])
    process = ozh.start("discount", "--json")
    wait_until(lambda: "sendMessage" in bot_api.control.requests()["by_method"], "the request")
    [delivery] = deliveries(users).values()
    process.kill()
    process.communicate()
    kept = {"state", "hold_until", "claim", "journal", "run", "at", "attempts"}
    assert set(delivery) == kept
    assert delivery["state"] == "sending"
    assert delivery["claim"].startswith(delivery["run"])
    assert delivery["hold_until"] == delivery["at"] + LEASE
    assert delivery["attempts"] == 5
    assert (users.find_one() or {})["ozh_notify"]["muted"] is False


def test_the_closing_line_counts_what_other_runs_have_in_hand(ozh: Ozh, users: Users) -> None:
    """After a `kill -9` nobody has to wait for the lease to learn of it."""
    alive = {"state": "sending", "claim": "run-1-1", "run": "run-1", "at": ago(minutes=1)}
    held = {**alive, "hold_until": ago(minutes=-9), "journal": True}
    users.insert_many(discount_user(ozh_notify={"discount": held}) for _ in range(2))
    users.insert_one(discount_user())
    result = ozh("discount", "--json")
    assert (result.code, result.json()["sent"]) == (0, 1)
    assert "sent 1, sending of other runs 2, took" in result.err
    users.delete_many({"ozh_notify.discount.state": "sending"})
    assert "sending of other runs" not in ozh("discount", "--json").err


CHANGES: dict[str, dict[str, Any]] = {
    "buys": {"$set": {"balance": 5}},
    "makes another picture": {"$inc": {"generations_count": 1}},
    "was offered by somebody else": {"$set": {"discount_offered": True}},
    "is muted": {"$set": {"ozh_notify.muted": True}},
}


def test_a_user_who_stops_qualifying_between_scan_and_claim_is_not_messaged(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """They are counted as skipped, deleted users too; their documents are left alone."""
    who = discount_users(20)
    users.insert_many(who)
    process = ozh.start("discount", "--json", "--rate", "8")
    wait_until(lambda: chats(bot_api), "the first message")
    leaving = who[-len(CHANGES) - 1 :]
    for change, user in zip(CHANGES.values(), leaving, strict=False):
        users.update_one({"_id": user["_id"]}, change)
    users.delete_one({"_id": leaving[-1]["_id"]})
    result = ended(ozh, process)
    assert result.code == 0, result.err
    said = result.json()
    assert (said["eligible"], said["sent"], said["skipped"]) == (20, 15, 5)
    assert chats(bot_api) == [user["telegram_id"] for user in who[:15]]
    left = [deliveries(users)[user["telegram_id"]] for user in leaving[:-1]]
    assert left == [{}, {}, {}, {}]
    check_states(users, bot_api)


def test_a_chat_id_that_became_unusable_is_left_in_retry_and_reported(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Claimed and not sent: 75 says that something was left; the next pass calls it invalid."""
    who = discount_users(20)
    users.insert_many(who)
    process = ozh.start("discount", "--json", "--rate", "8")
    wait_until(lambda: chats(bot_api), "the first message")
    users.update_one({"_id": who[-1]["_id"]}, {"$set": {"telegram_id": "nobody"}})
    result = ended(ozh, process)
    assert result.code == 75, result.err
    said = result.json()
    assert (said["sent"], said["retry"], said["remaining"]) == (19, 1, 0)
    assert said["error"] == "1 delivery left in retry: run it again"
    left = deliveries(users)["nobody"]  # type: ignore[index]
    assert (left["state"], left["attempts"]) == ("retry", 0)
    assert (ozh("discount", "--json").json()["invalid"], len(chats(bot_api))) == (1, 19)


def test_two_passes_at_once_message_each_user_once(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Losing a claim is normal; together the passes reach everybody."""
    users.insert_many(discount_users(120))
    bot_api.control.settings(latency_ms=20)
    running = [ozh.start("discount", "--json", "--rate", "60") for _ in range(2)]
    results = [ended(ozh, p, 60) for p in running]
    assert [r.code for r in results] == [0, 0], results
    said = [r.json() for r in results]
    assert sum(s["sent"] for s in said) == len(chats(bot_api)) == 120
    assert all(s["eligible"] == s["sent"] + s["skipped"] for s in said)
    check_states(users, bot_api)


def test_a_send_starts_only_while_its_claim_is_young(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """A machine that slept sends nothing on an old claim: the claim is given back.

    Both batches claimed before the clock jumps are too old then; users claimed after that get
    their messages.
    """
    users.insert_many(discount_users(12))
    clock = MovableClock(tmp_path)
    ozh.environment.update(clock.variables)
    process = ozh.start("discount", "--json", "--rate", "2")
    wait_until(lambda: chats(bot_api), "the first message")
    wait_until(lambda: states(users).count("sending") == 2, "two users claimed ahead")
    clock.set(8 * 60)
    result = ended(ozh, process, 40)
    assert result.code == 75, result.err
    said = result.json()
    # One message may have been on its way between the two looks at the clock.
    assert 1 <= said["retry"] <= 2
    assert said["sent"] == 12 - said["retry"]
    back = [delivery for delivery in deliveries(users).values() if delivery["state"] == "retry"]
    assert {(delivery["error"], delivery["attempts"]) for delivery in back} == {
        ("the claim was too old to send", 0)
    }
    check_states(users, bot_api)


# --- the confirm ---


def recipient(user: dict[str, Any], claim: str) -> Any:
    """A claimed user."""
    from ozh_notify.users.recipient import Recipient

    return Recipient(
        user["_id"], user["telegram_id"], "", "", claim, ago(minutes=20), time.monotonic(), 1
    )


def opened(ozh: Ozh) -> Any:
    """The store of the discount on the test's database, without a journal."""
    from ozh_notify.campaigns import registry
    from ozh_notify.config.load import load
    from ozh_notify.mongo.journaled_pass_store import JournaledPassStore

    loaded, _ = load(None, {**ozh.environment, "OZH_JOURNAL_COLLECTION": "off"})
    return JournaledPassStore(loaded, registry()["discount"](loaded))


def sent(user: dict[str, Any], claim: str, message_id: int = 77) -> Any:
    """The record of a delivered message."""
    from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State

    return OutcomeRecord(recipient(user, claim), Outcome(State.SENT, message_id), "run-1", now())


async def test_a_late_confirm_finds_its_claim_after_the_sweep(ozh: Ozh, users: Users) -> None:
    """(l) the pass that was thought dead had delivered: `unknown` -> `sent`, with the flag."""
    late = discount_user(ozh_notify={"discount": claimed()})
    users.insert_one(late)
    store = opened(ozh)
    assert await store.sweep(now()) == 1
    assert states(users) == ["unknown"]
    for _ in range(2):  # again, as after a doubtful answer
        assert not (await store.confirm([sent(late, "run-1-1")])).unrecorded
    await store.close()
    [delivery] = deliveries(users).values()
    assert (delivery["state"], delivery["message_id"], delivery["hold_until"]) == ("sent", 77, FAR)
    assert "claim" not in delivery
    assert users.count_documents({"discount_offered": True}) == 1


OTHERS: dict[str, Any] = {
    "claimed by another pass": claimed(claim="run-2-1", run="run-2"),
    "sent by another pass": {"state": "sent", "run": "run-2", "hold_until": FAR, "message_id": 5},
    "sent by another pass of the same number": {"state": "sent", "run": "run-2", "message_id": 77},
    "given back by a person": {"state": "retry", "run": "run-1", "at": ago(minutes=1)},
    "marked as sent by a person": {"state": "sent", "run": "run-1", "hold_until": FAR},
    "erased by a backend": None,
}


@pytest.mark.parametrize("how", OTHERS)
async def test_a_confirm_overwrites_nothing_that_was_settled_since(
    how: str, ozh: Ozh, users: Users
) -> None:
    """It is addressed to its claim; outcomes that it could not write are returned."""
    mine = discount_user(ozh_notify={"discount": claimed()})
    other = discount_user(ozh_notify={"discount": OTHERS[how]})
    users.insert_many([mine, other])
    store = opened(ozh)
    both = [sent(mine, "run-1-1"), sent(other, "run-1-1")]
    lost = (await store.confirm(both)).unrecorded
    await store.close()
    assert [record.recipient.id for record in lost] == [other["_id"]]
    after = users.find_one({"_id": other["_id"]}) or {}
    assert after == other
    assert deliveries(users)[mine["telegram_id"]]["state"] == "sent"


async def test_an_error_that_is_not_valid_text_is_stored_anyway(ozh: Ozh, users: Users) -> None:
    """JSON may hold half a surrogate pair, which no database accepts; long texts are cut."""
    from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State

    odd = discount_user(ozh_notify={"discount": claimed()})
    users.insert_one(odd)
    store = opened(ozh)
    outcome = Outcome(State.REJECTED, None, "\ud83d $oh.no " + "ж" * 300)
    record = OutcomeRecord(recipient(odd, "run-1-1"), outcome, "run-1", now())
    assert not (await store.confirm([record])).unrecorded
    await store.close()
    [delivery] = deliveries(users).values()
    assert (delivery["state"], delivery["error"][:8], len(delivery["error"])) == (
        "rejected",
        "? $oh.no",
        200,
    )


async def test_a_claim_can_be_repeated_by_its_id(ozh: Ozh, users: Users) -> None:
    """After an unclear answer: the same users, and attempts are counted once."""
    from ozh_notify.users.audience import Query

    who = discount_users(4)
    who[3]["ozh_notify"] = {"discount": claimed(hold_until=now() + LEASE)}
    users.insert_many(who)
    store = opened(ozh)
    query = Query(store.campaign, datetime.now(now().tzinfo))
    found = await store.scan(query, 100)
    batch = found.first(10)
    taken = [(await store.claim(batch, query, "run-9-1", "run-9")).recipients for _ in range(2)]
    other = (await store.claim(batch, query, "run-9-2", "run-9")).recipients
    await store.close()
    assert [[r.id for r in one] for one in taken] == [[u["_id"] for u in who[:3]]] * 2
    assert other == []
    assert [delivery["attempts"] for delivery in deliveries(users).values()] == [1, 1, 1, 1]


def test_users_of_a_killed_pass_get_no_second_message(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """`kill -9`: the next pass leaves the claims alone and serves the rest, each user once."""
    users.insert_many(discount_users(60))
    process = ozh.start("discount", "--rate", "40")
    wait_until(lambda: len(chats(bot_api)) >= 10, "ten messages")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    in_doubt = states(users).count("sending")
    assert in_doubt <= 40 / 2 + 4, "half a second of the rate, and what is in flight"
    result = ozh("discount", "--json")
    assert (result.code, result.json()["swept"]) == (0, 0), result.err
    assert states(users).count("sending") == in_doubt
    assert len(chats(bot_api)) == len(set(chats(bot_api)))
    assert states(users).count("sent") == 60 - in_doubt
