"""``ozh-notify reconcile``: what is in doubt is listed, and settled by a person's word only."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import OZH, Ozh
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    now,
)

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")


def tomorrow() -> datetime:
    """The midnight that ends the day, in UTC."""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)


def delivery(state: str, **fields: Any) -> dict[str, Any]:
    """A delivery as a pass leaves it."""
    kept: dict[str, Any] = {"state": state, "run": "run-1", "at": ago(minutes=1), "attempts": 1}
    if state in ("sending", "unknown"):
        kept["claim"] = "run-1-1"
    if state != "retry":
        kept["hold_until"] = FAR
    return {**kept, **fields}


def held(state: str, **fields: Any) -> dict[str, Any]:
    """A user of the discount with a delivery in that state."""
    return discount_user(ozh_notify={"discount": delivery(state, **fields)})


def stored(users: Users, user: dict[str, Any]) -> dict[str, Any]:
    """A user's discount delivery as it is now."""
    found = users.find_one({"telegram_id": user["telegram_id"]})
    assert found
    return dict(found["ozh_notify"]["discount"])


def test_a_listing_shows_who_is_in_doubt_and_changes_nothing(ozh: Ozh, users: Users) -> None:
    """User, chat, time, run and error of each; others are not listed."""
    doubtful, sent = held("unknown", error="ServerTimeoutError"), held("sent")
    users.insert_many([doubtful, sent])
    result = ozh("reconcile", "discount", "--json")
    assert result.code == 0, result.err
    [entry] = result.json()["deliveries"]
    assert entry["user"] == str(doubtful["_id"])
    assert (entry["chat_id"], entry["run"]) == (doubtful["telegram_id"], "run-1")
    assert entry["error"] == "ServerTimeoutError"
    assert datetime.fromisoformat(entry["at"]) == doubtful["ozh_notify"]["discount"]["at"]
    assert stored(users, doubtful) == doubtful["ozh_notify"]["discount"]
    table = ozh("reconcile", "discount").out
    assert f"{doubtful['telegram_id']}" in table
    assert f"{sent['telegram_id']}" not in table


def test_lapsed_claims_are_swept_before_the_listing(ozh: Ozh, users: Users) -> None:
    """What a crash left in `sending` shows up as soon as its lease is over, not before."""
    lapsed = held("sending", hold_until=ago(minutes=1))
    alive = held("sending", hold_until=now() + timedelta(minutes=5))
    users.insert_many([lapsed, alive])
    result = ozh("reconcile", "discount", "--json").json()
    assert (result["swept"], result["found"], result["sending"]) == (1, 1, 1)
    assert stored(users, lapsed)["state"] == "unknown"
    assert stored(users, alive)["state"] == "sending"


