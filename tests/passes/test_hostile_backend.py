"""A backend that saves stale documents, erases the state, and keeps one chat in several documents.

Passes claim, send, confirm, crash and sweep in any order meanwhile, against the real server. No
chat ever gets a second message, and at the end every chat has got one or is told of.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ozh_notify.users.audience import Query
from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State
from ozh_notify.users.recipient import Recipient
from tests.helpers.reference_model import LEASE, START, World
from tests.helpers.users import Users

CHATS: list[Any] = [1, "1", 1.0, 1, "1", 2, 3, 3, 4]
"""The chat ids of nine documents, of four chats, in whatever type a backend writes."""
WAYS = ["sent"] * 4 + ["cut"] * 2 + ["unknown", "retry", "unreachable", "rejected"]
"""What comes of a send; `cut` is delivered, but the pass does not learn it."""
MOVES = (
    ["claim"] * 4 + ["send"] * 4 + ["confirm"] * 3 + ["stale"] * 3 + ["erase"] * 2
    + ["crash", "wait", "sweep", "sweep", "snapshot"]
)  # fmt: skip


@pytest.fixture
def world(users: Users, environment: dict[str, str]) -> Iterator[World]:
    """The real server."""
    made = World(users, environment)
    yield made
    made.close()


class Walk:
    """One walk; every choice comes of its seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.rng, self.now = world, random.Random(seed), START
        self.store = world.books["discount"]
        self.got: Counter[int] = Counter()
        self.hand: list[tuple[Recipient, str, Outcome | None]] = []
        self.runs = 0
        first = START - timedelta(days=2)
        plain = {"generations_count": 1, "balance": 0, "first_generation_at": first}
        world.users.delete_many({})
        world.journal.delete_many({})
        world.users.insert_many({"_id": n, "telegram_id": c, **plain} for n, c in enumerate(CHATS))
        self.snapshots: list[dict[str, Any]] = list(world.users.find())

    def go(self, steps: int) -> None:
        """Walk, then let everything come to its end."""
        for _ in range(steps):
            getattr(self, self.rng.choice(MOVES))()
            self.check()
        self.end()

    def claim(self) -> None:
        """Some documents, or all."""
        size = self.rng.choice([1, 3, len(CHATS)])
        self.claim_documents(sorted(self.rng.sample(range(len(CHATS)), size)))

    def claim_documents(self, which: list[int]) -> int:
        """Claim these; returns how many may be sent to."""
        self.runs += 1
        run = f"run{self.runs}"
        query = Query(self.store.campaign, self.now)
        claimed = self.world.run(self.store.claim(which, query, f"{run}-1", run))
        self.hand += [(who, run, None) for who in claimed.recipients]
        return len(claimed.recipients)

    def send(self) -> None:
        """One of those in hand; a claim too old to send is given back."""
        waiting = [n for n, (_, _, outcome) in enumerate(self.hand) if outcome is None]
        if waiting:
            self.send_one(self.rng.choice(waiting), self.rng.choice(WAYS))

    def send_one(self, number: int, how: str) -> None:
        """Send, or give back."""
        who, run, _ = self.hand[number]
        if self.now - who.claimed_at >= LEASE - timedelta(minutes=5, seconds=20):
            outcome = Outcome(State.RETRY, error="too old", unsent=True)
        elif how in ("sent", "cut"):
            self.got[who.chat_id] += 1
            message = sum(self.got.values())
            outcome = Outcome(State.SENT, message) if how == "sent" else Outcome(State.UNKNOWN)
        else:
            outcome = Outcome(State(how), error="it failed")
        self.hand[number] = (who, run, outcome)

    def confirm(self) -> None:
        """All that have an outcome."""
        done = [one for one in self.hand if one[2]]
        records = [OutcomeRecord(who, out, run, self.now) for who, run, out in done if out]
        self.hand = [one for one in self.hand if one not in done]
        if records:
            lost = self.world.run(self.store.confirm(records)).unrecorded
            assert not [r for r in lost if r.outcome.state is State.SENT and not self.settled(r)]

    def settled(self, record: OutcomeRecord) -> bool:
        """Whether the journal holds the chat all the same."""
        entry = self.world.journal.find_one({"chat_id": record.recipient.chat_id})
        return entry is not None and entry["state"] in ("sent", "unknown", "sending")

    def crash(self) -> None:
        """``kill -9``: all that was in hand is forgotten, sent or not."""
        self.hand.clear()

    def snapshot(self) -> None:
        """The backend reads documents, and keeps them."""
        self.snapshots += list(self.world.users.find())

    def stale(self) -> None:
        """It saves whole documents as it read them some time ago."""
        for old in self.rng.sample(self.snapshots, 3):
            self.world.users.replace_one({"_id": old["_id"]}, old)

    def erase(self) -> None:
        """It drops a field that it does not know."""
        which = self.rng.sample(range(len(CHATS)), 4)
        gone = {"$unset": {"ozh_notify": "", "discount_offered": ""}}
        self.world.users.update_many({"_id": {"$in": which}}, gone)

    def wait(self) -> None:
        """A moment, or longer than a lease."""
        self.now += timedelta(seconds=self.rng.choice([1, 60, 400, 1000]))

    def sweep(self) -> None:
        """As each pass begins."""
        self.world.run(self.store.sweep(self.now))

    def check(self) -> None:
        """Nobody twice."""
        assert all(count == 1 for count in self.got.values()), self.got

    def end(self) -> None:
        """The last claims lapse, and passes run until nothing is due: nobody is lost."""
        self.hand.clear()
        for _ in range(4):
            self.now += LEASE + timedelta(days=31)
            self.sweep()
            self.claim_documents(list(range(len(CHATS))))
            for number in range(len(self.hand)):
                self.send_one(number, "sent")
            self.check()
            self.confirm()
        entries = {entry["chat_id"]: entry["state"] for entry in self.world.journal.find()}
        for chat in {int(chat) for chat in CHATS}:
            assert entries[chat] in ("sent", "unknown"), entries
            assert self.got[chat] == 1 or entries[chat] == "unknown"
        states = [user["ozh_notify"]["discount"]["state"] for user in self.world.users.find()]
        assert set(states) <= {"sent", "unknown"}


@pytest.mark.parametrize("seed", range(12))
def test_no_backend_makes_a_chat_get_a_second_message(world: World, seed: int) -> None:
    """Stale and erased documents at any moment, one chat in five documents, crashes and sweeps."""
    Walk(world, seed).go(60)


def test_two_documents_of_one_chat_are_repaired_as_soon_as_one_is_settled(world: World) -> None:
    """In the same pass, so that nobody is left in `sending`."""
    walk = Walk(world, 0)
    assert walk.claim_documents(list(range(len(CHATS)))) == 4
    for number in range(4):
        walk.send_one(number, "sent")
    walk.confirm()
    states = [user["ozh_notify"]["discount"]["state"] for user in world.users.find()]
    assert states == ["sent"] * len(CHATS)
    assert {u["discount_offered"] for u in world.users.find()} == {True}
