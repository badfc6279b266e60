"""The journal's queries, over the wire, on each kind of server that is installed."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import pymongo
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError, Unavailable
from ozh_notify.mongo.journal import MongoJournal
from ozh_notify.mongo.retry import Retry
from ozh_notify.sandbox import mongo
from ozh_notify.users import journal_entry
from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State
from ozh_notify.users.recipient import Recipient
from tests.users.test_journal_entry import campaign, recipient

T = TypeVar("T")
Document = dict[str, Any]
NOON = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)
KINDS = ["given"] if os.environ.get("OZH_TEST_MONGO_URI") else mongo.available()


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each server that is installed here, with its test commands."""
    if request.param == "given":
        yield os.environ["OZH_TEST_MONGO_URI"]
        return
    with mongo.run(request.param, test_commands=True) as started:
        yield started.uri


class Journal:
    """The program's queries and the tests' own eyes on one collection."""

    def __init__(self, uri: str, name: str = "discount") -> None:
        self.loop = asyncio.new_event_loop()
        database = f"test_{uuid.uuid4().hex[:12]}"
        self.eyes = pymongo.MongoClient[Document](uri, tz_aware=True)
        self.entries = self.eyes[database].journal
        self.database, self.uri = database, uri
        self.motors: list[AsyncIOMotorClient[Document]] = []
        self.campaign: Campaign = campaign(name)
        self.journal = self.another()

    def another(self) -> MongoJournal:
        """Another pass's journal."""
        self.motors.append(AsyncIOMotorClient(self.uri, appname="journal", tz_aware=True))
        collection = self.motors[-1].get_database(self.database).journal
        return MongoJournal(collection, self.campaign, Retry())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await it."""
        return self.loop.run_until_complete(work)

    def take(self, *who: Recipient, again: datetime | None = None) -> tuple[list[Any], list[Any]]:
        """Users taken, and users held with the state of the entry that holds them."""
        taken = self.run(self.journal.take(who, "r", again))
        held = [(h.recipient.id, h.entry["state"]) for h in taken.duplicates]
        return [r.id for r in taken.recipients], held

    def entry(self, which: str = "discount:100005") -> Document:
        """One entry as it is stored."""
        found = self.entries.find_one({"_id": which})
        assert found
        return found

    def close(self) -> None:
        """Drop it and close all connections."""
        self.eyes.drop_database(self.database)
        self.eyes.close()
        for client in self.motors:
            client.close()
        self.loop.close()


@pytest.fixture
def journal(server: str) -> Iterator[Journal]:
    """An empty journal of the discount."""
    made = Journal(server)
    yield made
    made.close()


def record(who: Recipient, state: str, **fields: Any) -> OutcomeRecord:
    """An outcome of a claimed user."""
    return OutcomeRecord(who, Outcome(State(state), **fields), "r", NOON + timedelta(seconds=1))


def test_a_batch_is_taken_with_one_insert_and_each_entry_names_its_claim(journal: Journal) -> None:
    """Who, what, when, by which pass and which claim."""
    who = [recipient(id=n, chat_id=n + 1) for n in range(3)]
    assert journal.take(*who) == ([0, 1, 2], [])
    entry = journal.entry("discount:1")
    assert entry == {
        "_id": "discount:1",
        "campaign": "discount",
        "chat_id": 1,
        "user": 0,
        "state": "sending",
        "claim": "r-1",
        "run": "r",
        "at": NOON,
        "claimed_at": NOON,
        "attempts": 1,
    }


def test_taking_again_with_the_same_claim_and_user_changes_nothing(journal: Journal) -> None:
    """As after an answer that got lost: what was inserted the first time is still ours."""
    who = [recipient(id=n, chat_id=n + 1) for n in range(3)]
    journal.take(*who[:2])
    before = list(journal.entries.find())
    ids, held = journal.take(*who)
    assert sorted(ids) == [0, 1, 2]
    assert held == []
    assert list(journal.entries.find({"_id": {"$ne": "discount:3"}})) == before


def test_two_documents_of_one_chat_in_one_batch_are_told_apart(journal: Journal) -> None:
    """They have one claim id and one entry; only one of them is sent to."""
    taken, held = journal.take(recipient(id="a"), recipient(id="b"))
    assert len(taken) == 1
    assert held == [("b" if taken == ["a"] else "a", "sending")]
    assert journal.entry()["user"] == taken[0]


@pytest.mark.parametrize("ids", [(1, 1.5), (1, "1"), ({"a": 1}, {"a": 2}), (0, False)])
def test_documents_are_told_apart_whatever_their_ids_are(
    journal: Journal, ids: tuple[Any, Any]
) -> None:
    """A number, a text, an object or a boolean."""
    assert journal.take(recipient(id=ids[0])) == ([ids[0]], [])
    assert journal.take(recipient(id=ids[1])) == ([], [(ids[1], "sending")])
    assert journal.take(recipient(id=ids[0])) == ([ids[0]], [])


@pytest.mark.parametrize("state", ["sent", "unknown"])
def test_an_entry_with_an_outcome_that_holds_is_not_taken(journal: Journal, state: str) -> None:
    """Whatever the user's document says, this chat has been dealt with."""
    journal.take(recipient())
    journal.run(journal.journal.confirm([record(recipient(), state)]))
    before = journal.entry()
    assert journal.take(recipient(claim="s-1")) == ([], [("u", state)])
    assert journal.entry() == before


