"""`ozh-notify effect` over the wire: judging once, both arms, the verdict, planning."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from tests.conftest import Ozh
from tests.helpers.users import Users

Journal = Collection[dict[str, Any]]
NOW = datetime.now(timezone.utc)
NAME = "spring"


def ago(days: float) -> datetime:
    """A moment in the past."""
    return NOW - timedelta(days=days)


@pytest.fixture
def journal(users: Users) -> Journal:
    """The journal of the test's database."""
    return users.database.ozh_notify_journal


def experiment(journal: Journal, share: float = 10, until: datetime | None = None) -> None:
    """The document that the first assignment writes."""
    last = (until or ago(9)).date().isoformat()
    journal.insert_one(
        {
            "_id": f"experiment:discount:{NAME}",
            "campaign": "discount",
            "name": NAME,
            "share": share,
            "goal_days": 7,
            "until": last,
            "started_at": ago(40),
        }
    )


def assign(
    journal: Journal,
    users: Users,
    arm: str,
    count: int,
    back: int,
    first: int,
    claimed_at: datetime | None = None,
    **fields: Any,
) -> None:
    """Users of one arm, each assigned at one generation; ``back`` of them have made more."""
    at = claimed_at or ago(30)
    chats = range(first, first + count)
    users.insert_many(
        {"_id": chat, "telegram_id": chat, "generations_count": 2 if n < back else 1, **fields}
        for n, chat in enumerate(chats)
    )
    journal.insert_many(
        {
            "_id": f"discount:{chat}",
            "campaign": "discount",
            "chat_id": chat,
            "user": chat,
            "state": "sent" if arm == "treated" else "held_out",
            "claimed_at": at,
            "experiment": NAME,
            "arm": arm,
            "share": 10,
            "judge_at": at + timedelta(days=7),
            "baseline": {"generations": 1, "revenue": 0},
        }
        for chat in chats
    )


def test_both_arms_are_judged_and_the_verdict_is_plain(
    ozh: Ozh, users: Users, journal: Journal, tmp_path: Path
) -> None:
    """20 % of 900 came back and 5 % of 100: more came back, about 135 users."""
    experiment(journal)
    assign(journal, users, "treated", 900, 180, 1000)
    assign(journal, users, "control", 100, 5, 5000)
    file = tmp_path / "effect.svg"
    result = ozh("effect", "--json", "--svg", str(file))
    [shown] = result.json()["experiments"]
    assert shown["verdict"] == "more came back"
    assert shown["arms"]["treated"]["reached"] == 180
    assert shown["arms"]["control"]["judged"] == 100
    assert shown["extra"] == pytest.approx(135)
    assert shown["low"] > 0
    assert "<svg" in file.read_text()
    result = ozh("effect", "discount", "--experiment", NAME, NO_COLOR="1")
    assert result.code == 0, result.err
    assert "more came back: +15.00 points" in result.out
    assert "remove the holdout" in result.out
    assert all(len(line) <= 100 for line in result.out.splitlines())


def test_nobody_is_judged_twice(ozh: Ozh, users: Users, journal: Journal) -> None:
    """What somebody does after the judgement changes nothing."""
    experiment(journal)
    assign(journal, users, "treated", 5, 2, 1000)
    ozh("effect")
    before = list(journal.find().sort("_id"))
    assert {e["goal"] for e in before if "goal" in e} == {True, False}
    users.update_many({}, {"$set": {"generations_count": 9}})
    ozh("effect")
    assert list(journal.find().sort("_id")) == before


def test_a_user_document_that_is_gone_has_not_come_back(
    ozh: Ozh, users: Users, journal: Journal
) -> None:
    """Intention to treat: who was assigned stays in the figures."""
    experiment(journal)
    assign(journal, users, "treated", 5, 5, 1000)
    users.delete_many({})
    [shown] = ozh("effect", "--json").json()["experiments"]
    assert shown["arms"]["treated"]["judged"] == 5
    assert shown["arms"]["treated"]["reached"] == 0


