"""MongoDB: every query of a pass has a name and says why."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pymongo
from pymongo import UpdateOne

from ozh_notify.campaigns import Campaign
from ozh_notify.clock import Clock, clock_warning, difference
from ozh_notify.config.settings import Settings
from ozh_notify.effect.arms import Arm
from ozh_notify.effect.experiment import Experiment, running_experiment
from ozh_notify.mongo.claims import Claims
from ozh_notify.mongo.client import Document
from ozh_notify.mongo.errors import READ_SECONDS, translate_errors
from ozh_notify.mongo.users_collection import CHUNK, UsersCollection, chunks, projection
from ozh_notify.users import audience, delivery_state, indexes, recipient
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidates
from ozh_notify.users.delivery_state import Confirmation, OutcomeRecord
from ozh_notify.users.extra_filter import filter_fields
from ozh_notify.users.recipient import Claimed, at_path
from ozh_notify.users.state_update import Pipeline

log = logging.getLogger(__name__)

NEWEST = 200
"""Number of the newest users in which a first delivery is looked for."""


@dataclass(frozen=True)
class ClaimedDocument:
    """A user document in `sending`, with the delivery as it was read."""

    id: Any
    chat_id: int | None
    delivery: Mapping[str, Any]


class MongoPassStore:
    """The users of one database, as one campaign sees them."""

    def __init__(self, settings: Settings, campaign: Campaign) -> None:
        self.settings, self.campaign = settings, campaign
        self.db = UsersCollection(settings)
        self.users, self.retry = self.db.collection, self.db.retry
        self._claims = Claims(self.db, campaign)

    def also_read(self, paths: Sequence[str]) -> None:
        """Read these fields with each user: the message names them."""
        self._claims.message_fields = tuple(paths)

    async def close(self) -> None:
        """Close all connections."""
        await self.db.close()

    def set_deadline(self, seconds: float) -> None:
        """Give each write so many seconds from now; one that begins later gets one short try."""
        self.retry.set_deadline(seconds)

    async def check_clock(self, clock: Clock) -> None:
        """Compare this machine's clock with MongoDB's; one that is far off is an error."""
        before = clock.now()
        told = await self.db.server_time()
        if told and (warning := clock_warning(difference(before, told, clock.now()))):
            log.warning("%s", warning)

    async def sample(self, size: int) -> list[Document]:
        """The newest users, to see whether the field mapping can be right."""
        looked_at = [*self._criteria_fields(), *filter_fields(self.settings.extra_filter)]
        return await self.db.newest(size, projection(*looked_at), "look at a sample of users")

    async def in_hand(self) -> int:
        """How many users are in `sending`: claimed by some pass and not settled."""
        return await self._claims.in_hand()

    async def lapsed(self, now: datetime) -> list[ClaimedDocument]:
        """Documents in `sending` whose lease is over."""
        state_path, chat = self.campaign.state_path, self.settings.field_chat_id
        lapsed = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": delivery_state.State.SENDING.value,
            f"{state_path}.hold_until": {"$lte": now, **audience.NOT_AN_ARRAY},
        }
        found = await self.db.fetch_all(
            self.users.find(lapsed, projection(chat, state_path)), "look for lapsed claims"
        )
        return [
            ClaimedDocument(user["_id"], recipient.parse_chat_id(at_path(user, chat)), kept)
            for user in found
            # The filter also matches inside arrays; a backend wrote one there, so skip it.
            if isinstance(kept := at_path(user, state_path), Mapping)
        ]

    async def update_claimed(self, updates: Sequence[tuple[ClaimedDocument, Pipeline]]) -> int:
        """Update documents whose claim is still the one that was read; returns how many were."""
        state_path = self.campaign.state_path
        sending = {f"{state_path}.state": delivery_state.State.SENDING.value}
        writes = [
            UpdateOne(
                {"_id": user.id, f"{state_path}.claim": {"$eq": user.delivery["claim"]}, **sending},
                update,
            )
            for user, update in updates
        ]
        return sum([await self.db.bulk(chunk, "sweep") for chunk in chunks(writes, CHUNK)])

    async def deliveries(self, ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """The deliveries of a few users, by the ``repr`` of their `_id`."""
        state_path = self.campaign.state_path
        found = await self.retry(
            lambda: self.users.find({"_id": {"$in": list(ids)}}, {state_path: 1}).to_list(None),
            "read deliveries",
        )
        kept = {repr(user["_id"]): at_path(user, state_path) for user in found}
        return {i: delivery for i, delivery in kept.items() if isinstance(delivery, Mapping)}

    async def has_delivered(self) -> bool:
        """Whether one of the newest users got a message: a cheap look, no search."""
        root = self.settings.state_field
        newest = await self.db.newest(NEWEST, {root: 1}, "look for delivered messages")
        return any(delivery_state.was_messaged(user.get(root)) for user in newest)

    async def scan(self, query: Query, keep: int) -> Candidates:
        """Ids of all eligible users, newest first, drained at once."""
        # With its sort field in it, the server sorts small documents and not whole ones.
        fields = projection(
            self.settings.field_chat_id, self.settings.state_field, self.campaign.sort_field()
        )
        cursor = self.users.find(audience.eligible(query), fields, batch_size=CHUNK)
        # Up to MongoDB 5, a sort of more than 100 MB fails without the disk.
        cursor.sort(self.campaign.sort_field(), -1).allow_disk_use(True)
        found = Candidates(keep)
        experiment = running_experiment(self.campaign, query.now, query.chats)
        doing = "scan the users" + (" with OZH_EXTRA_FILTER" if self.settings.extra_filter else "")
        await self.db.ping(doing)
        with translate_errors(doing), pymongo.timeout(READ_SECONDS):
            while chunk := await cursor.to_list(CHUNK):
                for user in chunk:
                    self._add_candidate(found, user, experiment)
        return found

    async def funnel(self, query: Query) -> dict[str, int]:
        """Why users of the population are held back: a count per reason, in one read."""
        population, steps = audience.funnel(query)
        facets: Document = {"0": [{"$count": "n"}]}
        for n in range(1, len(steps) + 1):
            still_in = [{"$match": condition} for _, condition in steps[:n]]
            facets[str(n)] = [*still_in, {"$count": "n"}]
        pipeline: list[Document] = [{"$match": population}, {"$facet": facets}]
        hint = await self._population_index(query)
        cursor = self.users.aggregate(pipeline, **({"hint": hint} if hint else {}))
        [result] = await self.db.fetch_all(cursor, "count why users are held back")
        left = [result[n][0]["n"] if result[n] else 0 for n in facets]
        return {
            reason: before - after
            for (reason, _), before, after in zip(steps, left[:-1], left[1:], strict=True)
            if before - after
        }

    async def _population_index(self, query: Query) -> str | None:
        """The campaign's index, if it exists and has all users of the population.

        The funnel has no condition on the first key, so MongoDB takes the index only by a hint;
        without it the funnel reads the whole collection. The first keys of the daily bonus have
        few values, between which the server skips to the last days.
        """
        wanted = self.campaign.index()
        if query.chats or not indexes.covers_population(wanted, self.campaign, query.now):
            return None
        have = indexes.existing(await self.db.index_descriptions(self.users))
        [status] = indexes.compare([wanted], have)
        return status.existing.name if status.existing and status.usable else None

    async def claim(self, ids: Sequence[Any], query: Query, claim_id: str, run: str) -> Claimed:
        """Claim the users of a batch who still qualify; repeatable by its claim id."""
        return await self._claims.claim(ids, query, claim_id, run)

    async def release(self, ids: Sequence[Any], claim_id: str, now: datetime) -> None:
        """Release users that a claim with unknown result may have taken."""
        await self._claims.release(ids, claim_id, now)

    async def confirm(self, records: Sequence[OutcomeRecord]) -> Confirmation:
        """Write outcomes; returns those that are not in the database afterwards."""
        state_path = self.campaign.state_path
        updates = [
            UpdateOne(
                {"_id": r.recipient.id, f"{state_path}.claim": r.recipient.claim},
                delivery_state.outcome_update(self.campaign, r),
            )
            for r in records
        ]
        if await self.db.bulk(updates, "record deliveries") == len(records):
            return Confirmation()
        return Confirmation(unrecorded=await self._missing(records))

    async def users_by_id(self, ids: Sequence[Any]) -> list[Document]:
        """Names and chats of a few users, for the dry run's list of first recipients."""
        s = self.settings
        wanted = [s.field_chat_id, s.field_first_name, s.field_language, self.campaign.sort_field()]
        wanted += self._claims.message_fields
        cursor = self.users.find({"_id": {"$in": list(ids)}}, projection(*wanted))
        found = await self.db.fetch_all(cursor, "read the first recipients")
        place = {repr(i): n for n, i in enumerate(ids)}
        return sorted(found, key=lambda user: place[repr(user["_id"])])

    async def _missing(self, records: Sequence[OutcomeRecord]) -> list[OutcomeRecord]:
        """Those whose document does not hold the outcome: read back after an ambiguous error."""
        kept = await self.deliveries([record.recipient.id for record in records])
        return [
            r for r in records if not delivery_state.has_outcome(kept.get(repr(r.recipient.id)), r)
        ]

    def _add_candidate(
        self, found: Candidates, user: Document, experiment: Experiment | None
    ) -> None:
        problem = recipient.why_invalid(user, self.campaign)
        if problem:
            found.reject(user["_id"], problem)
            log.debug("user %r is left alone: %s", user["_id"], problem)
            return
        chat = recipient.parse_chat_id(at_path(user, self.settings.field_chat_id)) or 0
        found.controls += bool(experiment and experiment.arm(chat) is Arm.CONTROL)
        found.add(user["_id"], chat)

    def _criteria_fields(self) -> list[str]:
        now = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
        criteria = self.campaign.criteria(now)
        return [self.settings.field_chat_id, *(criterion.field for criterion in criteria)]
