"""``ozh-notify explain``: why this user would or would not get it, in words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS
from pymongo.errors import OperationFailure

from ozh_notify.campaigns import registry
from ozh_notify.config import load as load_module
from ozh_notify.errors import ConfigError
from ozh_notify.mongo.operator_queries import OperatorQueries
from ozh_notify.operator.explain import Explanation, explain
from ozh_notify.users.describe import condition, value
from tests.conftest import Ozh
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    now,
    user,
)

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def delivery(state: str, **fields: Any) -> dict[str, Any]:
    """A delivery as a pass leaves it."""
    return {"state": state, "run": "run-1", "at": ago(hours=2), "attempts": 1, **fields}


async def explained(
    ozh: Ozh, users: Users, document: dict[str, Any], name: str = "discount", /, **more: str
) -> Explanation:
    """What `explain` finds out about a user, asked as the command asks it."""
    moment = now()
    users.insert_one(document)
    environ = {**ozh.environment, **more}
    loaded, _ = load_module.load(None, environ)
    async with OperatorQueries(loaded) as desk:
        [found] = await desk.find(str(document["_id"]))

        async def matches(where: dict[str, Any]) -> bool:
            return await desk.matches(found["_id"], where)

        return await explain(registry()[name](loaded), found, matches, moment)


def whys(found: Explanation) -> list[str]:
    """What stands in the way."""
    return [answer.why for answer in found.answers if not answer.yes]


# --- the command ---


def test_an_eligible_user_gets_a_yes_for_each_criterion(ozh: Ozh, users: Users) -> None:
    """Each with the user's own value, and the verdict last."""
    one = discount_user()
    users.insert_one(one)
    result = ozh("explain", "discount", str(one["telegram_id"]), "--json")
    assert result.code == 0, result.err
    shown = result.json()
    assert (shown["campaign"], shown["user"]) == ("discount", str(one["_id"]))
    assert (shown["chat_id"], shown["first_name"]) == (one["telegram_id"], "Анна")
    assert shown["eligible"] is True
    assert shown["verdict"] == "yes: the next pass messages this user"
    assert shown["delivery"] is None
    assert all(answer["yes"] for answer in shown["answers"])
    own = {answer["question"]: answer["value"] for answer in shown["answers"]}
    assert own["generations_count is 1"] == "1"
    assert own["balance is 0"] == "0"
    assert own["discount_offered is false or not set"] == "false"
    assert own["no delivery holds the user"] == "not set"
    assert own["is not muted"] == "not set"
    assert abs(datetime.fromisoformat(shown["next_at"]) - now()) < timedelta(minutes=2)
    assert ozh("discount", "--json").json()["sent"] == 1
    after = ozh("explain", "discount", str(one["telegram_id"]), "--json").json()
    assert after["delivery"]["state"] == "sent"
    assert after["eligible"] is False


def test_a_user_is_found_by_chat_id_and_by_id(ozh: Ozh, users: Users) -> None:
    """Also a chat id kept as a string, and `_id`s of several types."""
    known: list[tuple[str, dict[str, Any]]] = [
        ("77", user(telegram_id="77")),
        ("78", user(telegram_id=78.0)),
        ("anna", user(_id="anna")),
        ("5", user(_id=5)),
    ]
    by_object_id = user(_id=ObjectId())
    known.append((str(by_object_id["_id"]), by_object_id))
    users.insert_many([document for _, document in known])
    for name, document in known:
        found = ozh("explain", "discount", name, "--json")
        assert found.code == 0, (name, found.err)
        assert found.json()["user"] == str(document["_id"])


def test_a_user_nobody_finds_or_two_find_is_a_clear_error(ozh: Ozh, users: Users) -> None:
    """With the field looked in, and how to name one of two; never a traceback."""
    users.insert_many([user(telegram_id=77), user(telegram_id="77")])
    unknown = ozh("explain", "discount", "1234567")
    assert (unknown.code, unknown.out) == (78, "")
    assert "has the chat id (telegram_id) or the _id '1234567'" in unknown.err
    twice = ozh("explain", "discount", "77")
    assert twice.code == 78
    assert "2 documents match 77: name one by its _id" in twice.err


def test_a_user_is_found_by_username_where_its_field_is_set(ozh: Ozh, users: Users) -> None:
    """In any case, with or without the @ in the document; `mute` finds them, too."""
    anna, boris = user(handle="Anna_K"), user(handle="@boris", profile={"name": "anna.k"})
    users.insert_many([anna, boris, user(handle=None), user(handle="Anna_K2")])
    named: dict[str, Any] = {"OZH_FIELD_USERNAME": "handle"}
    for name, document in (("@anna_k", anna), ("@Boris", boris)):
        found = ozh("explain", "discount", name, "--json", **named)
        assert found.code == 0, found.err
        assert found.json()["user"] == str(document["_id"])
    assert ozh("mute", "@anna_k", **named).out == "@anna_k is muted: changed 1 of 1 document\n"
    missing = ozh("explain", "discount", "@anna.k", **named)
    assert missing.code == 78
    assert "has the user name '@anna.k' in handle" in missing.err
    unset = ozh("explain", "discount", "@anna_k")
    assert unset.code == 78
    assert "set OZH_FIELD_USERNAME" in unset.err


