"""``ozh-notify status``: what happened recently, and what is due; from the data alone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Finished, Ozh
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    now,
    user,
)

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
IN_DAYS = now() + timedelta(days=9)


def held(state: str, **fields: Any) -> dict[str, Any]:
    """A user of the discount with a delivery as a pass leaves it."""
    kept: dict[str, Any] = {"state": state, "run": "run-1", "at": ago(hours=2), "attempts": 1}
    if state in ("sending", "unknown"):
        kept["claim"] = "run-1-1"
    if state != "retry":
        kept["hold_until"] = FAR
    return discount_user(ozh_notify={"discount": {**kept, **fields}})


def campaign(result: Finished, name: str = "discount") -> dict[str, Any]:
    """What is told of one campaign."""
    [found] = [one for one in result.json()["campaigns"] if one["campaign"] == name]
    return dict(found)


@pytest.mark.long
def test_users_are_counted_by_state_with_how_many_are_held(ozh: Ozh, users: Users) -> None:
    """In the order of a delivery's life; and who is due, lapsed and in doubt longest."""
    ozh.environment["OZH_JOURNAL_COLLECTION"] = "off"
    oldest = held("unknown", at=ago(days=3), run="run-0")
    users.insert_many(
        [
            *(held("sent") for _ in range(4)),
            *(held("unknown") for _ in range(2)),
            oldest,
            held("retry"),
            held("unreachable", hold_until=IN_DAYS),
            held("unreachable", hold_until=ago(hours=1)),
            held("rejected", hold_until=IN_DAYS),
            held("sending", hold_until=now() + timedelta(minutes=5)),
            held("sending", hold_until=ago(minutes=5)),
            *(discount_user() for _ in range(5)),
            *(user() for _ in range(3)),
        ]
    )
    shown = campaign(ozh("status", "discount", "--json"))
    assert list(shown["states"].items()) == [
        *(("sending", 2), ("sent", 4), ("retry", 1), ("unreachable", 2), ("rejected", 1)),
        ("unknown", 3),
    ]
    assert shown["held"] == {
        **{"sending": 2, "sent": 4, "retry": 0, "unreachable": 1, "rejected": 1, "unknown": 3}
    }
    # Five who were never messaged, one in `retry`, one whose hold is over.
    assert (shown["due"], shown["lapsed"], shown["closed"]) == (7, 1, None)
    doubt = shown["oldest_unknown"]
    assert (doubt["user"], doubt["chat_id"]) == (str(oldest["_id"]), oldest["telegram_id"])
    assert doubt["run"] == "run-0"
    assert datetime.fromisoformat(doubt["at"]) == oldest["ozh_notify"]["discount"]["at"]
    table = ozh("status", "discount").out
    for words in ("due now", "lapsed", "(1 on hold)", "see: ozh-notify reconcile"):
        assert words in table
    assert f"oldest unknown: chat {oldest['telegram_id']}, since 20" in table


