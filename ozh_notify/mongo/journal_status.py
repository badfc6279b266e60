"""MongoDB: what `status` reads of the journal; its own indexes answer all of it.

What the users' documents hold in `sending` and `unknown` is read there, too, by the small index on
claims: they may be of an earlier version, which kept no journal.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection

from ozh_notify.campaigns import Campaign
from ozh_notify.config.settings import Settings
from ozh_notify.errors import ConfigError
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.operator_queries import Document
from ozh_notify.mongo.pass_records import RUN, RUNS_RANGE
from ozh_notify.mongo.status_queries import MAX_RUNS, RUNS, StatusQueries
from ozh_notify.users.delivery_state import RETRY_UNREACHABLE_AFTER, State
from ozh_notify.users.journal_period import of_period
from ozh_notify.users.settlement import StoredDelivery

COUNTED = ("sent", "unreachable", "rejected", "retry", "unknown", "held_out", "duplicates")
"""Counts of a run that are shown, where they are not 0."""


class JournalStatusQueries(StatusQueries):
    """Read-only queries about the deliveries and the passes of a campaign."""

    @property
    def entries(self) -> AsyncIOMotorCollection[Document]:
        """The journal, which is not off here."""
        if self.journal is None:
            raise ConfigError("OZH_JOURNAL_COLLECTION is off")
        return self.journal

    async def deliveries(self, campaign: Campaign, run: str) -> list[StoredDelivery]:
        """Who got what from a run, also what `--again` or `--resend` has replaced since."""
        named = {"campaign": campaign.name, "run": run}
        replaced = {"campaign": campaign.name, "previous.run": run}
        with with_time_limit("list the deliveries of a run"):
            now = await self.entries.find(named).to_list(None)
            before = await self.entries.find(replaced).to_list(None)
        rows = [StoredDelivery(entry["user"], entry["chat_id"], entry) for entry in now]
        for entry in before:
            rows += [
                StoredDelivery(old.get("user"), entry["chat_id"], old)
                for old in entry["previous"]
                if old.get("run") == run
            ]
        return sorted(rows, key=lambda row: str(row.at))

    async def knows_run(self, run: str) -> bool:
        """Whether there was such a pass, though it may have messaged nobody."""
        with with_time_limit("look for the run"):
            return await self.entries.find_one({"_id": f"{RUN}{run}"}, {"_id": 1}) is not None

    async def history(
        self, campaign: Campaign, now: datetime, since: datetime | None = None
    ) -> Document:
        """Deliveries by state, the last runs, and how many runs there are."""
        where: Document = {"_id": RUNS_RANGE, "campaign": campaign.name}
        if since:
            where["started_at"] = {"$gte": since}
        with with_time_limit("list the last runs"):
            latest = self.entries.find(where).sort("_id", -1)
            runs = await latest.limit(MAX_RUNS if since else RUNS).to_list(None)
            number = await self.entries.count_documents(where)
        states = [await self._count_state(campaign, state, now) for state in State]
        return {
            "states": [row for row in states if row["users"]],
            "runs": [_run_row(run) for run in runs],
            "number": [{"runs": number}],
        }

    async def _count_state(self, campaign: Campaign, state: State, now: datetime) -> Document:
        """Entries in a state, and how many of them hold: ranges of keys of one index.

        The server counts keys several times faster than it groups them.
        """
        where: Document = {"campaign": campaign.name, "state": state.value}
        where.update(of_period(campaign, now))
        with with_time_limit("count deliveries by state"):
            users = await self.entries.count_documents(where)
            held = 0 if state is State.RETRY else users
            if state in (State.UNREACHABLE, State.REJECTED) and users:
                recent = {"$gt": now - RETRY_UNREACHABLE_AFTER, **where.get("claimed_at", {})}
                held = await self.entries.count_documents({**where, "claimed_at": recent})
        return {"_id": state.value, "users": users, "held": held}

    async def oldest_unknown(self, campaign: Campaign, now: datetime) -> Document | None:
        """The oldest `unknown` of the journal and of the users' documents."""
        where = {
            "campaign": campaign.name,
            "state": State.UNKNOWN.value,
            **of_period(campaign, now),
        }
        with with_time_limit("look for the oldest unknown delivery"):
            entry = await self.entries.find_one(where, sort=[("claimed_at", 1)])
        of_users = await super().oldest_unknown(campaign, now)
        of_journal = entry and {key: entry.get(key) for key in ("user", "chat_id", "run", "at")}
        found = [row for row in (of_journal, of_users) if row]
        return min(found, key=_age, default=None)


def status_queries(settings: Settings) -> StatusQueries:
    """The journal's, or the users' own where the journal is off."""
    return (
        JournalStatusQueries(settings) if settings.journal_collection else StatusQueries(settings)
    )


def _age(row: Document) -> tuple[bool, Any]:
    at = row.get("at")
    return not isinstance(at, datetime), at if isinstance(at, datetime) else 0


def _run_row(run: Document) -> Document:
    running = run.get("status") == "running"
    return {
        "_id": run.get("run_id"),
        "first": run.get("started_at"),
        "last": None if running else run.get("finished_at"),
        "states": [{"state": s, "users": run[s]} for s in COUNTED if run.get(s)],
        "status": run.get("status"),
        "error": run.get("error"),
    }
