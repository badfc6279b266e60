"""``ozh-notify mute`` and ``unmute``: this user gets no campaign any more, or may again."""

from __future__ import annotations

from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    user,
)


def kept(users: Users, document: dict[str, Any]) -> dict[str, Any]:
    """A user's document as it is now."""
    found = users.find_one({"_id": document["_id"]})
    assert found
    return dict(found)


def test_a_muted_user_gets_no_campaign_until_unmuted(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Of neither campaign; everybody else does."""
    muted = {**discount_user(), **{"registered_at": ago(hours=3)}}
    other = discount_user()
    users.insert_many([muted, other])
    chat = str(muted["telegram_id"])
    assert ozh("mute", chat).code == 0
    passes = [ozh(name, "--json").json()["sent"] for name in ("discount", "daily-bonus")]
    assert passes == [1, 0]
    assert [m.chat_id for m in bot_api.control.messages()] == [other["telegram_id"]]
    assert ozh("unmute", chat).code == 0
    passes = [ozh(name, "--json").json()["sent"] for name in ("discount", "daily-bonus")]
    assert passes == [1, 1]


@pytest.mark.long
def test_only_the_mute_changes_and_both_may_be_repeated(ozh: Ozh, users: Users) -> None:
    """The delivery state beside it stays; the answer says what was so before."""
    delivery = {"state": "sent", "run": "run-1", "at": ago(days=1), "attempts": 1}
    one = user(ozh_notify={"discount": delivery, "note": "kept"}, more={"a": [1, {"b": None}]})
    users.insert_one(one)
    chat = str(one["telegram_id"])
    first, second = ozh("mute", chat), ozh("mute", chat)
    assert first.out == f"{chat} is muted: changed 1 of 1 document\n"
    assert second.out == f"{chat} is muted: changed 0 of 1 document: already muted\n"
    assert kept(users, one) == {**one, "ozh_notify": {**one["ozh_notify"], "muted": True}}
    first, second = ozh("unmute", chat), ozh("unmute", chat)
    assert first.out == f"{chat} is not muted: changed 1 of 1 document\n"
    assert second.out == f"{chat} is not muted: changed 0 of 1 document: was not muted\n"
    assert kept(users, one) == one
    shown = ozh("mute", chat, "--json").json()
    assert shown == {"user": chat, "muted": True, "found": 1, "changed": 1}


@pytest.mark.parametrize("state", [None, {}, {"discount": None}, {"muted": False}], ids=str)
def test_any_state_field_that_can_hold_it_is_muted(state: Any, ozh: Ozh, users: Users) -> None:
    """Null as well; a plain update of the path would fail there."""
    one = bonus_user(ozh_notify=state)
    users.insert_one(one)
    assert ozh("mute", str(one["_id"]), "--json").json()["changed"] == 1
    assert kept(users, one)["ozh_notify"] == {**(state or {}), "muted": True}


def test_all_documents_of_a_chat_are_muted(ozh: Ozh, users: Users) -> None:
    """It is one person; by `_id` only the one named."""
    a, b, c = user(telegram_id=77), user(telegram_id="77"), user()
    users.insert_many([a, b, c])
    assert "changed 2 of 2 documents" in ozh("mute", "77").out
    assert "ozh_notify" not in kept(users, c)
    assert "changed 1 of 1 document" in ozh("unmute", str(a["_id"])).out
    assert kept(users, b)["ozh_notify"] == {"muted": True}


def test_what_cannot_be_muted_is_said_and_nothing_is_written(ozh: Ozh, users: Users) -> None:
    """A state field of another type is never overwritten, also of one document among two."""
    odd, fine = user(telegram_id=77, ozh_notify="mine"), user(telegram_id=77)
    users.insert_many([odd, fine])
    for command in ("mute", "unmute"):
        result = ozh(command, "77")
        assert result.code == 78
        assert "ozh_notify is not an object, so nothing was written" in result.err
    assert (kept(users, odd), kept(users, fine)) == (odd, fine)


def test_nobody_is_made_by_muting(ozh: Ozh, users: Users) -> None:
    """An unknown user is exit 78, with the field that was looked in."""
    users.insert_one(user())
    result = ozh("mute", "1")
    assert result.code == 78
    assert "has the chat id (telegram_id) or the _id '1'" in result.err
    assert users.count_documents({}) == 1


@pytest.mark.long
def test_another_state_field_is_muted_by_its_name(ozh: Ozh, users: Users) -> None:
    """`OZH_STATE_FIELD` names it; the usual one is left alone."""
    one = discount_user()
    users.insert_one(one)
    named: dict[str, Any] = {"OZH_STATE_FIELD": "delivery"}
    assert ozh("mute", str(one["telegram_id"]), **named).code == 0
    assert kept(users, one) == {**one, "delivery": {"muted": True}}
    assert ozh("discount", "--json", **named).json()["sent"] == 0
