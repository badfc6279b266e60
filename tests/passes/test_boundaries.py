"""The edges of eligibility: to the millisecond, and with fields inside other fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import Code

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.odd_users import (
    FAR,
    NOWHERE,
    Someone,
    check_reached,
    insert,
    put,
)
from tests.helpers.parameters import first_and_long
from tests.helpers.users import Users, ago, bonus_user, discount_user

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
TICK = timedelta(milliseconds=1)
"""The smallest difference between two dates of MongoDB."""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MAKE = {"discount": discount_user, "daily-bonus": bonus_user}
FIELD = {"discount": "first_generation_at", "daily-bonus": "registered_at"}

AGES: list[tuple[str, dict[str, str], dict[timedelta, bool]]] = [
    ("discount", {}, {DAY: False, DAY + TICK: True, DAY - TICK: False, -HOUR: False}),
    (
        "discount",
        {"OZH_DISCOUNT_DELAY_HOURS": "0.5"},
        {HOUR / 2: False, HOUR / 2 + TICK: True, HOUR / 2 - TICK: False},
    ),
    (
        "discount",
        {"OZH_DISCOUNT_DELAY_HOURS": "0"},
        {timedelta(0): False, TICK: True, -TICK: False},
    ),
    (
        "discount",
        {"OZH_DISCOUNT_MAX_AGE_DAYS": "90"},
        {90 * DAY: True, 90 * DAY - TICK: True, 90 * DAY + TICK: False, DAY: False},
    ),
    (
        "daily-bonus",
        {},
        {
            **{3 * DAY: False, 3 * DAY - TICK: True, 3 * DAY + TICK: False, timedelta(0): True},
            **{-HOUR / 12: True, -HOUR / 12 - TICK: False, -HOUR / 12 + TICK: True},
        },
    ),
    (
        "daily-bonus",
        {"OZH_DAILY_BONUS_DAYS": "0.25"},
        {6 * HOUR: False, 6 * HOUR - TICK: True, 6 * HOUR + TICK: False},
    ),
]


def due_at(ozh: Ozh, campaign: str, moment: datetime, **extra: Any) -> set[str]:
    """The ``_id`` of each user that a pass at that moment would message; at most ten."""
    result = ozh(campaign, "--dry-run", "--json", "--at", moment.isoformat(), **extra)
    assert result.code == 0, result.err
    shown = {recipient["id"] for recipient in result.json()["preview"]["recipients"]}
    assert len(shown) == result.json()["eligible"] <= 10
    return shown


@pytest.mark.parametrize(("campaign", "extra", "ages"), first_and_long(AGES))
def test_an_age_decides_to_the_millisecond(
    campaign: str, extra: dict[str, str], ages: dict[timedelta, bool], ozh: Ozh, users: Users
) -> None:
    """*More than* 24 hours ago, *less than* 3 days ago, five minutes of clock difference."""
    make, field = MAKE[campaign], FIELD[campaign]
    users.insert_many([make(_id=str(age), **{field: NOON - age}) for age in ages])
    due = due_at(ozh, campaign, NOON, **extra)
    assert due == {str(age) for age, yes in ages.items() if yes}


@pytest.mark.parametrize("campaign", MAKE)
def test_a_hold_is_over_at_its_moment(campaign: str, ozh: Ozh, users: Users) -> None:
    """The user is held until then, and not a millisecond longer."""
    delivery = f"ozh_notify.{campaign.replace('-', '_')}"
    holds = {"over": NOON, "not over": NOON + TICK, "long over": NOON - DAY}
    fresh = {FIELD[campaign]: NOON - 30 * HOUR}
    users.insert_many(
        put(
            MAKE[campaign](_id=name, **fresh),
            delivery,
            {"state": "unreachable", "hold_until": until},
        )
        for name, until in holds.items()
    )
    assert due_at(ozh, campaign, NOON) == {"over", "long over"}


# --- fields inside other fields ---

NESTED: dict[str, Any] = {
    "OZH_FIELD_CHAT_ID": "tg.id",
    "OZH_FIELD_FIRST_NAME": "tg.name.first",
    "OZH_FIELD_LANGUAGE": "tg.language",
    "OZH_FIELD_REGISTERED_AT": "dates.registered",
    "OZH_FIELD_GENERATIONS": "usage.pictures.made",
    "OZH_FIELD_FIRST_GENERATION_AT": "usage.pictures.first_at",
    "OZH_FIELD_BALANCE": "wallet.left",
    "OZH_FIELD_DISCOUNT_OFFERED": "offers.discount.done",
    "OZH_FIELD_DAILY_BONUS_CLAIMED": "offers.bonus.claimed",
    "OZH_STATE_FIELD": "delivery",
}
FLAG = {"discount": "offers.discount", "daily-bonus": "offers.bonus"}
HOLDERS = {
    "discount": ("usage", "usage.pictures", "wallet", "offers", "offers.discount"),
    "daily-bonus": ("dates", "offers", "offers.bonus"),
}
ABSENT: dict[str, Any] = {"missing": NOWHERE, "null": None, "an empty object": {}}
"""Values that leave a flag unset: the user was never offered."""
WRONG: dict[str, Any] = {
    "a string": "x",
    "a number": 0,
    "true": True,
    "false": False,
    "a date": NOON,
}


def nested(chat: int) -> dict[str, Any]:
    """A user of both campaigns, in documents of another shape."""
    return {
        "tg": {"id": chat, "name": {"first": f"Имя{chat}"}, "language": "ru"},
        "dates": {"registered": ago(hours=30)},
        "usage": {"pictures": {"made": 1, "first_at": ago(hours=29)}, "seen": True},
        "wallet": {"left": 0, "currency": "оживашка"},
        "offers": {"discount": {"done": False, "kept": 1}, "bonus": {"claimed": False}, "kept": 2},
    }


def inside_others(campaign: str) -> Iterator[Someone]:
    """Every parent of a criterion's field, replaced by values of each type."""
    chats = iter(range(7001, 7999))
    for holder in HOLDERS[campaign]:
        whole = nested(0)
        for part in holder.split("."):
            whole = whole[part]
        arrays = {"an array of it": [whole], "an array": [whole, whole], "an empty array": []}
        of_a_flag = FLAG[campaign].startswith(holder)
        for kind, value in {**ABSENT, **WRONG, **arrays, "code": Code("1", {})}.items():
            chat = next(chats)
            due = of_a_flag and kind in ABSENT
            document = put(nested(chat), holder, value)
            yield Someone(f"{holder} is {kind}", document, due=due, usable=chat)
    for _ in range(5):
        chat = next(chats)
        yield Someone("as it should be", nested(chat), due=True, usable=chat)
    for kind, value in {"an array of it": [{"id": next(chats)}], "an array": [1, 2]}.items():
        document = put(nested(0), "tg", value)
        yield Someone(f"tg is {kind}", document, invalid=True, usable=0)


