"""``ozh-notify history``: all that the journal holds of a user; and what `explain` says of it."""

from __future__ import annotations

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, ago, bonus_user, discount_user


def test_history_tells_every_delivery_of_a_user_the_newest_first(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """By chat id or `_id`, of all campaigns, `--again` too; also where the document is gone."""
    user = discount_user(registered_at=ago(hours=30))
    users.insert_many([user, bonus_user()])
    chat = user["telegram_id"]
    assert ozh("history", str(chat), "--json").json()["deliveries"] == []
    runs = [ozh("discount", "--json").json()["run_id"]]
    users.update_one({"_id": user["_id"]}, {"$set": {"discount_offered": False}})
    runs.append(ozh("discount", "--again", "--json").json()["run_id"])
    runs.append(ozh("daily-bonus", "--json").json()["run_id"])
    told = ozh("history", str(chat), "--json").json()
    got = told["deliveries"]
    assert [one["run"] for one in got] == runs[::-1]
    assert [one["campaign"] for one in got] == ["daily-bonus", "discount", "discount"]
    assert [one["replaced"] for one in got] == [False, False, True]
    assert {one["outcome"] for one in got} == {"sent"}
    ids = {m.message_id for m in bot_api.control.messages() if m.chat_id == chat}
    assert {one["message_id"] for one in got} == ids
    users.delete_one({"_id": user["_id"]})
    for name in (str(chat), str(user["_id"])):
        again = ozh("history", name, "--json")
        assert (again.code, again.json()["deliveries"]) == (0, got), again.err
    table = ozh("history", str(chat)).out
    assert all(run in table for run in runs)
    unknown = ozh("history", "5")
    assert (unknown.code, unknown.out) == (78, "")
    off = ozh("history", str(chat), OZH_JOURNAL_COLLECTION="off")
    assert off.code == 78
    assert "OZH_JOURNAL_COLLECTION is off" in off.err


def test_explain_names_the_entry_that_holds_a_user(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Whatever a backend wrote over the document: no pass would message this user."""
    user = discount_user()
    users.insert_one(user)
    chat = str(user["telegram_id"])
    assert ozh("explain", "discount", chat, "--json").json()["eligible"]
    run = ozh("discount", "--json").json()["run_id"]
    users.replace_one({"_id": user["_id"]}, user)
    told = ozh("explain", "discount", chat, "--json").json()
    assert (told["eligible"], told["next_at"]) == (False, None)
    assert f"the journal has discount:{chat} as sent, by run {run}" in told["verdict"]


@pytest.mark.long
def test_a_person_settles_an_unknown_whose_document_was_saved_over(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The journal lists it, and knows what was decided."""
    users.insert_many([discount_user() for _ in range(2)])
    bot_api.control.rules([{"do": "html_error", "code": 502}])
    assert ozh("discount", "--json").json()["unknown"] == 2
    bot_api.control.rules([])
    users.update_many({}, {"$unset": {"ozh_notify": ""}})
    listed = ozh("reconcile", "discount", "--json").json()
    assert listed["found"] == 2
    settled = ozh("reconcile", "discount", "--mark-sent", "--yes", "--json").json()
    assert settled["settled"] == 2
    assert ozh("reconcile", "discount", "--json").json()["found"] == 0
    assert ozh("discount", "--json").json()["duplicates"] == 2
    assert users.count_documents({"ozh_notify.discount.state": "sent"}) == 2
