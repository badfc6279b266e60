"""MongoDB: what `status` reads of the users' documents.

The recommended indexes answer all of it: what is due by the campaign's own, the rest by that of
the states, so users without a delivery cost nothing.
"""

from __future__ import annotations

from datetime import datetime

from ozh_notify.campaigns import Campaign
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.operator_queries import Document, OperatorQueries
from ozh_notify.mongo.users_collection import projection
from ozh_notify.users.delivery_state import State
from ozh_notify.users.recipient import at_path, parse_chat_id
from ozh_notify.users.settlement import StoredDelivery

RUNS = 10
"""Passes listed, the latest first, where no moment is given."""
MAX_RUNS = 40_000
"""Passes listed since a moment: one every 15 minutes for 400 days, `OZH_JOURNAL_DAYS`."""


class StatusQueries(OperatorQueries):
    """Read-only queries about the deliveries of a campaign."""

    async def deliveries(self, campaign: Campaign, run: str) -> list[StoredDelivery]:
        """Who got what from a run, unless a later one took them on; by the state index."""
        state_path, chat = campaign.state_path, self.settings.field_chat_id
        where = {f"{state_path}.state": {"$gte": ""}, f"{state_path}.run": run}
        with with_time_limit("list the deliveries of a run"):
            found = await self.users.find(where, projection(state_path, chat)).to_list(None)
        entries = [
            StoredDelivery(user["_id"], parse_chat_id(at_path(user, chat)), kept)
            for user in found
            if isinstance(kept := at_path(user, state_path), dict)
        ]
        return sorted(entries, key=lambda entry: str(entry.at))

    async def history(
        self, campaign: Campaign, now: datetime, since: datetime | None = None
    ) -> Document:
        """Users by state, the last runs, and how many runs there are; one read of the index."""
        recent = [{"$match": {"last": {"$gte": since}}}] if since else []
        limit = {"$limit": MAX_RUNS if since else RUNS}
        latest = [{"$sort": {"last": -1, "_id": -1}}, limit]
        facets = {
            "states": [{"$group": BY_STATE}],
            "runs": [{"$group": BY_RUN}, *recent, *latest],
            "number": [{"$group": BY_RUN}, *recent, {"$count": "runs"}],
        }
        # Any string: a range of keys, which `$exists` is not.
        some = {"$match": {f"{campaign.state_path}.state": {"$gte": ""}}}
        each = {"$group": _by_run_and_state(campaign.state_path, now)}
        with with_time_limit("count deliveries by state"):
            cursor = self.users.aggregate([some, each, {"$facet": facets}])
            [answer] = await cursor.to_list(None)
        return dict(answer)

    async def oldest_unknown(self, campaign: Campaign, now: datetime) -> Document | None:
        """Whose `unknown` waits longest: user, chat, run and time."""
        state_path = campaign.state_path
        where = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": State.UNKNOWN.value,
        }
        with with_time_limit("look for the oldest unknown delivery"):
            found = await self.users.find_one(where, sort=[(f"{state_path}.at", 1)])
        if found is None:
            return None
        run, at = (at_path(found, f"{state_path}.{key}") for key in ("run", "at"))
        chat = parse_chat_id(at_path(found, self.settings.field_chat_id))
        return {"user": found["_id"], "chat_id": chat, "run": run, "at": at}

    async def knows_run(self, run: str) -> bool:
        """Nothing but the deliveries tells of a pass."""
        return False

    async def sending(self, campaign: Campaign) -> list[Document]:
        """Users in `sending` by run, with the latest end of their leases."""
        state_path = campaign.state_path
        where = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": State.SENDING.value,
        }
        by_run = {
            "_id": f"${state_path}.run",
            "users": {"$sum": 1},
            "until": {"$max": f"${state_path}.hold_until"},
        }
        with with_time_limit("look for passes under way"):
            stages: list[Document] = [
                {"$match": where},
                {"$group": by_run},
                {"$sort": {"until": -1}},
            ]
            return list(await self.users.aggregate(stages).to_list(None))

    async def lapsed(self, campaign: Campaign, now: datetime) -> int:
        """How many users in `sending` the next sweep takes."""
        state_path = campaign.state_path
        where = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": State.SENDING.value,
        }
        return await self.count({**where, f"{state_path}.hold_until": {"$lte": now}})


BY_STATE: Document = {
    "_id": "$_id.state",
    "users": {"$sum": "$users"},
    "held": {"$sum": "$held"},
}
BY_RUN: Document = {
    "_id": "$_id.run",
    "first": {"$min": "$first"},
    "last": {"$max": "$last"},
    "states": {"$push": {"state": "$_id.state", "users": "$users"}},
}


def _by_run_and_state(state_path: str, now: datetime) -> Document:
    sending = {"$eq": [f"${state_path}.state", State.SENDING.value]}
    lasting = {"$gt": [f"${state_path}.hold_until", now]}
    return {
        "_id": {"run": f"${state_path}.run", "state": f"${state_path}.state"},
        "users": {"$sum": 1},
        "held": {"$sum": {"$cond": [{"$or": [sending, lasting]}, 1, 0]}},
        "first": {"$min": f"${state_path}.at"},
        "last": {"$max": f"${state_path}.at"},
    }
