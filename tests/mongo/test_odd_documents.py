"""One document stops nobody else: validators, dates at the ends of the calendar, odd `_id`s."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import chats, deliveries, states
from tests.helpers.users import Users, ago, bonus_user, discount_user

DAWN = datetime(1, 1, 1, tzinfo=timezone.utc)
DUSK = datetime(9999, 12, 31, tzinfo=timezone.utc)


def refuse(users: Users, validator: dict[str, Any]) -> None:
    """Let the server refuse every update of a document that breaks the validator."""
    try:
        users.database.command("collMod", users.name, validator=validator, validationLevel="strict")
    except OperationFailure as error:
        pytest.skip(f"the server has no validators: {error.details}")


def test_a_document_that_the_server_refuses_to_update_stops_nobody_else(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The newest user breaks the validator: it is `invalid`, the others get their message."""
    users.insert_one(discount_user(old=True, first_generation_at=ago(hours=25)))
    users.insert_many(discount_user() for _ in range(12))
    refuse(users, {"old": {"$ne": True}})
    result = ozh("discount", "--json")
    said = result.json()
    assert result.code == 0, result.err
    assert said["sent"] == 12
    assert said["invalid"] == 1
    assert said["eligible"] == 12
    assert said["claimed"] == 12
    assert "the server refuses to update it" in result.err
    assert len(chats(bot_api)) == 12
    assert states(users).count("sent") == 12
    again = ozh("discount", "--json")
    assert again.code == 0, again.err
    assert again.json()["invalid"] == 1