def test_resent_users_are_messaged_by_the_next_pass_and_only_they(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """(h): `--resend` -> `retry` without hold and claim."""
    again, left = held("unknown", error="timeout"), held("unknown")
    users.insert_many([again, left])
    chat = str(again["telegram_id"])
    result = ozh("reconcile", "discount", "--resend", "--yes", "--json", "--user", chat)
    assert (result.json()["settled"], result.json()["changed"]) == (1, 0), result.err
    kept = stored(users, again)
    assert kept["state"] == "retry"
    assert not {"hold_until", "claim"} & kept.keys()
    assert ozh("discount", "--json").json()["sent"] == 1
    assert [m.chat_id for m in bot_api.control.messages()] == [again["telegram_id"]]
    assert stored(users, left)["state"] == "unknown"


def test_users_marked_sent_carry_the_flag_and_are_left_alone(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """(i): `--mark-sent` -> `sent` for good, with ``discount_offered``."""
    doubtful = held("unknown")
    users.insert_one(doubtful)
    assert ozh("reconcile", "discount", "--mark-sent", "--yes", "--json").json()["settled"] == 1
    kept = stored(users, doubtful)
    assert (kept["state"], kept["hold_until"]) == ("sent", FAR)
    assert "claim" not in kept
    assert users.count_documents({"discount_offered": True}) == 1
    assert ozh("discount", "--json").json()["sent"] == 0
    assert bot_api.control.messages() == []


def test_a_daily_bonus_marked_sent_holds_until_the_end_of_the_claims_day(
    ozh: Ozh, users: Users
) -> None:
    """Whenever it is settled: the next day's reminder is not lost."""
    today = delivery("unknown", hold_until=tomorrow())
    past = delivery("unknown", hold_until=tomorrow() - timedelta(days=1), at=ago(hours=1))
    users.insert_many(bonus_user(ozh_notify={"daily_bonus": s}) for s in (today, past))
    result = ozh("reconcile", "daily-bonus", "--mark-sent", "--yes", "--json")
    assert result.json()["settled"] == 2, result.err
    holds = [u["ozh_notify"]["daily_bonus"]["hold_until"] for u in users.find().sort("_id")]
    assert holds == [tomorrow(), tomorrow() - timedelta(days=1)]
    assert users.count_documents({"daily_bonus_claimed_today": {"$ne": False}}) == 0


@pytest.mark.long
@pytest.mark.parametrize("state", ["retry", "unreachable", "rejected"])
def test_other_states_are_settled_when_named(ozh: Ozh, users: Users, state: str) -> None:
    """`--state` picks one state; the others stay as they are."""
    ozh.environment["OZH_JOURNAL_COLLECTION"] = "off"
    wanted, other = held(state), held("unknown")
    users.insert_many([wanted, other])
    result = ozh("reconcile", "discount", "--mark-sent", "--yes", "--json", "--state", state)
    assert result.json()["settled"] == 1, result.err
    assert stored(users, wanted)["state"] == "sent"
    assert stored(users, other)["state"] == "unknown"


def test_a_resent_user_who_could_not_be_reached_is_messaged_by_the_next_pass(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The hold of all campaigns ends with that of this one."""
    who = discount_user()
    users.insert_one(who)
    bot_api.control.rules([{"do": "blocked"}])
    assert ozh("discount", "--json").json()["unreachable"] == 1
    bot_api.control.rules([])
    arguments = ("reconcile", "discount", "--resend", "--yes", "--json", "--state", "unreachable")
    assert ozh(*arguments).json()["settled"] == 1
    assert ozh("discount", "--json").json()["sent"] == 1


def test_run_and_user_only_narrow(ozh: Ozh, users: Users) -> None:
    """A user of another run, or in another state, is not reached by naming it."""
    mine, others, sending = held("unknown"), held("unknown", run="run-2"), held("sending")
    users.insert_many([mine, others, sending])
    chats = [a for u in (others, sending) for a in ("--user", str(u["telegram_id"]))]
    arguments = ("reconcile", "discount", "--resend", "--yes", "--json")
    assert ozh(*arguments, "--run", "run-1", *chats).json()["settled"] == 0
    assert ozh(*arguments, "--run", "run-1").json()["settled"] == 1
    states = [stored(users, u)["state"] for u in (mine, others, sending)]
    assert states == ["retry", "unknown", "sending"]


def test_ids_come_from_a_file_of_numbers_and_logged_lines(ozh: Ozh, users: Users) -> None:
    """The lines 'not recorded' of a pass name users to settle; other lines name nobody."""
    a, b, c, d = (held("unknown") for _ in range(4))
    users.insert_many([a, b, c, d])
    lines = [
        f"2026-11-24 11:05:00 ERROR not recorded: user 'x chat 1: y' chat {a['telegram_id']}: "
        "sent message 7",
        f"  {b['telegram_id']}",
        f"<3>not recorded: user 5 chat {c['telegram_id']}: retry",
        f"2026-11-24 11:05:00 INFO a line about {d['telegram_id']}",
    ]
    file = ozh.folder / "lost.log"
    file.write_text("\n".join(lines))
    result = ozh("reconcile", "discount", "--mark-sent", "--yes", "--json", "--user", f"@{file}")
    assert result.json()["settled"] == 2, result.err
    assert "2 lines" in result.err
    states = [stored(users, u)["state"] for u in (a, b, c, d)]
    assert states == ["sent", "sent", "unknown", "unknown"]


@pytest.mark.long
def test_a_logged_line_settles_the_very_claim_it_names(ozh: Ozh, users: Users) -> None:
    """At once, in `sending` too; not another user of that claim, nor another claim of that chat."""
    lease = now() + timedelta(minutes=9)
    told, same_claim, claimed_again = (held("sending", hold_until=lease) for _ in range(3))
    swept = held("unknown", claim="run-1-2")
    claimed_again["ozh_notify"]["discount"]["claim"] = "run-9-1"
    users.insert_many([told, same_claim, claimed_again, swept, held("unknown")])
    line = "11:05:00 ERROR not recorded: user 5 run run-1 claim {} chat {}: sent message 7"
    named = (("run-1-1", told), ("run-1-2", swept), ("run-1-1", claimed_again))
    file = ozh.folder / "lost.log"
    file.write_text("\n".join(line.format(claim, u["telegram_id"]) for claim, u in named))
    log = ("reconcile", "discount", "--user", f"@{file}")
    assert "2 deliveries that the log names" in ozh(*log).out
    result = ozh(*log, "--mark-sent", "--yes", "--json")
    assert (result.code, result.json()["settled"], result.json()["found"]) == (0, 2, 2)
    states = [stored(users, u)["state"] for u in (told, swept, same_claim, claimed_again)]
    assert states == ["sent", "sent", "sending", "sending"]
    assert "claim" not in stored(users, told)
    again = ozh(*log, "--mark-sent", "--yes", "--json")
    assert (again.code, again.json()["found"]) == (0, 0)


def test_a_logged_daily_bonus_in_sending_holds_until_midnight(ozh: Ozh, users: Users) -> None:
    """Not only until its lease would have ended."""
    noon = now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    kept = delivery("sending", hold_until=now() + timedelta(minutes=9), at=noon)
    one = bonus_user(ozh_notify={"daily_bonus": kept})
    users.insert_one(one)
    file = ozh.folder / "lost.log"
    chat = one["telegram_id"]
    file.write_text(f"not recorded: user 5 run run-1 claim run-1-1 chat {chat}: unknown\n")
    result = ozh("reconcile", "daily-bonus", "--mark-sent", "--yes", "--user", f"@{file}")
    assert result.code == 0, result.err
    [kept] = [user["ozh_notify"]["daily_bonus"] for user in users.find()]
    assert (kept["state"], kept["hold_until"]) == ("sent", noon + timedelta(hours=12))


def test_what_a_pass_still_holds_is_exit_75_and_says_until_when(ozh: Ozh, users: Users) -> None:
    """A chat named by its number may be in the hands of a pass: run it again later."""
    lease = now() + timedelta(minutes=9)
    sending = held("sending", hold_until=lease)
    users.insert_one(sending)
    command = ("reconcile", "discount", "--resend", "--yes", "--user", str(sending["telegram_id"]))
    result = ozh(*command)
    assert result.code == 75
    assert f"a pass holds them until its lease ends at {lease:%Y-%m-%d %H:%M:%S}" in result.out
    assert stored(users, sending)["state"] == "sending"
    assert ozh("reconcile", "discount", "--resend", "--yes").code == 0


@pytest.mark.long
def test_what_its_own_sweep_made_unknown_is_not_settled_unseen(ozh: Ozh, users: Users) -> None:
    """A fast clock sweeps too early: `--yes` lists it and says to run it again."""
    lapsed, doubtful = held("sending", hold_until=ago(minutes=1)), held("unknown")
    users.insert_many([lapsed, doubtful])
    result = ozh("reconcile", "discount", "--resend", "--yes")
    assert result.code == 75
    assert "1 delivery became unknown just now and was not settled" in result.out
    assert str(lapsed["telegram_id"]) in result.out
    assert [stored(users, u)["state"] for u in (lapsed, doubtful)] == ["unknown", "retry"]
    again = ozh("reconcile", "discount", "--resend", "--yes", "--json")
    assert (again.code, again.json()["settled"], again.json()["postponed"]) == (0, 1, 0)


@pytest.mark.long
def test_an_old_sending_is_freed_by_a_person_who_knows(ozh: Ozh, users: Users) -> None:
    """One without a usable `hold_until` or `claim` is swept by no pass."""
    no_hold, odd = held("sending", at=ago(hours=9)), held("sending", at="yesterday")
    del no_hold["ozh_notify"]["discount"]["hold_until"]
    del odd["ozh_notify"]["discount"]["claim"]
    recent = held("sending", hold_until=now() + timedelta(minutes=9))
    users.insert_many([no_hold, odd, recent])
    command = ("reconcile", "discount", "--resend", "--yes", "--state", "sending")
    result = ozh(*command, "--older-than", "5", "--json")
    assert (result.code, result.json()["settled"]) == (0, 2), result.err
    assert [stored(users, u)["state"] for u in (no_hold, odd, recent)] == [
        *("retry", "retry", "sending")
    ]
    assert ozh("discount", "--json").json()["sent"] == 2


def test_a_line_of_the_log_is_read_back_as_it_was_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever a user's `_id` looks like; in a log of JSON lines, too."""
    from ozh_notify.logs import JsonFormatter, Redactor
    from ozh_notify.passes.unrecorded import UnrecordedOutcome, log_unrecorded, parse_unrecorded
    from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State
    from ozh_notify.users.recipient import Recipient

    odd = "5' run x claim y chat 1: rejected"
    who = Recipient(odd, 100_005, "", "", "run-1-7", now(), 0.0, 1)
    log_unrecorded(OutcomeRecord(who, Outcome(State.SENT, message_id=9), "run-1", now()))
    [record] = caplog.records
    written = UnrecordedOutcome(100_005, "sent", "run-1", "run-1-7")
    assert parse_unrecorded(record.getMessage()) == written
    assert parse_unrecorded(JsonFormatter(Redactor()).format(record)) == written
    assert parse_unrecorded("INFO a line about 100005") is None


def test_ids_come_from_stdin(ozh: Ozh, users: Users) -> None:
    """`--user -` reads what is piped in; nothing in it means nobody, not everybody."""
    doubtful = held("unknown")
    users.insert_many([doubtful, held("unknown")])
    command = [OZH, "reconcile", "discount", "--resend", "--yes", "--user", "-"]
    for piped, code, states in ((f"{doubtful['telegram_id']}\n", 0, 1), ("\n", 2, 1)):
        done = subprocess.run(
            command,
            input=piped,
            env=ozh.environment,
            cwd=ozh.folder,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert users.count_documents({"ozh_notify.discount.state": "retry"}) == states


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ("reconcile", "lottery"),
        ("reconcile", "discount", "--resend", "--mark-sent", "--yes"),
        ("reconcile", "discount", "--state", "sending"),
        ("reconcile", "discount", "--state", "sending", "--older-than", "0.5"),
        ("reconcile", "discount", "--older-than", "5"),
        ("reconcile", "discount", "--user", "Anna"),
        ("reconcile", "discount", "--user", "@nowhere"),
    ],
)
def test_a_wrong_command_line_is_exit_2(ozh: Ozh, arguments: tuple[str, ...]) -> None:
    """With the option that is wrong, and no traceback."""
    result = ozh(*arguments)
    assert result.code == 2
    assert "Invalid value" in result.err


def test_without_a_terminal_it_writes_only_with_yes(ozh: Ozh, users: Users) -> None:
    """A cron job cannot be asked: exit 2, and the message says what to add."""
    doubtful = held("unknown")
    users.insert_one(doubtful)
    result = ozh("reconcile", "discount", "--resend")
    assert result.code == 2
    assert "--yes" in result.err
    assert stored(users, doubtful)["state"] == "unknown"


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "state"), [("n", "unknown"), ("", "unknown"), ("y", "retry"), ("да", "retry")]
)
def test_on_a_terminal_it_asks_first(ozh: Ozh, users: Users, answer: str, state: str) -> None:
    """The listing comes before the question; only a yes writes."""
    doubtful = held("unknown")
    users.insert_one(doubtful)
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [OZH, "reconcile", "discount", "--resend"],
        env={**ozh.environment, "TERM": "dumb"},
        cwd=ozh.folder,
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(mine, 4096)
    os.write(mine, f"{answer}\n".encode())
    assert process.wait(30) == 0
    os.close(mine)
    assert str(doubtful["telegram_id"]).encode() in shown
    assert stored(users, doubtful)["state"] == state