def test_nobody_is_judged_before_the_time(ozh: Ozh, users: Users, journal: Journal) -> None:
    """An experiment that still runs has no verdict, whatever its figures."""
    experiment(journal, until=NOW + timedelta(days=3))
    assign(journal, users, "treated", 900, 300, 1000)
    assign(journal, users, "control", 100, 1, 5000)
    assign(journal, users, "control", 1, 0, 7000, claimed_at=ago(2))
    [shown] = ozh("effect", "--json").json()["experiments"]
    assert shown["verdict"] == "too early"
    assert shown["arms"]["control"]["judged"] == 100
    assert shown["arms"]["control"]["assigned"] == 101
    text = " ".join(ozh("effect").out.split())
    last = (NOW + timedelta(days=3 + 7)).date()
    assert f"too early: the last outcome is judged on {last}." in text


def test_a_chat_of_a_daily_campaign_counts_once_by_its_first_entry(
    ozh: Ozh, users: Users, journal: Journal
) -> None:
    """A reminder on three days is one user."""
    experiment(journal)
    assign(journal, users, "treated", 4, 1, 1000)
    later = [
        {**entry, "_id": f"{entry['_id']}:{day}", "claimed_at": ago(30 - day), "goal": True,
         "judged_at": ago(1)}
        for entry in journal.find({"arm": "treated"})
        for day in (1, 2)
    ]  # fmt: skip
    journal.insert_many(later)
    [shown] = ozh("effect", "--json").json()["experiments"]
    assert shown["arms"]["treated"]["assigned"] == 4
    assert shown["arms"]["treated"]["reached"] == 1


def test_a_split_that_chance_does_not_explain_gives_no_verdict(
    ozh: Ozh, users: Users, journal: Journal
) -> None:
    """Half are held out where a tenth was planned."""
    experiment(journal)
    assign(journal, users, "treated", 300, 100, 1000)
    assign(journal, users, "control", 300, 10, 5000)
    result = ozh("effect")
    assert "split broken: 300 of 600" in result.out
    assert "Do not use these figures" in result.out


def test_revenue_is_compared_where_it_is_mapped(ozh: Ozh, users: Users, journal: Journal) -> None:
    """Money per assigned user, with its interval."""
    experiment(journal, share=50)
    assign(journal, users, "treated", 100, 50, 1000, paid=3.5)
    assign(journal, users, "control", 100, 50, 5000, paid=1.5)
    [shown] = ozh("effect", "--json", OZH_FIELD_REVENUE="paid").json()["experiments"]
    assert shown["arms"]["treated"]["revenue_per_user"] == 3.5
    assert "difference +2.00" in ozh("effect", OZH_FIELD_REVENUE="paid").out


def test_a_plan_asks_no_server(ozh: Ozh) -> None:
    """The published numbers of users."""
    result = ozh("effect", "--plan", "3", "5", "--json", MONGO_URI="mongodb://127.0.0.1:1/x")
    shown = {row["share"]: row["users"] for row in result.json()["plan"]}
    assert shown == {10: 6746, 20: 4020, 50: 3006}
    assert "6746" in ozh("effect", "--plan", "3", "5").out
    assert ozh("effect", "--plan", "3", "3").code == 2


def test_without_a_journal_or_an_experiment_effect_says_so(ozh: Ozh) -> None:
    """And what to do."""
    assert "no such experiment" in ozh("effect").out
    off = ozh("effect", OZH_JOURNAL_COLLECTION="off")
    assert off.code == 78
    assert "OZH_JOURNAL_COLLECTION is off" in off.err


@pytest.mark.long
def test_twenty_experiments_hold_the_truth_as_often_as_they_say(
    ozh: Ozh, users: Users, journal: Journal
) -> None:
    """A year of a bot with a known lift of two points; the seed is fixed."""
    rng, held = random.Random(3), 0
    for _ in range(20):
        users.delete_many({})
        journal.delete_many({})
        experiment(journal, share=50)
        for arm, rate, first in (("treated", 0.10, 1000), ("control", 0.08, 5000)):
            back = sum(rng.random() < rate for _ in range(400))
            assign(journal, users, arm, 400, back, first)
        [shown] = ozh("effect", "--json").json()["experiments"]
        held += shown["low"] <= 0.02 <= shown["high"]
    assert held >= 17