@pytest.mark.parametrize("state", ["retry", "unreachable", "rejected"])
def test_an_entry_of_an_undelivered_message_is_taken_over(journal: Journal, state: str) -> None:
    """By another document of the chat, too; the old error is gone."""
    journal.take(recipient())
    journal.run(journal.journal.confirm([record(recipient(), state, error="no")]))
    later = recipient(id="b", claim="s-1", attempts=2, claimed_at=NOON + timedelta(hours=1))
    assert journal.take(later) == (["b"], [])
    entry = journal.entry()
    assert (entry["user"], entry["state"], entry["claim"]) == ("b", "sending", "s-1")
    assert (entry["attempts"], entry["claimed_at"]) == (2, NOON + timedelta(hours=1))
    assert not {"error", "previous"} & entry.keys()


def test_again_takes_over_a_sent_entry_and_remembers_it(journal: Journal) -> None:
    """At most ten times; without it a sent entry holds."""
    journal.take(recipient(claim="c-0"))
    for n in range(12):
        sent = recipient(claim=f"c-{n}")
        assert journal.run(journal.journal.confirm([record(sent, "sent", message_id=n)])) == []
        after = NOON + timedelta(minutes=1)
        assert journal.take(recipient(claim=f"c-{n + 1}"), again=after) == (["u"], [])
    entry = journal.entry()
    assert [p["message_id"] for p in entry["previous"]] == list(range(2, 12))
    assert "message_id" not in entry
    assert entry["claim"] == "c-12"


def test_of_passes_that_take_one_chat_at_once_exactly_one_gets_it(journal: Journal) -> None:
    """Inserting or taking over: the second one is told that the entry is held."""
    passes = [journal.another() for _ in range(6)]

    async def all_at_once(n: int) -> list[str]:
        who = [recipient(id=p, chat_id=7, claim=f"p{p}-{n}") for p in range(len(passes))]
        work = [j.take([w], f"p{w.id}") for j, w in zip(passes, who, strict=True)]
        taken = await asyncio.gather(*work)
        winners = [r for one in taken for r in one.recipients]
        assert len(winners) == 1
        assert sum(len(one.duplicates) for one in taken) == len(passes) - 1
        done = record(winners[0], "retry")
        assert await passes[0].confirm([done]) == []
        return [w.claim for w in winners]

    for n in range(20):
        journal.run(all_at_once(n))


def test_an_outcome_is_written_once_and_told_where_it_could_not_be(journal: Journal) -> None:
    """By claim; what somebody settled since is left as it is, and the caller is told."""
    who = [recipient(id=n, chat_id=n + 1) for n in range(3)]
    journal.take(*who[:2])
    records = [record(w, "sent", message_id=w.chat_id) for w in who]
    assert journal.run(journal.journal.confirm(records)) == [records[2]]
    assert journal.run(journal.journal.confirm(records)) == [records[2]]
    assert journal.entry("discount:2")["message_id"] == 2
    late = record(replace(who[0], claim="old-1"), "retry")
    assert journal.run(journal.journal.confirm([late])) == [late]
    assert journal.entry("discount:1")["state"] == "sent"