async def test_a_delivery_that_changed_meanwhile_is_left_as_it_is(ozh: Ozh, users: Users) -> None:
    """Each write repeats the state and the claim it read; the count says how many had changed."""
    from ozh_notify.campaigns import registry
    from ozh_notify.config.load import load
    from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
    from ozh_notify.mongo.reconcile_store import ReconcileStore
    from ozh_notify.operator.reconcile import list_deliveries
    from ozh_notify.users.settlement import Decision, DeliveryFilter

    same, confirmed, claimed = held("unknown"), held("unknown"), held("unknown")
    users.insert_many([same, confirmed, claimed])
    loaded, _ = load(None, ozh.environment)
    book = ReconcileStore(JournaledPassStore(loaded, registry()["discount"](loaded)))
    found = await list_deliveries(book, DeliveryFilter(), now())
    late = {"ozh_notify.discount": delivery("sent", message_id=5)}
    users.update_one({"_id": confirmed["_id"]}, {"$set": late})
    users.update_one({"_id": claimed["_id"]}, {"$set": {"ozh_notify.discount.claim": "run-2-1"}})
    settled = await book.settle(found.entries, Decision.RESEND, now())
    await book.store.close()
    assert (len(found.entries), settled) == (3, 1)
    states = [stored(users, u)["state"] for u in (same, confirmed, claimed)]
    assert states == ["retry", "sent", "unknown"]


