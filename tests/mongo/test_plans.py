"""What a pass costs: each of its queries is an index scan that reads little more than it returns.

The queries are those the program sends, heard on their way, and explained by a server whose
planner follows MongoDB's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.config import load as load_module
from ozh_notify.mongo.journal_status import status_queries
from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
from ozh_notify.mongo.operator_queries import OperatorQueries
from ozh_notify.mongo.reconcile_store import ReconcileStore
from ozh_notify.operator.status import read_status
from ozh_notify.users.audience import Query
from ozh_notify.users.indexes import compare, journal_indexes, recommended
from ozh_notify.users.settlement import DeliveryFilter
from tests.conftest import server_kind
from tests.helpers.mongo_commands import Command, heard
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    now,
    user,
)

pytestmark = pytest.mark.skipif(
    server_kind() == "secantusd-py",
    reason="needs secantusd-rs or mongod: this server's planner is not MongoDB's",
)

Documents = list[dict[str, Any]]
FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
NEAR_ONE = 1.1
NOT_A_QUERY = {"lsid", "txnNumber", "writeConcern", "maxTimeMS", "readConcern"}

DUE, LAPSED, SENDING, IN_DOUBT, BATCH = 300, 40, 100, 1000, 100


def delivery(state: str, **fields: Any) -> dict[str, Any]:
    """A delivery as a pass leaves it."""
    claim = {"claim": "run-1-1"} if state in ("sending", "unknown") else {}
    return {"state": state, "run": "run-1", "at": ago(hours=2), "attempts": 1, **claim, **fields}


def discounts() -> Documents:
    """The few who are due, among thousands who were offered, cannot be reached or are in doubt."""
    soon = now() + timedelta(days=9)

    def held(count: int, **kept: Any) -> Documents:
        return [discount_user(ozh_notify={"discount": delivery(**kept)}) for _ in range(count)]

    return [
        *(discount_user() for _ in range(DUE)),
        *(discount_user(discount_offered=True) for _ in range(2000)),
        *held(2000, state="unreachable", hold_until=soon),
        *held(IN_DOUBT, state="unknown", hold_until=FAR),
        *held(SENDING, state="sending", hold_until=soon),
        *held(LAPSED, state="sending", at=now(), hold_until=ago(hours=1)),
        *(user() for _ in range(1000)),
    ]


def bonuses() -> Documents:
    """The same for the daily bonus, all of them registered in the last days."""
    midnight = now() + timedelta(hours=5)

    def held(count: int, **kept: Any) -> Documents:
        return [bonus_user(ozh_notify={"daily_bonus": delivery(**kept)}) for _ in range(count)]

    return [
        *(bonus_user() for _ in range(DUE)),
        *(bonus_user(daily_bonus_claimed_today=True) for _ in range(2000)),
        *held(2000, state="sent", hold_until=midnight),
        *held(IN_DOUBT, state="unknown", hold_until=midnight),
        *held(SENDING, state="sending", hold_until=midnight),
        *held(LAPSED, state="sending", at=now(), hold_until=ago(hours=1)),
        *(user() for _ in range(1000)),
    ]


@pytest.fixture(params=["discount", "daily-bonus"])
def campaign(request: pytest.FixtureRequest, environment: dict[str, str]) -> Campaign:
    """Each campaign in turn."""
    settings, _ = load_module.load(None, environment)
    return registry()[request.param](settings)


async def fill(users: Users, campaign: Campaign) -> None:
    """All users, and the recommended indexes as `indexes --create` makes them."""
    users.insert_many(discounts() if campaign.name == "discount" else bonuses())
    kinds = registry().values()
    async with OperatorQueries(campaign.settings) as desk:
        for one in compare(recommended(kind(campaign.settings) for kind in kinds), []):
            await desk.create(one.index, one.name_to_create)


@dataclass(frozen=True)
class Plan:
    """What the server says of a query."""

    stages: set[str]
    indexes: set[str]
    keys: int
    documents: int
    returned: int


def explained(users: Users, command: Command) -> Plan:
    """How the server would answer a command the program has sent, and what it reads for it."""
    plain = {k: v for k, v in command.items() if k not in NOT_A_QUERY and k[0] != "$"}
    answer = users.database.command({"explain": plain, "verbosity": "executionStats"})
    stats, stages = answer["executionStats"], list(_stages(answer["queryPlanner"]["winningPlan"]))
    return Plan(
        {stage["stage"] for stage in stages},
        {stage["indexName"] for stage in stages if "indexName" in stage},
        *(int(stats["totalKeysExamined"]), int(stats["totalDocsExamined"])),
        int(stats["nReturned"]),
    )


def _stages(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        if "stage" in plan:
            yield plan
        for part in plan.values():
            yield from _stages(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from _stages(part)


async def test_sweep_scan_and_reconcile_read_little_more_than_they_return(
    campaign: Campaign, users: Users
) -> None:
    """Among thousands of offered, unreachable and unknown users; by the index meant for it."""
    # Asked of an empty collection: what is asked does not depend on what is in it.
    with heard("find") as asked:
        book = JournaledPassStore(campaign.settings, campaign)
        await book.sweep(now())
        await book.scan(Query(campaign, now()), 5000)
        await ReconcileStore(book).entries(DeliveryFilter(), now())
        await ReconcileStore(book).sending(DeliveryFilter())
        await book.close()
    await fill(users, campaign)
    of_users = [command for command in asked if command["find"] == users.name]
    sweep, scan, in_doubt, sending = of_users
    assert scan["allowDiskUse"] is True
    # With its sort field in the projection a server sorts small documents, not whole ones.
    assert set(scan["sort"]) <= set(scan["projection"])
    by_state, by_scan = f"ozh_{campaign.key}_claim", f"ozh_{campaign.key}"
    reads_little_more(explained(users, sweep), LAPSED, by_state)
    book = JournaledPassStore(campaign.settings, campaign)
    assert await book.sweep(now()) == LAPSED  # as a pass does before it scans
    await book.close()
    reads_little_more(explained(users, scan), DUE, by_scan)
    reads_little_more(explained(users, in_doubt), IN_DOUBT + LAPSED, by_state)
    reads_little_more(explained(users, sending), SENDING, by_state)


def reads_little_more(plan: Plan, returned: int, index: str) -> None:
    """An index scan whose keys and documents are about what it returns."""
    assert "COLLSCAN" not in plan.stages, plan
    assert plan.indexes == {index}, plan
    assert plan.returned == returned, plan
    assert plan.keys <= returned * NEAR_ONE, plan
    assert plan.documents <= returned * NEAR_ONE, plan


async def test_a_claim_and_its_read_back_read_the_batch_alone(
    campaign: Campaign, users: Users
) -> None:
    """By `_id`, whatever else the whole filter it repeats could be answered by."""
    await fill(users, campaign)
    with heard("update", "find") as asked:
        book = JournaledPassStore(campaign.settings, campaign)
        query = Query(campaign, now())
        found = await book.scan(query, 5000)
        taken = (await book.claim(found.first(BATCH), query, "claim-1", "run-2")).recipients
        await book.close()
    assert len(taken) == BATCH
    _, update, read_back = asked
    for command in (update, read_back):
        plan = explained(users, command)
        assert "COLLSCAN" not in plan.stages
        assert plan.indexes == {"_id_"}
        assert plan.keys <= BATCH * NEAR_ONE
        assert plan.documents <= BATCH * NEAR_ONE


async def test_what_status_counts_for_a_morning_is_counted_by_indexes(
    campaign: Campaign, users: Users
) -> None:
    """Due now by the campaign's index, claims by the small one, the rest by the journal's own."""
    with heard("aggregate", "find") as asked:
        async with status_queries(campaign.settings) as records:
            await read_status(records, campaign, now())
            await records.deliveries(campaign, "run-1")
    await fill(users, campaign)
    journal = users.database[str(campaign.settings.journal_collection)]
    for one in journal_indexes():
        journal.create_index(list(one.keys), name=one.name, partialFilterExpression=one.partial)
    journal.insert_many(
        {"campaign": campaign.name, "state": "sent", "claimed_at": ago(hours=1), "run": f"r{n}"}
        for n in range(3000)
    )
    used: set[str] = set()
    for command in asked:
        plain = {k: v for k, v in command.items() if k not in NOT_A_QUERY and k[0] != "$"}
        stages = list(_stages(users.database.command({"explain": plain})))
        assert "COLLSCAN" not in {stage["stage"] for stage in stages}, command
        used |= {stage["indexName"] for stage in stages if "indexName" in stage}
    of_journal = {"ozh_journal_state", "ozh_journal_run", "ozh_journal_previous"}
    assert used - {"_id_"} == {f"ozh_{campaign.key}", f"ozh_{campaign.key}_claim"} | of_journal


@pytest.mark.long
async def test_the_reasons_of_a_dry_run_are_counted_by_the_campaigns_index(
    campaign: Campaign, users: Users
) -> None:
    """The counts cost what the population costs, and not the whole collection."""
    await fill(users, campaign)
    with heard("aggregate") as asked:
        store = JournaledPassStore(campaign.settings, campaign)
        held = await store.funnel(Query(campaign, now()))
        await store.close()
    assert sum(held.values()) > 4000
    [command] = asked
    plain = {k: v for k, v in command.items() if k not in NOT_A_QUERY and k[0] != "$"}
    stages = list(_stages(users.database.command({"explain": plain})))
    assert "COLLSCAN" not in {stage["stage"] for stage in stages}
    assert {one["indexName"] for one in stages if "indexName" in one} == {f"ozh_{campaign.key}"}


async def test_without_the_indexes_the_same_queries_read_the_whole_collection(
    campaign: Campaign, users: Users
) -> None:
    """The measure above can fail."""
    with heard("find") as asked:
        book = JournaledPassStore(campaign.settings, campaign)
        await book.scan(Query(campaign, now()), 5000)
        await book.close()
    users.insert_many([user() for _ in range(500)] + [discount_user(), bonus_user()])
    plan = explained(users, asked[0])
    assert plan.stages >= {"COLLSCAN"}
    assert plan.documents > 500 * plan.returned