@pytest.mark.parametrize("campaign", first_and_long(MAKE))
def test_fields_may_be_inside_others_but_not_inside_arrays(
    campaign: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """MongoDB looks into arrays on the way; a criterion that matches inside one does not hold."""
    people = insert(users, inside_others(campaign))
    result = ozh(campaign, "--json", **NESTED)
    assert result.code == 0, result.err
    messages = bot_api.control.messages()
    check_reached(people, messages)
    assert result.json()["invalid"] == sum(one.invalid for one in people)
    assert all(f"Имя{message.chat_id}" in message.text for message in messages)
    stored = {user["_id"]: user for user in users.find()}
    for one in people:
        after = stored[one.document["_id"]]
        delivery = after.pop("delivery", {campaign.replace("-", "_"): {"state": None}})
        state = delivery[campaign.replace("-", "_")]["state"]
        assert state == ("sent" if one.due else None), one.kind
        before = one.document
        if one.due and campaign == "discount":
            offers = before.get("offers") or {}
            discount = {**(offers.get("discount") or {}), "done": True}
            before = {**before, "offers": {**offers, "discount": discount}}
        assert after == before, one.kind
    assert ozh(campaign, "--json", **NESTED).json()["sent"] == 0


def test_the_chat_id_may_be_the_documents_id(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """Many bots store their users like this; it works with `--user`, too."""
    users.insert_many([{**discount_user(), "_id": chat} for chat in (31, 32, 33)])
    users.insert_one({**discount_user(), "_id": "34"})
    assert ozh("discount", "--json", "--user", "32", OZH_FIELD_CHAT_ID="_id").json()["sent"] == 1
    assert ozh("discount", "--json", OZH_FIELD_CHAT_ID="_id").json()["sent"] == 3
    chats = [message.chat_id for message in bot_api.control.messages()]
    assert chats[0] == 32
    assert sorted(chats) == [31, 32, 33, 34]


# --- the operator's own filter ---

EXTRA: list[tuple[dict[str, Any], set[str]]] = [
    (
        {"$or": [{"plan": "pro"}, {"age": {"$gt": 60}}], "banned": {"$ne": True}},
        {"pro", "old"},
    ),
    ({"$nor": [{"plan": "pro"}, {"banned": True}]}, {"plain", "old", "not banned"}),
    ({"balance": {"$gte": 0}, "generations_count": {"$in": [1, 3]}, "age": 70}, {"old"}),
    (
        {"$and": [{"since": {"$gte": {"$date": "2026-01-01T00:00:00Z"}}}, {"plan": None}]},
        {"plain"},
    ),
    ({"ozh_notify.discount": {"$exists": True}}, {"not banned"}),
]


@pytest.mark.parametrize(("extra", "due"), first_and_long(EXTRA))
def test_the_extra_filter_holds_beside_every_criterion(
    extra: dict[str, Any], due: set[str], ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The filter may only leave users out, whatever it names."""
    kinds: dict[str, dict[str, Any]] = {
        "plain": {"since": datetime(2026, 5, 1, tzinfo=timezone.utc)},
        **{"pro": {"plan": "pro"}, "old": {"age": 70}, "banned": {"banned": True}},
        "not banned": {"banned": False, "ozh_notify": {"discount": {"state": "retry"}}},
        "not eligible": {"plan": "pro", "age": 70, "generations_count": 3},
        "held": {"plan": "pro", "age": 70, "ozh_notify": {"discount": {"hold_until": FAR}}},
    }
    people = {kind: discount_user(_id=kind, **fields) for kind, fields in kinds.items()}
    users.insert_many(people.values())
    result = ozh("discount", "--json", OZH_EXTRA_FILTER=json.dumps(extra))
    assert result.code == 0, result.err
    chats = [message.chat_id for message in bot_api.control.messages()]
    assert sorted(chats) == sorted(people[kind]["telegram_id"] for kind in due)


@pytest.mark.parametrize("extra", ['{"banned": {"$no": 1}}', '{"$no": []}'])
def test_a_filter_the_server_refuses_messages_nobody(
    extra: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """It is JSON, but not a filter: the configuration is wrong."""
    users.insert_one(discount_user())
    result = ozh("discount", "--json", OZH_EXTRA_FILTER=extra)
    assert result.code == 78, result.err
    assert bot_api.control.messages() == []