@pytest.mark.parametrize(("action", "state"), [("resend", "retry"), ("mark-sent", "sent")])
async def test_a_late_confirm_does_not_overwrite_what_a_person_settled(
    ozh: Ozh, users: Users, action: str, state: str
) -> None:
    """(l) is addressed to the claim, which settling removes."""
    from ozh_notify.campaigns import registry
    from ozh_notify.config.load import load
    from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
    from ozh_notify.mongo.reconcile_store import ReconcileStore
    from ozh_notify.operator.reconcile import list_deliveries
    from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State
    from ozh_notify.users.recipient import Recipient
    from ozh_notify.users.settlement import Decision, DeliveryFilter

    doubtful = held("unknown")
    users.insert_one(doubtful)
    loaded, _ = load(None, ozh.environment)
    book = ReconcileStore(JournaledPassStore(loaded, registry()["discount"](loaded)))
    found = await list_deliveries(book, DeliveryFilter(), now())
    assert await book.settle(found.entries, Decision(action), now()) == 1
    chat = doubtful["telegram_id"]
    who = Recipient(doubtful["_id"], chat, "", "", "run-1-1", ago(minutes=2), 0.0, 1)
    record = OutcomeRecord(who, Outcome(State.UNREACHABLE), "run-1", now())
    assert (await book.store.confirm([record])).unrecorded == [record]
    await book.store.close()
    assert stored(users, doubtful)["state"] == state


