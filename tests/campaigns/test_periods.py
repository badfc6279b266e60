"""A campaign that is sent once in several days, whatever happens to the users' documents."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest

from ozh_notify.campaigns import Campaign
from ozh_notify.campaigns.daily_bonus import DailyBonus
from ozh_notify.config.load import load
from ozh_notify.config.settings import local
from ozh_notify.sandbox.botapi.client import BotApiServer
from ozh_notify.users import journal_entry, journal_period
from ozh_notify.users.delivery_state import State, hold_until, mark_sent_update
from ozh_notify.users.recipient import Recipient
from tests.conftest import Ozh
from tests.helpers.campaign_files import campaign_folder
from tests.helpers.passes import as_if_now, chats, ended
from tests.helpers.users import Users, user
from tests.torture.environment import WRAPPER

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
WEEKLY = """\
once = "7 days"
newest_by = "last_seen_at"

[[population]]
field = "last_seen_at"
older_than = "0 days"
reason = "seen in the future"
"""


@pytest.fixture
def weekly(ozh: Ozh, tmp_path: Path) -> Ozh:
    """The command with a weekly campaign; the clock of its process is the test's."""
    folder = campaign_folder(tmp_path, "weekly", WEEKLY, "Новости недели")
    ozh.environment.update(OZH_CAMPAIGNS_DIR=str(folder), OZH_TIMEZONE="Europe/Berlin")
    # The database's clock shows today, so the limit for clocks that differ is lifted.
    ozh.environment.update(TORTURE_CLOCK_LIMIT=str(10 * 365 * 86_400))
    ozh.program = (sys.executable, WRAPPER)
    return ozh


def seen(**fields: Any) -> dict[str, Any]:
    """A user of the campaign."""
    return user(last_seen_at=datetime(2026, 3, 1, tzinfo=UTC), **fields)


def at(month: int, day: int, hour: int, minute: int = 0) -> dict[str, Any]:
    """Variables of a process in which it is that moment of 2026 in Berlin."""
    return as_if_now(datetime(2026, month, day, hour, minute, tzinfo=BERLIN))


def one_pass(ozh: Ozh, clock: dict[str, Any]) -> dict[str, Any]:
    """The result of a pass at that moment."""
    done = ozh("weekly", "--json", **clock)
    assert done.code == 0, done.err
    return dict(done.json())


def journal(users: Users) -> Any:
    """The journal beside the users."""
    return users.database.ozh_notify_journal