def test_a_late_outcome_is_written_over_unknown_and_over_nothing_else(journal: Journal) -> None:
    """(l): a person who resends or marks it has the last word."""
    who = [recipient(id=n, chat_id=n + 1) for n in range(2)]
    journal.take(*who)
    expired = [(entry, journal_entry.expire_update(NOON)) for entry in journal.entries.find()]
    assert journal.run(journal.journal.update_unchanged(expired)) == 2
    assert journal.entry("discount:1")["state"] == "unknown"
    assert journal.entry("discount:1")["claim"] == "r-1"
    journal.entries.update_one({"_id": "discount:2"}, {"$set": {"state": "retry"}})
    records = [record(w, "sent", message_id=5) for w in who]
    assert journal.run(journal.journal.confirm(records)) == [records[1]]
    assert journal.entry("discount:1")["state"] == "sent"
    assert journal.entry("discount:2")["state"] == "retry"


def test_a_sweep_finds_the_entries_of_claims_and_those_that_lapsed(journal: Journal) -> None:
    """By run and claim; and by the time of the claim, whatever became of the document."""
    journal.take(recipient(id=1, chat_id=1), recipient(id=2, chat_id=2))
    journal.take(recipient(id=3, chat_id=3, claim="r-2", claimed_at=NOON + timedelta(hours=1)))
    claims = [{"run": "r", "claim": "r-2"}, {"run": "r", "claim": "none"}]
    found = journal.run(journal.journal.entries_of_claims(claims))
    assert [entry["user"] for entry in found] == [3]
    lapsed = journal.run(journal.journal.in_sending(NOON))
    assert sorted(entry["user"] for entry in lapsed) == [1, 2]
    update = {"$set": {"state": "unknown"}}
    journal.entries.update_one({"_id": "discount:1"}, {"$set": {"claim": "other"}})
    assert journal.run(journal.journal.update_unchanged([(e, update) for e in lapsed])) == 1
    assert journal.entry("discount:1")["state"] == "sending"
    assert journal.entry("discount:2")["state"] == "unknown"


def fail_point(journal: Journal, mode: Any, **data: Any) -> None:
    """The server's own fail point on the journal's connections."""
    command = ("configureFailPoint", "failCommand")
    journal.eyes.admin.command(*command, mode=mode, data={"appName": "journal", **data})


@pytest.mark.parametrize("command", ["insert", "find", "update"])
def test_a_lost_connection_is_repeated_and_nobody_is_lost(journal: Journal, command: str) -> None:
    """While inserting, reading back or taking over."""
    journal.take(recipient(id=0, chat_id=1))
    journal.run(journal.journal.confirm([record(recipient(id=0, chat_id=1), "retry")]))
    journal.take(recipient(id=1, chat_id=2, claim="other-1"))
    fail_point(journal, {"times": 2}, failCommands=[command], closeConnection=True)
    try:
        ids, held = journal.take(*(recipient(id=n, chat_id=n + 1, claim="s-1") for n in range(4)))
    finally:
        fail_point(journal, "off")
    assert (sorted(ids), held) == ([0, 2, 3], [(1, "sending")])


def test_a_write_concern_error_is_repeated_and_what_was_inserted_is_ours(journal: Journal) -> None:
    """It stands at this member, and perhaps at the others: the read-back tells."""
    error = {"code": 64, "errmsg": "waiting for replication timed out"}
    fail_point(journal, {"times": 1}, failCommands=["insert"], writeConcernError=error)
    try:
        assert journal.take(recipient()) == (["u"], [])
    finally:
        fail_point(journal, "off")


def test_a_refused_write_ends_it(journal: Journal) -> None:
    """Nothing that a repeat could mend."""
    fail_point(journal, "alwaysOn", failCommands=["insert"], errorCode=13)
    try:
        with pytest.raises(ConfigError):
            journal.take(recipient())
    finally:
        fail_point(journal, "off")


def test_a_server_that_stays_away_is_not_waited_for_past_the_deadline(journal: Journal) -> None:
    """After a signal the pass ends in ten seconds."""
    retry = Retry()
    retry.set_deadline(0.3)
    hurried = MongoJournal(journal.journal.collection, journal.campaign, retry)
    fail_point(journal, "alwaysOn", failCommands=["insert"], closeConnection=True)
    try:
        with pytest.raises(Unavailable):
            journal.run(hurried.take([recipient()], "r"))
    finally:
        fail_point(journal, "off")