@pytest.mark.parametrize("name", ["", "'", "{}", "9" * 23, "Анна", "\0"])
async def test_no_name_of_a_user_is_a_bug(name: str, ozh: Ozh, users: Users) -> None:
    """Whatever is pasted there, nobody is found by it."""
    users.insert_one(user())
    loaded, _ = load_module.load(None, ozh.environment)
    async with OperatorQueries(loaded) as desk:
        with pytest.raises(ConfigError, match="no user of"):
            await desk.find(name)


def test_a_campaign_that_is_none_is_wrong_usage_with_the_nearest_name(ozh: Ozh) -> None:
    """Before any settings are read."""
    for name, words in (("daily_bonus", "did you mean daily-bonus?"), ("x", "expected one of")):
        wrong = ozh("explain", name, "77", MONGO_URI=None, COLUMNS="200")
        assert wrong.code == 2
        assert words in wrong.err


def test_the_table_shows_the_state_and_takes_no_name_for_markup(ozh: Ozh, users: Users) -> None:
    """Since when, by which run, until when; whatever a user is called. Each reason once."""
    until = now() + timedelta(days=9)
    held = delivery("unreachable", hold_until=until, error="Forbidden: blocked")
    kept = {"discount": held, "unreachable_until": until}
    one = discount_user(first_name="[/b] [red]Анна", ozh_notify=kept)
    users.insert_one(one)
    result = ozh("explain", "discount", str(one["telegram_id"]))
    assert result.code == 0, result.err
    assert "[/b] [red]Анна" in result.out
    for words in ("unreachable until 20", "run-1", "Forbidden: blocked", "held: unreachable"):
        assert words in result.out
    last = result.out.strip().splitlines()[-1]
    assert last.startswith("no: held: unreachable; if nothing else changes, from 20")


# --- each criterion ---


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"generations_count": 2}, "not one generation"),
        ({"generations_count": None}, "not one generation"),
        ({"generations_count": [1]}, "not one generation"),
        ({"balance": 1}, "has a balance"),
        ({"balance": Decimal128("0.01")}, "has a balance"),
        ({"first_generation_at": ago(hours=3)}, "too recent"),
        ({"first_generation_at": None}, "no date in first_generation_at"),
        ({"first_generation_at": "2026-01-01"}, "no date in first_generation_at"),
        ({"discount_offered": True}, "already offered"),
        ({"discount_offered": "no"}, "already offered"),
        ({"telegram_id": "@anna"}, "no usable chat id in telegram_id"),
        ({"ozh_notify": "mine"}, "ozh_notify is not an object"),
        ({"ozh_notify": {"muted": True}}, "muted"),
        ({"ozh_notify": {"discount": 5}}, "ozh_notify.discount is not an object"),
        (
            {"ozh_notify": {"discount": delivery("sending", claim="c", hold_until=FAR)}},
            "held: sending",
        ),
        (
            {"ozh_notify": {"discount": delivery("unknown", claim="c", hold_until=FAR)}},
            "held: unknown",
        ),
        ({"ozh_notify": {"discount": delivery("rejected", hold_until=FAR)}}, "held: rejected"),
        (
            {"ozh_notify": {"discount": delivery("sent", hold_until=FAR)}},
            "offered before, flag reset",
        ),
        ({"ozh_notify": {"discount": {"hold_until": FAR}}}, "held: other"),
    ],
)
async def test_each_reason_to_be_left_alone_is_named(
    changed: dict[str, Any], why: str, ozh: Ozh, users: Users
) -> None:
    """One reason, one no: every other criterion says yes."""
    found = await explained(ozh, users, discount_user(**changed))
    assert why in whys(found)
    assert whys(found) == [why]
    assert not found.eligible
    assert found.verdict.startswith(f"no: {why}")


async def test_who_got_it_is_not_taken_for_somebody_whose_flag_was_reset(
    ozh: Ozh, users: Users
) -> None:
    """Nobody is told of `--again` for a message that went out as it should."""
    kept = {"discount": delivery("sent", hold_until=FAR, message_id=7)}
    found = await explained(ozh, users, discount_user(discount_offered=True, ozh_notify=kept))
    assert whys(found) == ["already offered", "already delivered"]
    assert "--again" not in found.verdict
    assert found.delivery
    assert found.delivery["message_id"] == 7


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"registered_at": ago(days=4)}, "registered earlier"),
        ({"registered_at": ago(hours=-1)}, "registered in the future"),
        ({"registered_at": "yesterday"}, "no date in registered_at"),
        ({"daily_bonus_claimed_today": True}, "claimed today"),
        (
            {
                "ozh_notify": {
                    "daily_bonus": delivery("sent", hold_until=now() + timedelta(hours=9))
                }
            },
            "already reminded today",
        ),
    ],
)
async def test_each_reason_of_the_daily_bonus_is_named(
    changed: dict[str, Any], why: str, ozh: Ozh, users: Users
) -> None:
    """As the funnel of a dry run names it."""
    found = await explained(ozh, users, bonus_user(**changed), "daily-bonus")
    assert why in whys(found)
    assert not found.eligible