def test_what_is_due_is_what_the_next_pass_finds(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """And what a pass did is seen: its run, when, and how many by state."""
    users.insert_many([discount_user() for _ in range(6)] + [bonus_user() for _ in range(4)])
    before = ozh("status", "--json")
    assert [one["campaign"] for one in before.json()["campaigns"]] == ["discount", "daily-bonus"]
    assert (campaign(before)["due"], campaign(before, "daily-bonus")["due"]) == (6, 4)
    assert campaign(before)["runs"] == []
    bot_api.control.rules([{"do": "blocked", "skip": 4, "times": 1}])
    passed = ozh("discount", "--json").json()
    assert (passed["sent"], passed["unreachable"]) == (5, 1)
    after = campaign(ozh("status", "--json"))
    assert (after["due"], after["states"]) == (0, {"sent": 5, "unreachable": 1})
    [run] = after["runs"]
    assert (run["status"], run["error"]) == ("ok", None)
    assert (run["id"], run["states"]) == (passed["run_id"], {"sent": 5, "unreachable": 1})
    first, last = (datetime.fromisoformat(run[key]) for key in ("first", "last"))
    started, finished = (
        datetime.fromisoformat(passed[key]) for key in ("started_at", "finished_at")
    )
    assert started - timedelta(seconds=1) <= first <= last <= finished + timedelta(seconds=1)


@pytest.mark.long
def test_all_passes_of_a_month_are_listed(ozh: Ozh, users: Users) -> None:
    """Every 15 minutes makes 2,880 of them: the sum of docs/effect.md is that of the month."""
    runs = [f"{ago(minutes=15 * n + 1):%Y%m%dT%H%M%SZ}-{n:08x}" for n in range(2880)]
    users.database["ozh_notify_journal"].insert_many(
        {
            "_id": f"run:{run}",
            "campaign": "discount",
            "run_id": run,
            "started_at": ago(minutes=15 * n + 1),
            "finished_at": ago(minutes=15 * n),
            "status": "ok",
            "sent": 2,
            "retry": 1,
        }
        for n, run in enumerate(runs)
    )
    since = f"{ago(days=31):%Y-%m-%d}"
    rows = [
        line.split(",") for line in ozh("status", "discount", "--since", since, "--csv").out.split()
    ]
    assert sum(int(row[5]) for row in rows if row[4] == "sent") == 2 * 2880
    assert campaign(ozh("status", "discount", "--json", "--since", since))["earlier"] == 0


@pytest.mark.long
def test_the_last_ten_runs_are_listed_the_latest_first(ozh: Ozh, users: Users) -> None:
    """By when they last wrote; each with its users by state."""
    ozh.environment["OZH_JOURNAL_COLLECTION"] = "off"
    users.insert_many(
        [held("sent", run=f"run-{n:02}", at=ago(hours=20 - n)) for n in range(12)]
        + [held("unreachable", run="run-11", at=ago(hours=12))]
    )
    shown = campaign(ozh("status", "discount", "--json"))
    assert [run["id"] for run in shown["runs"]] == [f"run-{n:02}" for n in range(11, 1, -1)]
    latest = shown["runs"][0]
    assert latest["states"] == {"sent": 1, "unreachable": 1}
    assert latest["first"] < latest["last"]
    table = ozh("status", "discount").out
    assert "1 sent, 1 unreachable" in table
    assert table.index("run-11") < table.index("run-02")
    assert "run-01" not in table
    assert shown["earlier"] == 2
    assert "and 2 earlier: ozh-notify status --since WHEN" in table
    since = f"{ago(hours=19.5):%Y-%m-%dT%H:%M}"
    later = campaign(ozh("status", "discount", "--json", "--since", since))
    assert [run["id"] for run in later["runs"]] == [f"run-{n:02}" for n in range(11, 0, -1)]
    assert later["earlier"] == 0
    lines = ozh("status", "--csv", "--since", since).out.splitlines()
    assert lines[0] == "campaign,run,first,last,state,users"
    assert len(lines) == 1 + 12
    assert ozh("status", "--since", "tomorrow").code == 2
    assert ozh("status", "--csv", "--json").code == 2


def test_an_empty_collection_and_closed_hours_are_no_error(ozh: Ozh) -> None:
    """The morning after nothing; why a pass would message nobody stands beside what is due."""
    shown = ozh("status", "--json", OZH_QUIET_HOURS="00:00-23:59", OZH_TIMEZONE="Asia/Tokyo")
    assert shown.code == 0, shown.err
    for one in shown.json()["campaigns"]:
        assert (one["due"], one["states"], one["runs"]) == (0, {}, [])
        assert one["oldest_unknown"] is None
    noon = campaign(shown)["closed"]
    assert noon is None or "in the quiet hours" in noon
    assert "due now" in ozh("status").out


def test_a_pass_under_way_is_named_with_the_end_of_its_lease(ozh: Ozh, users: Users) -> None:
    """After a `kill -9` it says until when nobody touches those users, and which run it was."""
    until = now() + timedelta(minutes=9)
    users.insert_many(held("sending", run="run-7", hold_until=until) for _ in range(2))
    users.insert_one(held("sending", run=5, hold_until="soon"))
    [second, first] = campaign(ozh("status", "discount", "--json"))["sending"]
    assert (second["run"], second["users"]) == ("run-7", 2)
    assert datetime.fromisoformat(second["until"]) == until
    assert (first["run"], first["until"]) == (None, None)
    table = ozh("status", "discount").out
    assert f"run run-7 is sending to 2 users until {until:%Y-%m-%d %H:%M:%S}" in table
    assert "run ? is sending to 1 user until ? at the latest" in table


def test_odd_states_are_counted_and_stop_nothing(ozh: Ozh, users: Users) -> None:
    """Whatever a backend wrote there."""
    ozh.environment["OZH_JOURNAL_COLLECTION"] = "off"
    users.insert_many(
        [
            held("sent"),
            held("paused", run=5, at="yesterday"),
            held("unknown", claim={"$gt": ""}, run=["x"], at=None),
            user(ozh_notify="mine"),
            user(ozh_notify={"discount": None}),
        ]
    )
    result = ozh("status", "discount", "--json")
    assert result.code == 0, result.err
    assert campaign(result)["states"] == {"sent": 1, "unknown": 1, "paused": 1}
    assert campaign(result)["oldest_unknown"]["at"] is None
    table = ozh("status", "discount")
    assert table.code == 0, table.err
    assert "oldest unknown: chat" in table.out


@pytest.mark.long
def test_a_run_tells_who_got_what(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """Each user with state, time and Telegram's id of the message; of that run alone."""
    users.insert_many([discount_user() for _ in range(3)])
    bot_api.control.rules([{"do": "blocked", "skip": 1, "times": 1}])
    run = ozh("discount", "--json").json()["run_id"]
    users.insert_many([discount_user(), held("sent")])
    assert ozh("discount").code == 0
    shown = ozh("status", "discount", "--run", run, "--json").json()
    assert (shown["campaign"], shown["run"]) == ("discount", run)
    got = {one["chat_id"]: one for one in shown["deliveries"]}
    assert sorted(one["state"] for one in got.values()) == ["sent", "sent", "unreachable"]
    for message in bot_api.control.messages():
        if message.chat_id in got:
            assert got[message.chat_id]["message_id"] == message.message_id
    users.insert_one(user(ozh_notify={"discount": [{"state": "sent", "run": run}]}))
    table = ozh("status", "discount", "--run", run).out
    assert f"discount, run {run}: 3 users" in table
    assert all(re.search(rf"^│ {chat} +│", table, re.MULTILINE) for chat in got)
    lines = ozh("status", "discount", "--run", run, "--csv").out.splitlines()
    assert lines[0] == "chat_id,user,state,at,message_id,error"
    assert sorted(line.split(",")[2] for line in lines[1:]) == ["sent", "sent", "unreachable"]
    unknown = ozh("status", "discount", "--run", "x")
    assert (unknown.code, unknown.out) == (78, "")
    assert "no pass of discount has the run id 'x'" in unknown.err
    wrong = ozh("status", "--run", run)
    assert wrong.code == 2
    assert "CAMPAIGN" in wrong.err


def test_it_says_what_is_wrong_with_the_command_line(ozh: Ozh) -> None:
    """With the nearest name, before any settings are read."""
    wrong = ozh("status", "discuont", MONGO_URI=None, COLUMNS="200")
    assert wrong.code == 2
    assert "did you mean discount?" in wrong.err
    usage = " ".join(ozh("status", "--help", COLUMNS="120").out.split())
    assert "[CAMPAIGN]" in usage
    assert "[[CAMPAIGN]]" not in usage


@pytest.mark.long
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_moments_at_the_ends_of_the_calendar_are_shown(zone: str, ozh: Ozh, users: Users) -> None:
    """Some backends write the year 1 for "never"."""
    ozh.environment["OZH_JOURNAL_COLLECTION"] = "off"
    first = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
    last = datetime.fromisoformat("9999-12-31T23:59:59+00:00")
    users.insert_many([held("unknown", at=first), held("unknown", run="run-2", at=last)])
    result = ozh("status", "discount", OZH_TIMEZONE=zone, OZH_JOURNAL_COLLECTION="off")
    assert result.code == 0, result.err
    assert "run-2" in result.out


def test_status_begins_with_the_last_runs_and_how_they_ended(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Also those that messaged nobody or were refused; of these `--run` lists nobody."""
    users.insert_many([discount_user() for _ in range(3)])
    assert ozh("discount", "--max-recipients", "1").code == 77
    assert ozh("discount").code == 0
    assert ozh("discount").code == 0
    runs = campaign(ozh("status", "discount", "--json"))["runs"]
    assert [run["status"] for run in runs] == ["ok", "ok", "refused"]
    assert [run["states"] for run in runs] == [{}, {"sent": 3}, {}]
    assert "OZH_MAX_RECIPIENTS" in runs[2]["error"]
    table = ozh("status", "discount").out
    assert table.index("last runs") < table.index("due now")
    assert "refused" in table
    nobody = ozh("status", "discount", "--run", runs[0]["id"], "--json")
    assert (nobody.code, nobody.json()["deliveries"]) == (0, [])


@pytest.mark.long
def test_what_a_run_sent_is_told_for_good(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """Whatever a backend or a later pass has written over since, `--again` included."""
    users.insert_many([discount_user() for _ in range(2)])
    first = ozh("discount", "--json").json()["run_id"]
    users.update_many({}, {"$set": {"discount_offered": False}})
    second = ozh("discount", "--again", "--json").json()["run_id"]
    users.delete_many({})
    ids = {m.message_id for m in bot_api.control.messages()}
    got = [
        {
            one["message_id"]
            for one in ozh("status", "discount", "--run", run, "--json").json()["deliveries"]
        }
        for run in (first, second)
    ]
    assert got[0] | got[1] == ids
    assert [len(some) for some in got] == [2, 2]


def test_an_unknown_of_an_earlier_version_is_still_told_of(ozh: Ozh, users: Users) -> None:
    """Its document has a claim, though no entry was made for it."""
    old = held("unknown", at=ago(days=3))
    users.insert_one(old)
    assert campaign(ozh("status", "discount", "--json"))["oldest_unknown"]["user"] == str(
        old["_id"]
    )