def test_a_collection_that_refuses_every_update_is_78_and_nobody_is_messaged(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Then it is the validator, and not a document."""
    users.insert_many(discount_user() for _ in range(30))
    refuse(users, {"ozh_notify": {"$exists": False}})
    result = ozh("discount", "--json")
    assert result.code == 78
    assert "docs/backend.md" in result.json()["error"]
    assert chats(bot_api) == []
    assert set(states(users)) == {""}


def test_a_lapsed_claim_that_cannot_be_swept_ends_no_pass(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """And the other lapsed claims are swept."""
    lapsed = {"state": "sending", "claim": "c", "hold_until": ago(hours=1), "at": ago(hours=2)}
    held = {"ozh_notify": {"discount": lapsed}}
    users.insert_many([discount_user(old=True, **held), discount_user(**held), discount_user()])
    refuse(users, {"old": {"$ne": True}})
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert result.json()["swept"] == 1
    assert sorted(states(users)) == ["sending", "sent", "unknown"]
    listed = ozh("reconcile", "discount", "--json")
    assert listed.code == 0, listed.err
    assert listed.json()["found"] == 1


def test_a_document_that_cannot_be_settled_keeps_no_other_from_it(ozh: Ozh, users: Users) -> None:
    """`reconcile` names it and settles the rest."""
    doubt = {"state": "unknown", "claim": "c", "hold_until": DUSK, "at": ago(hours=2)}
    held = {"ozh_notify": {"discount": doubt}}
    users.insert_many([discount_user(old=True, **held), discount_user(**held)])
    refuse(users, {"old": {"$ne": True}})
    settled = ozh("reconcile", "discount", "--resend", "--yes", "--json")
    assert settled.code == 0, settled.err
    assert settled.json()["settled"] == 1
    assert "could not settle the delivery of user" in settled.err
    assert sorted(states(users)) == ["retry", "unknown"]


@pytest.mark.long
@pytest.mark.parametrize("at", [DAWN, DUSK])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Midway"])
def test_a_date_at_an_end_of_the_calendar_is_nobodys_bug(
    at: datetime, zone: str, ozh: Ozh, users: Users
) -> None:
    """Some backends write the first or the last day for "never"."""
    lapsed = {"state": "sending", "claim": "c", "hold_until": ago(hours=1), "at": at}
    users.insert_one(bonus_user(ozh_notify={"daily_bonus": lapsed}))
    users.insert_one(bonus_user(ozh_notify={"daily_bonus": {"state": "sent", "at": at}}))
    result = ozh("daily-bonus", "--json", OZH_TIMEZONE=zone)
    assert result.code == 0, result.err
    assert result.json()["swept"] == 1
    for command in ("reconcile daily-bonus", "status", "explain daily-bonus"):
        chat = [str(users.distinct("telegram_id")[0])] if "explain" in command else []
        shown = ozh(*command.split(), *chat, OZH_TIMEZONE=zone)
        assert shown.code == 0, (command, shown.err)
    settled = ozh("reconcile", "daily-bonus", "--mark-sent", "--yes", OZH_TIMEZONE=zone)
    assert settled.code == 0, settled.err


@pytest.mark.long
def test_a_chat_id_inside_the_id_is_found(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """The contract allows dotted paths, also into `_id`."""
    user = {**discount_user(), "_id": {"telegram": 4711, "shop": 1}}
    users.insert_one(user)
    path: dict[str, Any] = {"OZH_FIELD_CHAT_ID": "_id.telegram"}
    assert ozh("discount", "--dry-run", "--json", **path).json()["eligible"] == 1
    result = ozh("discount", "--json", **path)
    assert result.json()["sent"] == 1, result.err
    assert chats(bot_api) == [4711]
    of_run = f"status discount --run {result.json()['run_id']}"
    for command in ("check", "status", of_run, "explain discount 4711", "reconcile discount"):
        shown = ozh(*command.split(), **path)
        assert "ollision" not in shown.err + shown.out, command


@pytest.mark.long
def test_an_inherited_collation_is_not_an_option_of_the_index(ozh: Ozh, users: Users) -> None:
    """The recommended indexes exist after `--create`, and a second time changes nothing."""
    users.drop()
    try:
        users.database.create_collection("users", collation={"locale": "ru", "strength": 2})
    except OperationFailure as error:
        pytest.skip(f"the server has no collations: {error.details}")
    users.insert_one(discount_user())
    assert ozh("indexes", "--create").code == 0
    shown = ozh("indexes", "--create", "--json")
    assert shown.code == 0, shown.err
    assert shown.json()["created"] == []
    assert shown.json()["missing"] == []


@pytest.mark.long
def test_the_sample_is_of_the_newest_and_costs_no_scan(ozh: Ozh, users: Users) -> None:
    """200 old users without a chat id, then 200 newer ones with: the newer ones are looked at."""
    users.insert_many({**discount_user(), "telegram_id": None} for _ in range(200))
    users.insert_many(discount_user() for _ in range(200))
    result = ozh("discount", "--dry-run", "--json")
    assert result.code == 0, result.err
    assert result.json()["eligible"] == 200


@pytest.mark.long
def test_the_funnel_reads_the_population_by_its_index(ozh: Ozh, users: Users) -> None:
    """With the index there, users who are not in the population are not read."""
    users.insert_many(discount_user(discount_offered=n < 3) for n in range(8))
    assert ozh("indexes", "--create").code == 0
    held = ozh("discount", "--dry-run", "--json").json()["held"]
    assert held == {"already offered": 3}


@pytest.mark.long
def test_a_delivery_of_one_refusing_document_is_the_only_one_not_recorded(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A confirm that fails for one user does not touch the others."""
    users.insert_many(discount_user(first_generation_at=ago(hours=30, minutes=n)) for n in range(9))
    bot_api.control.settings(latency_ms=500)
    process = ozh.start("discount", "--json", "--rate", "20", OZH_JOURNAL_COLLECTION="off")
    deadline = datetime.now(timezone.utc) + timedelta(seconds=20)
    while "sending" not in states(users) and datetime.now(timezone.utc) < deadline:
        pass
    first = next(chat for chat, one in deliveries(users).items() if one.get("state") == "sending")
    users.update_one({"telegram_id": first}, {"$set": {"old": True}})
    refuse(users, {"old": {"$ne": True}})
    result = ozh.finished(process, *process.communicate(timeout=60))
    assert result.json()["unrecorded"] == 1, result.err
    assert states(users).count("sent") == 8