async def test_all_reasons_are_listed_at_once(ozh: Ozh, users: Users) -> None:
    """Nobody mends one only to learn of the next."""
    found = await explained(
        ozh,
        users,
        user(discount_offered=True, ozh_notify={"muted": True}, banned=True),
        OZH_EXTRA_FILTER='{"banned": {"$ne": true}}',
    )
    assert whys(found) == [
        *("not one generation", "has a balance", "already offered", "muted"),
        "kept out by OZH_EXTRA_FILTER",
    ]
    assert found.next_at is None


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"discount": delivery("unknown", claim="c", hold_until=FAR)}, "ozh-notify reconcile"),
        ({"discount": delivery("sent", hold_until=FAR)}, "--again says that the flag was reset"),
        ({"muted": True}, "ozh-notify unmute takes the mute back"),
    ],
)
async def test_what_can_be_done_about_it_is_said(
    changed: dict[str, Any], advice: str, ozh: Ozh, users: Users
) -> None:
    """Where a command exists for it."""
    found = await explained(ozh, users, discount_user(ozh_notify=changed))
    assert advice in found.verdict


# --- when ---


async def test_the_next_moment_is_when_the_last_thing_in_the_way_is_over(
    ozh: Ozh, users: Users
) -> None:
    """A delay, a hold, or the later of both; and none where no clock will help."""
    first = ago(hours=20)
    young = await explained(ozh, users, discount_user(first_generation_at=first))
    assert young.next_at
    assert timedelta() < young.next_at - (first + timedelta(hours=24)) < timedelta(minutes=1)
    until = now() + timedelta(days=3)
    kept = {"discount": delivery("unreachable", hold_until=until)}
    held = await explained(ozh, users, discount_user(ozh_notify=kept))
    assert held.next_at == until
    assert f"if nothing else changes, from {until:%Y-%m-%d %H:%M}" in held.verdict
    both = await explained(ozh, users, discount_user(first_generation_at=first, ozh_notify=kept))
    assert both.next_at == until
    gone = await explained(ozh, users, discount_user(ozh_notify={"muted": True}))
    assert gone.next_at is None


async def test_hours_move_the_next_moment_and_are_no_reason_of_the_user(
    ozh: Ozh, users: Users
) -> None:
    """Eligible, and the pass is only not open yet."""
    quiet_from = (now() - timedelta(hours=1)).strftime("%H:00")
    quiet_to = (now() + timedelta(hours=2)).strftime("%H:00")
    found = await explained(ozh, users, discount_user(), OZH_QUIET_HOURS=f"{quiet_from}-{quiet_to}")
    assert found.eligible
    assert found.next_at
    assert f"{found.next_at:%H:%M}" == quiet_to
    assert found.verdict.startswith(f"yes, from {found.next_at:%Y-%m-%d %H:%M}")
    assert "in the quiet hours" in found.verdict


async def test_dates_beyond_the_calendar_stop_nothing(ozh: Ozh, users: Users) -> None:
    """The year 1 in New York, the year 9999 in Tokyo."""
    first = datetime(1, 1, 1, tzinfo=timezone.utc)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    west = await explained(
        *(ozh, users, discount_user(first_generation_at=first)), OZH_TIMEZONE="America/New_York"
    )
    assert west.eligible
    held = {"discount": delivery("sent", hold_until=last, at=last)}
    east = await explained(*(ozh, users, discount_user(ozh_notify=held)), OZH_TIMEZONE="Asia/Tokyo")
    assert "for good" in next(a for a in east.answers if "delivery" in a.question).value


async def test_a_date_python_does_not_know_is_a_date(ozh: Ozh, users: Users) -> None:
    """MongoDB's calendar is longer: it is the wrong date, not none."""
    try:
        found = await explained(ozh, users, discount_user(first_generation_at=DatetimeMS(2**60)))
    except OperationFailure:
        pytest.skip("this server keeps no date beyond the year 9999")
    assert whys(found) == ["too recent"]


# --- words ---


def test_values_are_words(tmp_path: Path) -> None:
    """What a support person reads; long and nested ones are cut."""
    file = tmp_path / "empty.env"
    file.touch()
    environ = {"MONGO_URI": "mongodb://h/db", "OZH_TIMEZONE": "Europe/Moscow"}
    s, _ = load_module.load(file, environ)
    plain: list[Any] = [None, True, False, 5, 0.5, "x", {}, [1]]
    assert [value(one, s) for one in plain] == [
        *("null", "true", "false", "5", "0.5", '"x"', "an object", "a list")
    ]
    assert value(NOON, s) == "2026-11-24 15:00:00 MSK"
    assert len(value("x" * 999, s)) == 60
    assert condition({"$lt": NOON}, s) == "is before 2026-11-24 15:00:00 MSK"
    assert condition({"$gte": 2, "$lt": 5}, s) == "is at least 2 and is below 5"
    assert condition({"$in": [False, None]}, s) == "is false or not set"
    assert condition({"$mod": [2, 0]}, s) == "$mod a list"