@pytest.mark.long
def test_an_odd_state_is_listed_and_stops_nobody_else(ozh: Ozh, users: Users) -> None:
    """Whatever a backend wrote into the fields, the listing and the others' settling work."""
    odd = held("unknown", claim={"$gt": ""}, at="yesterday", run=["x"], attempts=None, error=7)
    fine = held("unknown")
    users.insert_many([odd, fine])
    assert str(odd["telegram_id"]) in ozh("reconcile", "discount").out
    result = ozh("reconcile", "discount", "--mark-sent", "--yes", "--json")
    assert result.json()["settled"] == 2, result.err
    assert stored(users, odd)["state"] == stored(users, fine)["state"] == "sent"


def test_it_says_69_when_mongodb_is_away(ozh: Ozh) -> None:
    """An outage is a clear message, soon enough for the person who waits."""
    uri = "mongodb://127.0.0.1:9/?directConnection=true"
    result = ozh("reconcile", "discount", timeout=20, MONGO_URI=uri)
    assert result.code == 69
    assert "Traceback" not in result.err


def test_help_loads_no_driver(ozh: Ozh) -> None:
    """Asking how to use it stays quick."""
    code = (
        "import sys; from ozh_notify.cli import run; run(['reconcile', '--help']); "
        "sys.exit(any(m in sys.modules for m in ('motor', 'telegram')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0


@pytest.mark.long
def test_a_claim_that_a_pass_may_still_send_on_is_not_freed(ozh: Ozh, users: Users) -> None:
    """The lease grows with the flood budget; an age inside it is wrong usage."""
    command = ("reconcile", "discount", "--state", "sending", "--older-than", "2")
    refused = ozh(*command, OZH_FLOOD_BUDGET_SECONDS="7200")
    assert refused.code == 2
    assert "a pass may hold a claim for 2:10:20" in " ".join(refused.err.split())
    assert ozh(*command).code == 0
