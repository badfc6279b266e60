"""DESIGN §6 in any order: a walk through the states of a delivery against the real server.

Two passes, one of them with a clock of its own, both campaigns, a person who reconciles, and a
backend that resets the flag. A model without any of the program's code says what must come of
each step; after each, the database must say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ozh_notify.config.settings import SEND_LIMIT
from ozh_notify.mongo.reconcile_store import ReconcileStore
from ozh_notify.passes.dispatcher import LEASE_SAFETY_MARGIN
from ozh_notify.users.audience import Query
from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State
from ozh_notify.users.settlement import (
    Decision,
    DeliveryFilter,
    SettleableState,
    StoredDelivery,
)
from tests.helpers.reference_model import (
    FAR,
    LEASE,
    START,
    Held,
    ModelDelivery,
    Runner,
    World,
    end_of_period,
    period_of,
)
from tests.helpers.users import Users

PEOPLE = range(3)
KEYS = ("discount", "daily_bonus")
WAYS = st.sampled_from(["sent"] * 3 + ["cut"] * 3 + ["unknown", "retry", "unreachable", "rejected"])
"""What comes of a send; `cut` is delivered, but the pass does not learn it."""
MOVES = [
    *["claim"] * 3 + ["send"] * 3 + ["confirm"] * 2 + ["wait"] * 3 + ["sweep"] * 3 + ["look"] * 2,
    *["settle"] * 3 + ["crash", "sleep", "reset"],
]
"""The likelier ones more often."""
SURELY_NOT = {None, "retry", "unreachable", "rejected"}


class Walk(RuleBasedStateMachine):
    """Steps in any order; each asks the program and the model, and compares."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.now = world, START
        self.deliveries = {(key, n): ModelDelivery() for key in KEYS for n in PEOPLE}
        self.entries: dict[tuple[str, int, object], ModelDelivery] = {}
        """The journal: the last delivery of each period, also where the document has a later."""
        self.offered = dict.fromkeys(PEOPLE, False)
        self.unreachable: dict[int, datetime] = {}
        """Until when no campaign tries a user."""
        self.got: Counter[tuple[str, int, object]] = Counter()
        self.asked: Counter[tuple[str, int]] = Counter()
        """How often a person has asked to message this user again."""
        self.read: dict[str, list[tuple[StoredDelivery, tuple[Any, ...]]]] = {
            key: [] for key in KEYS
        }
        self.messages = 0
        self.passes = [Runner("one"), Runner("two")]
        self.pick: Callable[[st.SearchStrategy[Any]], Any]

    @initialize(ahead=st.sampled_from([-4, 0, 4]))
    def begin(self, ahead: int) -> None:
        """Fresh users; the second pass's clock may be minutes off."""
        self.passes[1].ahead = timedelta(minutes=ahead)
        self.world.users.delete_many({})
        self.world.journal.delete_many({})
        first = START - timedelta(days=2)
        plain = {"generations_count": 1, "balance": 0, "first_generation_at": first}
        self.world.users.insert_many(
            {"_id": n, "telegram_id": n + 1, "registered_at": first, **plain} for n in PEOPLE
        )

    @rule(data=st.data(), p=st.integers(0, 1), key=st.sampled_from(KEYS))
    def step(self, data: st.DataObject, p: int, key: str) -> None:
        """One of what is possible now; hypothesis's own choice of rules drops the claims often."""
        self.pick = data.draw
        move = data.draw(st.sampled_from([m for m in MOVES if self._possible(m)]))
        getattr(self, move)(p, key)

    def _possible(self, move: str) -> bool:
        states = {delivery.state for delivery in self.deliveries.values()}
        demands = {
            "send": self._waiting(0) or self._waiting(1),
            "confirm": self._done(0) or self._done(1),
            "crash": self.passes[0].hand or self.passes[1].hand,
            "sweep": "sending" in states,
            "look": states & set(SettleableState),
            "settle": any(self.read.values()),
            "reset": any(self.offered.values()),
        }
        return bool(demands.get(move, True))

    def claim(self, p: int, key: str) -> None:
        """(a), (d), (j), (k): only users that nothing holds; never one in `sending`."""
        runner, now = self.passes[p], self.now + self.passes[p].ahead
        wanted = self.pick(st.just(set(PEOPLE)) | st.sets(st.sampled_from(PEOPLE), min_size=1))
        again = key == "discount" and self.pick(st.integers(0, 5)) == 5
        self._claim(runner, now, key, wanted, again=again)

    def _claim(
        self, runner: Runner, now: datetime, key: str, wanted: set[int], *, again: bool
    ) -> None:
        runner.claims += 1
        run = f"{runner.name}.{runner.claims}"  # a pass claims nobody twice
        book = self.world.books[key]
        query = Query(book.campaign, now, (), now if again else None)
        batch = sorted(wanted)
        claimed = self.world.run(book.claim(batch, query, f"{run}-1", run))
        free = [n for n in sorted(wanted) if self._free(key, n, now, again)]
        held = [n for n in free if self._held_by_entry(key, n, now, again)]
        assert [r.id for r in claimed.recipients] == [n for n in free if n not in held]
        assert claimed.duplicates == len(held)
        for who in claimed.recipients:
            delivery = self.deliveries[key, who.id]
            self.asked[key, who.id] += again and delivery.state == "sent"
            delivery = ModelDelivery("sending", now + LEASE, f"{run}-1", run, now, claimed_at=now)
            delivery.entry_claim = delivery.claim
            self.deliveries[key, who.id] = delivery
            self.entries[key, who.id, period_of(key, now)] = delivery
            runner.hand.append(Held(key, who))

    def send(self, p: int, key: str) -> None:
        """(b), (c), (e), (f), (g), one user after the other, as many as there are ways."""
        p = p if self._waiting(p) else 1 - p
        ways = self.pick(st.lists(WAYS, min_size=1, max_size=len(PEOPLE)))
        for held, how in zip(self._waiting(p), ways, strict=False):
            held.outcome = self._sent(held, how, self.now + self.passes[p].ahead)

    def _sent(self, held: Held, how: str, now: datetime) -> Outcome:
        """The outcome of one user; an old claim, or one of another day, is given back."""
        age = now - held.recipient.claimed_at
        same_day = period_of(held.key, now) == period_of(held.key, held.recipient.claimed_at)
        if age >= LEASE - LEASE_SAFETY_MARGIN - SEND_LIMIT or not same_day:
            return Outcome(State.RETRY, error="given back", unsent=True)
        if how in ("sent", "cut"):
            self.messages += 1
            self.got[held.key, held.recipient.id, period_of(held.key, now)] += 1
        if how == "sent":
            return Outcome(State.SENT, self.messages)
        return Outcome(State("unknown" if how == "cut" else how), error="it failed")

    def confirm(self, p: int, key: str) -> None:
        """In time or late (l): written where the claim still stands, otherwise returned as lost."""
        self._confirm(p if self._done(p) else 1 - p, twice=self.pick(st.booleans()))

    def _confirm(self, p: int, *, twice: bool) -> None:
        runner, now = self.passes[p], self.now + self.passes[p].ahead
        key = self._done(p)[0].key
        done = [held for held in self._done(p) if held.key == key]
        records = [
            OutcomeRecord(h.recipient, h.outcome, h.recipient.claim.partition("-")[0], now)
            for h in done
            if h.outcome
        ]
        runner.hand = [h for h in runner.hand if h not in done]
        lost = self.world.run(self.world.books[key].confirm(records)).unrecorded
        expected = [r for r in records if not self._confirmed(key, r)]
        assert list(lost) == expected
        if twice:  # as after an answer that got lost
            again = self.world.run(self.world.books[key].confirm(records)).unrecorded
            assert list(again) == expected

    def crash(self, p: int, key: str) -> None:
        """``kill -9``: the pass forgets all users it held."""
        before = self.passes[p]
        self.passes[p] = Runner(f"{before.name}'", before.ahead)

    def sweep(self, p: int, key: str) -> None:
        """(g): what is `sending` past its lease becomes `unknown`, until its own period ends."""
        now = self.now + self.passes[p].ahead
        swept = self.world.run(self.world.books[key].sweep(now))
        lapsed = [s for s in self._of(key) if s.state == "sending" and s.hold and s.hold <= now]
        assert swept == len(lapsed)
        for delivery in lapsed:
            delivery.state, delivery.at, delivery.hold = (
                "unknown",
                now,
                end_of_period(key, delivery.claimed_at),
            )

    def look(self, p: int, key: str) -> None:
        """A person reads a list, and may decide much later."""
        self._look(
            key, self.pick(st.sampled_from([SettleableState.UNKNOWN] * 4 + [*SettleableState]))
        )

    def _look(self, key: str, state: SettleableState) -> None:
        book = ReconcileStore(self.world.books[key])
        entries = self.world.run(book.entries(DeliveryFilter(state), self.now))
        expected = {n for n in PEOPLE if self.deliveries[key, n].state == state.value}
        assert {entry.id for entry in entries} == expected
        self.read[key] = [(entry, self.deliveries[key, entry.id].identity) for entry in entries]

    def settle(self, p: int, key: str) -> None:
        """(h), (i): what has changed since it was read is left as it is."""
        key = key if self.read[key] else next(k for k in KEYS if self.read[k])
        self._settle(key, self.pick(st.sampled_from(Decision)))

    def _settle(self, key: str, action: Decision) -> None:
        entries = [entry for entry, _ in self.read[key]]
        book = ReconcileStore(self.world.books[key])
        settled = self.world.run(book.settle(entries, action, self.now))
        expected = 0
        for entry, was in self.read[key]:
            delivery = self.deliveries[key, entry.id]
            if delivery.identity == was:
                self._settled(key, entry.id, action)
                expected += 1
            else:
                expected += (delivery.state, delivery.at) == (action.target.value, self.now)
        assert settled == expected

    def wait(self, p: int, key: str) -> None:
        """Time passes."""
        seconds = self.pick(st.sampled_from([1, 60, 5 * 60, 9 * 60, 740, 1000]))
        self.now += timedelta(seconds=seconds)

    def sleep(self, p: int, key: str) -> None:
        """A night, or until a minute before or after one, or a month."""
        days = self.pick(st.sampled_from([1, 1, 31]))
        if self.pick(st.booleans()):
            self.now = end_of_period("daily_bonus", self.now) + timedelta(minutes=days - 2)
        else:
            self.now += timedelta(days=days)

    def reset(self, p: int, key: str) -> None:
        """The backend writes a stale copy of the flag."""
        n = self.pick(st.sampled_from(PEOPLE))
        self.world.users.update_one({"_id": n}, {"$set": {"discount_offered": False}})
        self.offered[n] = False

    @invariant()
    def nobody_twice(self) -> None:
        """At most one message per user and period, and one more each time a person asked."""
        for (key, n, period), count in self.got.items():
            assert count <= 1 + self.asked[key, n], f"{key} {n} in {period}: {count} messages"

    @invariant()
    def no_state_lies(self) -> None:
        """The database says what the model says, and never "not sent" where a message went out."""
        for user in self.world.users.find():
            assert user.get("discount_offered", False) is self.offered[user["_id"]]
            for key in KEYS:
                delivery, n = self.deliveries[key, user["_id"]], user["_id"]
                stored = (user.get("ozh_notify") or {}).get(key) or {}
                assert stored.get("state") == delivery.state
                assert stored.get("hold_until") == delivery.hold
                assert stored.get("claim") == delivery.claim
                assert stored.get("message_id") == delivery.message_id
                if delivery.state in SURELY_NOT and not self.asked[key, n]:
                    assert not self.got[key, n, period_of(key, delivery.claimed_at)]

    @invariant()
    def journal_agrees(self) -> None:
        """It says of each period what came of the last delivery in it."""
        stored = {entry["_id"]: entry for entry in self.world.journal.find()}
        assert len(stored) == len(self.entries)
        for (key, n, day), delivery in self.entries.items():
            name = f"{key.replace('_', '-')}:{n + 1}"
            entry = stored[f"{name}:{day}" if day else name]
            assert (entry["state"], entry["run"]) == (delivery.state, delivery.run)
            assert (entry["user"], entry["claim"]) == (n, delivery.entry_claim)
            assert entry["claimed_at"] == delivery.claimed_at
            assert entry.get("message_id") == delivery.message_id

    def teardown(self) -> None:
        """Every walk ends with what a random one seldom comes to."""
        self.passes += [Runner("over midnight"), Runner("last")]
        self._over_midnight(2)
        self._resend(3)
        self._come_back_to_life()

    def _over_midnight(self, p: int) -> None:
        """A pass sends before midnight and records after it."""
        for key in KEYS:
            self._claim(self.passes[p], self.now, key, set(PEOPLE), again=False)
        self._send_all(p)
        self.now = end_of_period("daily_bonus", self.now) + timedelta(minutes=1)
        self._confirm_all(p)

    def _resend(self, p: int) -> None:
        """Nobody is lost: a person resends what is in doubt, and one more pass takes them all.

        Another decision on the same list comes too late.
        """
        self.now += LEASE + timedelta(minutes=5)
        for key in KEYS:
            self.sweep(p, key)
            assert not [s for s in self._of(key) if s.state == "sending"]
            self._look(key, SettleableState.UNKNOWN)
            self._settle(key, Decision.RESEND)
            self._claim(self.passes[p], self.now, key, set(PEOPLE), again=False)
            left = [n for n in PEOPLE if self.unreachable.get(n, self.now) <= self.now]
            open_states = ("retry", "unknown", None)
            assert not [n for n in left if self.deliveries[key, n].state in open_states]
            self._settle(key, Decision.MARK_SENT)
        self._send_all(p)
        self._confirm_all(p)

    def _come_back_to_life(self) -> None:
        """The first two, with whatever they still had in hand."""
        for p in (0, 1):
            self._send_all(p)
            self._confirm_all(p)
        self.nobody_twice()
        self.no_state_lies()

    def _send_all(self, p: int) -> None:
        for held in self._waiting(p):
            held.outcome = self._sent(held, "sent", self.now + self.passes[p].ahead)

    def _confirm_all(self, p: int) -> None:
        while self._done(p):
            self._confirm(p, twice=True)
            self.no_state_lies()

    def _waiting(self, p: int) -> list[Held]:
        return [held for held in self.passes[p].hand if held.outcome is None]

    def _done(self, p: int) -> list[Held]:
        return [held for held in self.passes[p].hand if held.outcome]

    def _of(self, key: str) -> list[ModelDelivery]:
        return [self.deliveries[key, n] for n in PEOPLE]

    def _free(self, key: str, n: int, now: datetime, again: bool) -> bool:
        delivery = self.deliveries[key, n]
        if delivery.state == "sending" or (key == "discount" and self.offered[n]):
            return False
        if self.unreachable.get(n, now) > now:
            return False
        meant = again and delivery.state == "sent" and delivery.at is not None and delivery.at < now
        return delivery.hold is None or delivery.hold <= now or meant

    def _held_by_entry(self, key: str, n: int, now: datetime, again: bool) -> bool:
        """(n): two clocks around midnight; the document then says what the entry says."""
        entry = self.entries.get((key, n, period_of(key, now)))
        if entry is None or entry.state not in ("sending", "sent", "unknown"):
            return False
        if again and entry.state == "sent" and entry.at is not None and entry.at < now:
            return False
        sending = entry.state == "sending"
        entry.hold = entry.claimed_at + LEASE if sending else end_of_period(key, entry.claimed_at)
        entry.claim = None if entry.state == "sent" else entry.entry_claim
        self.deliveries[key, n] = entry
        return True

    def _confirmed(self, key: str, record: OutcomeRecord) -> bool:
        """Whether it is written: to both, or to the journal where the document has moved on."""
        who, outcome = record.recipient, record.outcome
        state, delivery = outcome.state.value, self.deliveries[key, who.id]
        if delivery.claim != who.claim:
            entry = self.entries[key, who.id, period_of(key, who.claimed_at)]
            if entry.entry_claim == who.claim and entry.state in ("sending", "unknown"):
                entry.state, entry.at, entry.message_id = state, record.at, outcome.message_id
            has = (entry.entry_claim, entry.state, entry.message_id)
            written = (record.run, state, outcome.message_id)
            return (delivery.run, delivery.state, delivery.message_id) == written or has == (
                who.claim, state, outcome.message_id,
            )  # fmt: skip
        delivery.state, delivery.run, delivery.at = state, record.run, record.at
        delivery.message_id = outcome.message_id
        delivery.claim = delivery.claim if state == "unknown" else None
        delivery.hold = end_of_period(key, delivery.claimed_at)
        if state == "retry":
            delivery.hold = None
        elif state in ("unreachable", "rejected") and key == "discount":
            delivery.hold = record.at + timedelta(days=30)
        if state == "sent" and key == "discount":
            self.offered[who.id] = True
        if state == "sent":
            self.unreachable.pop(who.id, None)
        if state == "unreachable":
            until = record.at + timedelta(days=30)
            self.unreachable[who.id] = max(self.unreachable.get(who.id, until), until)
        return True

    def _settled(self, key: str, n: int, action: Decision) -> None:
        delivery = self.deliveries[key, n]
        if action is Decision.MARK_SENT:
            self.unreachable.pop(n, None)
        if action is Decision.MARK_SENT and key == "discount":
            delivery.hold, self.offered[n] = FAR, True
        elif action is Decision.MARK_SENT:
            delivery.hold = delivery.hold or end_of_period(key, delivery.at or self.now)
        else:
            delivery.hold, delivery.message_id = None, None
            self.asked[key, n] += 1
        delivery.state, delivery.claim, delivery.at = action.target.value, None, self.now


@pytest.fixture
def world(users: Users, environment: dict[str, str]) -> Iterator[World]:
    """The real server."""
    made = World(users, environment)
    yield made
    made.close()


def test_no_order_of_steps_sends_twice_or_lies(world: World) -> None:
    """Claim, crash, confirm, sweep, reconcile and time passing, in any order, of two passes."""
    walks = settings(
        max_examples=30,
        stateful_step_count=35,
        # Not shrunk: against a real server that takes minutes, and the steps tell the story.
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Walk(world), settings=walks)  # type: ignore[arg-type]