@pytest.mark.long
def test_a_week_is_seven_local_days_also_where_summer_time_begins(
    weekly: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Nobody within it, everybody after it; the clocks go forward on the fourth night."""
    people = [seen() for _ in range(4)]
    users.insert_many(people)
    first = [(3, 26, 23, 50), (3, 27, 0, 5), (4, 1, 23, 55)]
    later = [(4, 2, 0, 5), (4, 8, 23, 55), (4, 9, 0, 5)]
    sent = [one_pass(weekly, at(*moment))["sent"] for moment in (*first, *later)]
    assert sent == [4, 0, 0, 4, 0, 4]
    assert Counter(chats(bot_api)) == {one["telegram_id"]: 3 for one in people}
    holds = {one["ozh_notify"]["weekly"]["hold_until"] for one in users.find()}
    assert holds == {datetime(2026, 4, 16, tzinfo=BERLIN).astimezone(UTC)}


def test_the_journal_holds_a_user_whose_document_was_replaced(
    weekly: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """On the last day of the week, too; and a second document of the chat changes nothing."""
    erased, doubled = seen(), seen()
    users.insert_many([erased, doubled])
    assert one_pass(weekly, at(3, 26, 12))["sent"] == 2
    users.update_one({"_id": erased["_id"]}, {"$unset": {"ozh_notify": ""}})
    users.insert_one(seen(telegram_id=doubled["telegram_id"]))
    held = one_pass(weekly, at(4, 1, 23))
    assert (held["sent"], held["duplicates"]) == (0, 2)
    users.update_many({}, {"$unset": {"ozh_notify": ""}})
    again = one_pass(weekly, at(4, 2, 0, 5))
    assert (again["sent"], again["duplicates"]) == (2, 1)
    users.update_many({}, {"$unset": {"ozh_notify": ""}})
    assert one_pass(weekly, at(4, 8, 23))["sent"] == 0
    assert set(Counter(chats(bot_api)).values()) == {2}


def test_two_passes_at_once_begin_a_new_week_once(
    weekly: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Each chat stands in two documents, and the entry of its last week is there already."""
    people = [seen() for _ in range(30)]
    users.insert_many(people)
    assert one_pass(weekly, at(3, 26, 12))["sent"] == 30
    users.update_many({}, {"$unset": {"ozh_notify": ""}})
    users.insert_many(seen(telegram_id=one["telegram_id"]) for one in people)
    clock = at(4, 2, 12)
    both = [weekly.start("weekly", "--json", **clock) for _ in range(2)]
    done = [ended(weekly, process) for process in both]
    assert sum(one.json()["sent"] for one in done) == 30, [one.err for one in done]
    assert Counter(chats(bot_api)) == {one["telegram_id"]: 2 for one in people}


@pytest.mark.long
def test_each_week_is_told_by_its_run(weekly: Ozh, users: Users) -> None:
    """`status --run`, `history` and `explain` know the week before, and when the next begins."""
    one = seen()
    users.insert_one(one)
    chat, clock = str(one["telegram_id"]), at(4, 2, 12)
    runs = [one_pass(weekly, when)["run_id"] for when in (at(3, 26, 12), clock)]
    for run in runs:
        [row] = weekly("status", "weekly", "--run", run, "--json", **clock).json()["deliveries"]
        assert (row["state"], row["chat_id"]) == ("sent", one["telegram_id"])
    told = weekly("history", chat, "--json", **clock).json()["deliveries"]
    assert [row["run"] for row in told] == runs[::-1]
    assert not any(row["replaced"] for row in told)
    users.update_one({}, {"$unset": {"ozh_notify": ""}})
    why = weekly("explain", "weekly", chat, **clock).out
    assert "2026-04-09 00:00" in why
    assert weekly("explain", "weekly", chat, "--json", **clock).json()["eligible"] is False
    later = weekly("explain", "weekly", chat, "--json", **at(4, 9, 1)).json()
    assert later["eligible"] is True
    [status] = weekly("status", "weekly", "--json", **at(4, 9, 1)).json()["campaigns"]
    assert status["states"] == {}


@pytest.mark.long
def test_an_experiment_holds_the_same_users_out_each_week(
    weekly: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Its result counts each chat once, and is still there when another experiment follows."""
    people = [seen() for _ in range(20)]
    users.insert_many(people)
    weekly.environment.update(
        OZH_WEEKLY_HOLDOUT="50",
        OZH_WEEKLY_EXPERIMENT="spring",
        OZH_WEEKLY_EXPERIMENT_UNTIL="2026-04-05",
        OZH_WEEKLY_GOAL_DAYS="3",
    )
    first, second = one_pass(weekly, at(3, 26, 12)), one_pass(weekly, at(4, 2, 12))
    assert 0 < first["held_out"] == second["held_out"] < 20
    assert first["sent"] == second["sent"] == 20 - first["held_out"]
    assert set(Counter(chats(bot_api)).values()) == {2}
    another = {"OZH_WEEKLY_EXPERIMENT": "may", "OZH_WEEKLY_EXPERIMENT_UNTIL": "2026-05-31"}
    third = one_pass(weekly, {**at(4, 9, 12), **another})
    assert third["sent"] + third["held_out"] == 20
    told = weekly("effect", "weekly", "--json", **at(4, 9, 13)).json()["experiments"]
    for name, held_out in (("spring", first["held_out"]), ("may", third["held_out"])):
        [one] = [one for one in told if one["experiment"] == name]
        assert one["arms"]["control"]["assigned"] == held_out
        assert one["arms"]["treated"]["assigned"] == 20 - held_out


@pytest.mark.long
def test_reconcile_settles_the_week_in_doubt(
    weekly: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A document that was replaced hides nothing; the next week needs no settling."""
    people = [seen() for _ in range(3)]
    users.insert_many(people)
    bot_api.control.rules([{"do": "cut_after", "times": 3}])
    assert one_pass(weekly, at(3, 26, 12))["unknown"] == 3
    users.update_one({"_id": people[0]["_id"]}, {"$unset": {"ozh_notify": ""}})
    listed = weekly("reconcile", "weekly", "--json", **at(4, 1, 12)).json()
    assert listed["found"] == 3
    first, second, _ = (str(one["telegram_id"]) for one in people)
    for option, chat in (("--resend", first), ("--mark-sent", second)):
        line = ("reconcile", "weekly", option, "--user", chat, "--yes")
        assert weekly(*line, **at(4, 1, 12)).code == 0
    assert one_pass(weekly, at(4, 1, 12))["sent"] == 1
    assert weekly("reconcile", "weekly", "--json", **at(4, 2, 12)).json()["found"] == 1
    # The week began with the claim of March 26, and for the resent one anew on April 1.
    assert one_pass(weekly, at(4, 2, 12))["sent"] == 2


def test_again_is_not_for_a_campaign_that_comes_again(weekly: Ozh) -> None:
    """2, with the reason."""
    refused = weekly("weekly", "--again")
    assert refused.code == 2
    assert "weekly is sent again after 7 days anyway" in " ".join(refused.err.split())


# --- pure ---


class Weekly(DailyBonus):
    """Once in seven days."""

    name: ClassVar[str] = "weekly"
    once: ClassVar[str] = "7 days"


class Yearly(DailyBonus):
    """Once in a year."""

    name: ClassVar[str] = "yearly"
    once: ClassVar[str] = "365 days"


def campaign(zone: str, kind: type[Campaign] = Weekly, **variables: str) -> Campaign:
    """A campaign of several days in a time zone."""
    given = {"MONGO_URI": "mongodb://h/db", "OZH_TIMEZONE": zone, **variables}
    return kind(load(None, given)[0])


def test_a_failure_holds_until_the_period_ends_and_at_most_for_thirty_days() -> None:
    """A blocked user may be back next month, also where the campaign is sent once a year."""
    claimed = datetime(2026, 3, 26, 12, tzinfo=UTC)
    written = claimed + timedelta(minutes=1)
    week, year = campaign("UTC"), campaign("UTC", Yearly)
    for state in (State.UNREACHABLE, State.REJECTED):
        assert hold_until(week, state, claimed, written) == datetime(2026, 4, 2, tzinfo=UTC)
        assert hold_until(year, state, claimed, written) == written + timedelta(days=30)
    assert hold_until(year, State.SENT, claimed, written) == datetime(2027, 3, 26, tzinfo=UTC)


def test_a_failure_settled_as_sent_holds_for_the_whole_period() -> None:
    """`reconcile --mark-sent` takes the end of the period, not that of the 30 days."""
    written, now = datetime(2026, 3, 26, 12, tzinfo=UTC), datetime(2026, 3, 27, tzinfo=UTC)
    for kind, state in ((Yearly, State.REJECTED), (Yearly, State.SENDING), (Weekly, State.UNKNOWN)):
        one = campaign("UTC", kind)
        held = hold_until(one, state, written, written)
        delivery = {"state": state.value, "at": written, "hold_until": held}
        [stage, *_] = mark_sent_update(one, delivery, now)
        kept = stage["$set"]["ozh_notify"]["$mergeObjects"][1][one.key]
        assert kept["hold_until"] == {"$literal": one.period_end(written)}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Havana", "Asia/Beirut"])
def test_a_period_is_over_at_its_end_and_not_before(zone: str) -> None:
    """Every two hours of a year: what holds a document and what holds an entry are one moment."""
    weekly, claimed = campaign(zone), datetime(2026, 1, 1, tzinfo=UTC)
    while claimed.year == 2026:
        end = weekly.period_end(claimed)
        days = local(end, weekly.settings).date() - local(claimed, weekly.settings).date()
        assert days == timedelta(days=7)
        entry = {"state": "sent", "claimed_at": claimed}
        before = end - timedelta(seconds=1)
        assert not journal_entry.may_take_over(weekly, entry, before)
        assert journal_entry.may_take_over(weekly, entry, end)
        claimed += timedelta(hours=2)


def test_no_claim_takes_over_an_entry_in_sending() -> None:
    """Only the sweep does, however old it is."""
    entry = {"state": "sending", "claimed_at": datetime(2026, 1, 1, tzinfo=UTC)}
    assert not journal_entry.may_take_over(campaign("UTC"), entry, datetime(2027, 1, 1, tzinfo=UTC))


def test_an_entry_is_kept_as_long_as_it_holds() -> None:
    """Also where the journal is kept for fewer days."""
    short = campaign("UTC", OZH_JOURNAL_DAYS="3")
    claimed = datetime(2026, 1, 1, 23, tzinfo=UTC)
    expires = journal_period.expiry(short, claimed)["expires_at"]
    assert expires > short.period_end(claimed)
    # Taken over six days later, it holds six days longer.
    later = claimed + timedelta(days=6)
    who = Recipient(1, 5, "Anna", "ru", "r-2", later, 0.0, 2)
    update = journal_entry.take_over_update(short, who, "r", {"state": "retry"})
    assert update["$set"]["expires_at"] > short.period_end(later)
