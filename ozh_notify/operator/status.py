"""What happened lately: users by state, the last runs, what is in doubt and what is due.

The recommended indexes answer all of it: due now by the campaign's own, the rest by that of the
states, so that who never had a delivery costs nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.operator_queries import Document, OperatorQueries
from ozh_notify.users import audience
from ozh_notify.users.audience import Query
from ozh_notify.users.delivery_state import State
from ozh_notify.users.recipient import at_path, parse_chat_id
from ozh_notify.users.settlement import StoredDelivery

RUNS = 10
"""Passes listed, the latest first."""


@dataclass(frozen=True)
class Run:
    """A pass as the user documents still show it: a later pass overwrites what it takes on."""

    id: str | None
    first: datetime | None
    last: datetime | None
    states: dict[str, int]


@dataclass(frozen=True)
class OldestUnknown:
    """The `unknown` delivery that waits longest."""

    user: str
    chat_id: int | None
    run: str | None
    at: datetime | None


@dataclass(frozen=True)
class Status:
    """What the data say of one campaign."""

    campaign: str
    due: int
    """Users a pass would find now, those without a usable chat id included."""
    closed: str | None
    """Why a pass would message nobody now all the same."""
    states: dict[str, int]
    held: dict[str, int]
    """Of those, whom no pass claims yet."""
    lapsed: int
    """In `sending`, and the lease is over: the next pass makes them `unknown`."""
    oldest_unknown: OldestUnknown | None
    runs: list[Run]

    def as_json(self) -> dict[str, Any]:
        """The object ``--json`` prints; moments are ISO 8601."""
        return asdict(self)


class StatusQueries(OperatorQueries):
    """The deliveries of all campaigns, to read only."""

    async def status(self, campaign: Campaign, now: datetime) -> Status:
        """Everything `status` tells of one campaign."""
        history = await self._history(campaign, now)
        states = [s.value for s in State]
        found = {str(row["_id"]): row for row in history["states"]}
        order = [*(s for s in states if s in found), *(s for s in found if s not in states)]
        return Status(
            campaign=campaign.name,
            due=await self.count(audience.eligible(Query(campaign, now))),
            closed=campaign.closed_reason(now),
            states={s: found[s]["users"] for s in order},
            held={s: found[s]["held"] for s in order},
            lapsed=await self._lapsed(campaign, now),
            oldest_unknown=await self._oldest_unknown(campaign),
            runs=[_run(row) for row in history["runs"]],
        )

    async def deliveries(self, campaign: Campaign, run: str) -> list[StoredDelivery]:
        """Who got what from a run, unless a later one took them on; by the state index."""
        state_path, chat = campaign.state_path, self.settings.field_chat_id
        where = {f"{state_path}.state": {"$gte": ""}, f"{state_path}.run": run}
        with with_time_limit("list the deliveries of a run"):
            found = await self.users.find(where, [state_path, chat]).to_list(None)
        entries = [
            StoredDelivery(user["_id"], parse_chat_id(at_path(user, chat)), kept)
            for user in found
            if isinstance(kept := at_path(user, state_path), dict)
        ]
        return sorted(entries, key=lambda entry: str(entry.at))

    async def _history(self, campaign: Campaign, now: datetime) -> Document:
        """Users by state, and by run and state; one read of the state index."""
        state_path = campaign.state_path
        sending = {"$eq": [f"${state_path}.state", State.SENDING.value]}
        lasting = {"$gt": [f"${state_path}.hold_until", now]}
        held = {"$sum": {"$cond": [{"$or": [sending, lasting]}, 1, 0]}}
        each: Document = {
            "_id": {"run": f"${state_path}.run", "state": f"${state_path}.state"},
            "users": {"$sum": 1},
            "held": held,
            "first": {"$min": f"${state_path}.at"},
            "last": {"$max": f"${state_path}.at"},
        }
        by_state = {
            "_id": "$_id.state",
            "users": {"$sum": "$users"},
            "held": {"$sum": "$held"},
        }
        by_run = {
            "_id": "$_id.run",
            "first": {"$min": "$first"},
            "last": {"$max": "$last"},
            "states": {"$push": {"state": "$_id.state", "users": "$users"}},
        }
        runs = [{"$group": by_run}, {"$sort": {"last": -1, "_id": -1}}, {"$limit": RUNS}]
        some = {
            f"{state_path}.state": {"$gte": ""}
        }  # any string: a range of keys, as no $exists is
        facets = {"states": [{"$group": by_state}], "runs": runs}
        with with_time_limit("count deliveries by state"):
            cursor = self.users.aggregate([{"$match": some}, {"$group": each}, {"$facet": facets}])
            [answer] = await cursor.to_list(None)
        return dict(answer)

    async def _oldest_unknown(self, campaign: Campaign) -> OldestUnknown | None:
        """By the state index: every `unknown` keeps its claim."""
        state_path = campaign.state_path
        where = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": State.UNKNOWN.value,
        }
        with with_time_limit("look for the oldest unknown delivery"):
            user = await self.users.find_one(where, sort=[(f"{state_path}.at", 1)])
        if user is None:
            return None
        run, at = at_path(user, f"{state_path}.run"), at_path(user, f"{state_path}.at")
        return OldestUnknown(
            str(user["_id"]),
            parse_chat_id(at_path(user, self.settings.field_chat_id)),
            run if isinstance(run, str) else None,
            at if isinstance(at, datetime) else None,
        )

    async def _lapsed(self, campaign: Campaign, now: datetime) -> int:
        """By the state index; the sweep's own filter."""
        state_path = campaign.state_path
        where = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": State.SENDING.value,
        }
        return await self.count({**where, f"{state_path}.hold_until": {"$lte": now}})


def _run(row: Document) -> Run:
    first, last = (row[k] if isinstance(row[k], datetime) else None for k in ("first", "last"))
    states = {str(s.get("state")): int(s["users"]) for s in row["states"]}
    return Run(
        row["_id"] if isinstance(row["_id"], str) else None,
        first,
        last,
        dict(sorted(states.items())),
    )
