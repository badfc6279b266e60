"""What the journal knows of experiments: their documents, what is to be judged, and the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import UpdateOne

from ozh_notify.campaigns import Campaign
from ozh_notify.effect.arms import Arm
from ozh_notify.effect.experiment import Experiment, judged_paths, judgement
from ozh_notify.effect.report import ArmCounts
from ozh_notify.effect.statistics import Sums
from ozh_notify.mongo.client import Document
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.users_collection import projection

JUDGED_A_PASS = 2000
"""Judgements one pass makes at most, so that its own work is not delayed."""
CHUNK = 500
"""Judgements in one bulk write."""


class EffectQueries:
    """Experiments of one database; judging writes to the journal only."""

    def __init__(
        self,
        journal: AsyncIOMotorCollection[Document],
        users: AsyncIOMotorCollection[Document],
    ) -> None:
        self.journal, self.users = journal, users

    async def experiments(
        self, campaign: str | None = None, name: str | None = None
    ) -> list[Experiment]:
        """Every experiment that has an assignment, the newest first."""
        where: Document = {"_id": {"$gte": "experiment:", "$lt": "experiment;"}}
        where |= {key: {"$eq": v} for key, v in (("campaign", campaign), ("name", name)) if v}
        with with_time_limit("list the experiments"):
            found = await self.journal.find(where).to_list(None)
        experiments = [Experiment.from_document(document) for document in found]
        return sorted(experiments, key=lambda one: one.started_at, reverse=True)

    async def judge(self, campaign: Campaign, now: datetime, at_most: int = JUDGED_A_PASS) -> int:
        """Judge entries whose time has come, the oldest first; returns how many were judged."""
        where = {**_unjudged(campaign.name), "judge_at": {"$lte": now}}
        with with_time_limit("look for users to judge"):
            cursor = self.journal.find(where, {"user": 1, "baseline": 1, "claimed_at": 1})
            entries = await cursor.sort("judge_at", 1).limit(at_most).to_list(None)
        judged = 0
        for first in range(0, len(entries), CHUNK):
            judged += await self._judge(campaign, entries[first : first + CHUNK], now)
        return judged

    async def _judge(
        self, campaign: Campaign, entries: Sequence[Mapping[str, Any]], now: datetime
    ) -> int:
        fields = projection(*judged_paths(campaign))
        with with_time_limit("read the users to judge"):
            wanted = {"_id": {"$in": [entry.get("user") for entry in entries]}}
            found = await self.users.find(wanted, fields).to_list(None)
            users = {repr(user["_id"]): user for user in found}
            result = await self.journal.bulk_write(
                [
                    UpdateOne(
                        # Nobody is judged twice, also where two passes judge at once.
                        {"_id": entry["_id"], "judged_at": {"$exists": False}},
                        {
                            "$set": judgement(
                                campaign, entry, users.get(repr(entry.get("user"))), now
                            )
                        },
                    )
                    for entry in entries
                ],
                ordered=False,
            )
        return int(result.modified_count)

    async def unjudged(self, experiment: Experiment, now: datetime) -> int:
        """Entries whose judgement is due and not written."""
        where = {**_unjudged(experiment.campaign), "judge_at": {"$lte": now}}
        with with_time_limit("count the users to judge"):
            return int(await self.journal.count_documents({**where, "experiment": experiment.name}))

    async def arms(self, experiment: Experiment) -> tuple[dict[Arm, ArmCounts], datetime | None]:
        """Both arms, each chat once by its first entry; and when the last judgement is due."""
        pipeline: list[Document] = [
            {"$match": {"campaign": experiment.campaign, "experiment": experiment.name}},
            {"$sort": {"claimed_at": 1}},
            {
                "$group": {
                    "_id": "$chat_id",
                    **{key: {"$first": f"${key}"} for key in _KEPT},
                }
            },
            {"$group": _ARM},
        ]
        with with_time_limit("count the arms of the experiment"):
            cursor = self.journal.aggregate(pipeline, allowDiskUse=True)
            rows = await cursor.to_list(None)
        due = max((row["due"] for row in rows if row.get("due")), default=None)
        return {arm: _counts([r for r in rows if r["_id"]["arm"] == arm.value]) for arm in Arm}, due


_KEPT = ("arm", "state", "judge_at", "judged_at", "goal", "revenue", "blocked")


def _count_if(condition: Any) -> Document:
    return {"$sum": {"$cond": [condition, 1, 0]}}


_IS_JUDGED = {"$gt": ["$judged_at", None]}
_REVENUE = {"$ifNull": ["$revenue", 0]}
_ARM: Document = {
    "_id": {"arm": "$arm", "state": "$state"},
    "assigned": {"$sum": 1},
    "judged": _count_if(_IS_JUDGED),
    "reached": _count_if({"$eq": ["$goal", True]}),
    "buyers": _count_if({"$gt": [_REVENUE, 0]}),
    "priced": _count_if({"$gt": ["$revenue", None]}),
    "revenue": {"$sum": _REVENUE},
    "squares": {"$sum": {"$multiply": [_REVENUE, _REVENUE]}},
    "blocked": _count_if({"$eq": ["$blocked", True]}),
    "known_blocked": _count_if({"$gt": ["$blocked", None]}),
    "due": {"$max": "$judge_at"},
}
"""Counts per arm and state of the entry."""


def _counts(rows: Sequence[Mapping[str, Any]]) -> ArmCounts:
    def total(key: str) -> Any:
        return sum(row[key] for row in rows)

    return ArmCounts(
        assigned=total("assigned"),
        judged=total("judged"),
        reached=total("reached"),
        buyers=total("buyers"),
        revenue=Sums(total("priced"), float(total("revenue")), float(total("squares"))),
        states={str(row["_id"].get("state")): int(row["assigned"]) for row in rows},
        blocked=total("blocked") if total("known_blocked") else None,
    )


def _unjudged(campaign: str) -> Document:
    return {"campaign": campaign, "judged_at": None}
