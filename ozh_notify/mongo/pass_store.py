"""MongoDB: every query of a pass has a name and says why."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import pymongo
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from ozh_notify.campaigns import Campaign
from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.mongo.client import (
    READ_SECONDS,
    SELECTION_SECONDS,
    Document,
    connect,
    is_transient,
    translate,
    translate_errors,
    users_collection,
)
from ozh_notify.users import audience, delivery_state, recipient
from ozh_notify.users.audience import Query, and_filters
from ozh_notify.users.candidates import Candidate, Candidates
from ozh_notify.users.delivery_state import Confirmation, OutcomeRecord
from ozh_notify.users.recipient import MISSING, Recipient, at_path

log = logging.getLogger(__name__)
T = TypeVar("T")

WRITE_SECONDS = 4.0
"""Seconds for one try of a claim or a confirm: both fit into the 10 s after a SIGTERM."""
MIN_TRY_SECONDS = 0.5
"""Seconds that one try is given even where time is out."""
RETRY_SECONDS = 15.0
"""Seconds during which a write of unknown effect is repeated."""
CHUNK = 1000
"""Documents taken from a cursor, or writes sent, at a time."""


class MongoPassStore:
    """The users of one database, as one campaign sees them."""

    def __init__(self, settings: Settings, campaign: Campaign) -> None:
        self.settings, self.campaign = settings, campaign
        self._client = connect(settings)
        self.users = users_collection(self._client, settings)
        self._give_up_at = float("inf")

    async def close(self) -> None:
        """Close all connections; a server that hangs is not waited for."""
        with pymongo.timeout(MIN_TRY_SECONDS):
            self._client.close()

    def set_deadline(self, seconds: float) -> None:
        """Give each write so many seconds from now; one that begins later gets one short try."""
        self._give_up_at = time.monotonic() + seconds

    async def sample(self, size: int) -> list[Document]:
        """The newest users, to see whether the field mapping can be right."""
        cursor = self.users.find({}, self._fields(self._criteria_fields()))
        return await self._fetch_all(
            cursor.sort("_id", -1).limit(size), "look at a sample of users"
        )

    async def sweep(self, now: datetime) -> int:
        """Claims whose lease is over become `unknown`; only this takes a `sending` user."""
        state_path = self.campaign.state_path
        lapsed = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": delivery_state.State.SENDING.value,
            f"{state_path}.hold_until": {"$lte": now, **audience.NOT_AN_ARRAY},
        }
        found = await self._fetch_all(
            self.users.find(lapsed, {state_path: 1}), "look for lapsed claims"
        )
        updates = []
        for user in found:
            kept = at_path(user, state_path)
            if not isinstance(kept, Mapping):
                continue  # a backend wrote an array there; its elements matched
            same = {"_id": user["_id"], f"{state_path}.claim": {"$eq": kept["claim"]}}
            same[f"{state_path}.state"] = delivery_state.State.SENDING.value
            updates.append(UpdateOne(same, delivery_state.expire_update(self.campaign, kept, now)))
        return sum([await self._bulk(chunk, "sweep") for chunk in chunks(updates, CHUNK)])

    async def scan(self, query: Query, keep: int) -> Candidates:
        """Ids of all eligible users, newest first, drained at once."""
        fields = self._fields([self.settings.field_chat_id, self.settings.state_field])
        cursor = self.users.find(audience.eligible(query), fields, batch_size=CHUNK)
        # Up to MongoDB 5, a sort of more than 100 MB fails without the disk.
        cursor.sort(self.campaign.sort_field(), -1).allow_disk_use(True)
        found = Candidates(keep)
        doing = "scan the users" + (" with OZH_EXTRA_FILTER" if self.settings.extra_filter else "")
        await self._ping(doing)
        with translate_errors(doing), pymongo.timeout(READ_SECONDS):
            while chunk := await cursor.to_list(CHUNK):
                for user in chunk:
                    self._add_candidate(found, user)
        return found

    async def funnel(self, query: Query) -> dict[str, int]:
        """Why users of the population are held back: a count per reason, in one read."""
        population, steps = audience.funnel(query)
        facets: Document = {"0": [{"$count": "n"}]}
        for n in range(1, len(steps) + 1):
            still_in = [{"$match": condition} for _, condition in steps[:n]]
            facets[str(n)] = [*still_in, {"$count": "n"}]
        cursor = self.users.aggregate([{"$match": population}, {"$facet": facets}])
        [result] = await self._fetch_all(cursor, "count why users are held back")
        left = [result[n][0]["n"] if result[n] else 0 for n in facets]
        return {
            reason: before - after
            for (reason, _), before, after in zip(steps, left[:-1], left[1:], strict=True)
            if before - after
        }

    async def claim(
        self, batch: Sequence[Candidate], query: Query, claim_id: str, run: str
    ) -> list[Recipient]:
        """Take those of a batch who still qualify; repeatable by its claim id."""
        ids = [candidate.id for candidate in batch]
        where = and_filters([{"_id": {"$in": ids}}, audience.claim_filter(query)])
        update = delivery_state.claim_update(self.campaign, claim_id, run, query.now)
        monotonic = time.monotonic()

        async def write() -> None:
            await self.users.update_many(where, update, hint=[("_id", 1)])

        try:
            await self._retry(write, "claim users")
            taken = await self._read_claim(ids, claim_id)
        except OzhError:
            await self._release(ids, claim_id, query.now)
            raise
        tried = {repr(c.id) for c in batch if c.attempted_before}
        return [self._recipient(u, claim_id, query.now, monotonic, tried) for u in taken]

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
        if await self._bulk(updates, "record deliveries") == len(records):
            return Confirmation()
        return Confirmation(unrecorded=await self._missing(records))

    async def users_by_id(self, ids: Sequence[Any]) -> list[Document]:
        """Names and chats of a few users, for the dry run's list of first recipients."""
        s = self.settings
        wanted = [s.field_chat_id, s.field_first_name, s.field_language, self.campaign.sort_field()]
        cursor = self.users.find({"_id": {"$in": list(ids)}}, self._fields(wanted))
        found = await self._fetch_all(cursor, "read the first recipients")
        place = {repr(i): n for n, i in enumerate(ids)}
        return sorted(found, key=lambda user: place[repr(user["_id"])])

    async def _missing(self, records: Sequence[OutcomeRecord]) -> list[OutcomeRecord]:
        """Those whose document does not hold the outcome: read back after an ambiguous error."""
        state_path = self.campaign.state_path
        ids = [r.recipient.id for r in records]
        found = await self._retry(
            lambda: self.users.find({"_id": {"$in": ids}}, {state_path: 1}).to_list(None),
            "read back",
        )
        kept = {repr(user["_id"]): at_path(user, state_path) for user in found}
        return [r for r in records if not _holds(kept.get(repr(r.recipient.id)), r)]

    async def _release(self, ids: Sequence[Any], claim_id: str, now: datetime) -> None:
        """Give back whom a claim of unknown effect may have taken: nobody will send to them."""
        where = {"_id": {"$in": list(ids)}, f"{self.campaign.state_path}.claim": claim_id}
        update = delivery_state.release_update(self.campaign, now)
        try:
            with pymongo.timeout(self._time_for_a_try()):
                await self.users.update_many(where, update, hint=[("_id", 1)])
        except PyMongoError as error:
            log.warning(
                "up to %d users claimed as %s may be left in sending until their lease ends: %s",
                len(ids),
                claim_id,
                type(error).__name__,
            )

    async def _read_claim(self, ids: Sequence[Any], claim_id: str) -> list[Document]:
        s, state_path = self.settings, self.campaign.state_path
        wanted = [s.field_chat_id, s.field_first_name, s.field_language, f"{state_path}.attempts"]
        where, fields = (
            {"_id": {"$in": list(ids)}, f"{state_path}.claim": claim_id},
            self._fields(wanted),
        )
        found = await self._retry(
            lambda: self.users.find(where, fields).to_list(None), "read a claim back"
        )
        place = {repr(i): n for n, i in enumerate(ids)}
        return sorted(found, key=lambda user: place[repr(user["_id"])])

    def _recipient(
        self, user: Document, claim_id: str, at: datetime, monotonic: float, tried: set[str]
    ) -> Recipient:
        s = self.settings
        attempts = at_path(user, f"{self.campaign.state_path}.attempts")
        return Recipient(
            id=user["_id"],
            chat_id=recipient.parse_chat_id(at_path(user, s.field_chat_id)) or 0,
            first_name=recipient.clean_name(at_path(user, s.field_first_name)),
            language=recipient.parse_language(at_path(user, s.field_language)),
            claim=claim_id,
            claimed_at=at,
            claimed_monotonic=monotonic,
            attempts=attempts if isinstance(attempts, int) and 0 < attempts < 2**31 else 1,
            attempted_before=repr(user["_id"]) in tried,
        )

    def _add_candidate(self, found: Candidates, user: Document) -> None:
        problem = recipient.why_invalid(user, self.campaign)
        if problem:
            found.reject(user["_id"], problem)
            log.debug("user %r is left alone: %s", user["_id"], problem)
        else:
            state_path = self.campaign.state_path
            claimed = at_path(user, f"{state_path}.at") is not MISSING
            # One that was claimed and given back unsent has not been tried.
            found.add(
                Candidate(user["_id"], claimed and at_path(user, f"{state_path}.attempts") != 0)
            )

    def _criteria_fields(self) -> list[str]:
        now = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
        criteria = self.campaign.criteria(now)
        return [self.settings.field_chat_id, *(criterion.field for criterion in criteria)]

    def _fields(self, paths: Sequence[str]) -> Document:
        """A projection; a path inside another would be a collision (MongoDB 4.4 and later)."""
        inside = {p for p in paths for q in paths if p.startswith(f"{q}.")}
        return {path: 1 for path in ("_id", *paths) if path not in inside}

    async def _ping(self, doing: str) -> None:
        """Fail soon where no server answers.

        Under a time limit of its own an operation looks for a server all that time, whatever
        `serverSelectionTimeoutMS` says (PyMongo, ``Topology.get_server_selection_timeout``).
        """
        with translate_errors(doing), pymongo.timeout(SELECTION_SECONDS):
            await self._client.admin.command("ping")

    async def _fetch_all(self, cursor: Any, doing: str) -> list[Document]:
        await self._ping(doing)
        with translate_errors(doing), pymongo.timeout(READ_SECONDS):
            return list(await cursor.to_list(None))

    async def _bulk(self, updates: list[UpdateOne], doing: str) -> int:
        """How many of some single-document updates matched; repeatable, each by its claim id."""

        async def write() -> int:
            result = await self.users.bulk_write(updates, ordered=False)
            return int(result.matched_count)

        return await self._retry(write, doing) if updates else 0

    async def _retry(self, operation: Callable[[], Awaitable[T]], doing: str) -> T:
        """Repeat an idempotent operation while it is unknown whether the last try was applied."""
        give_up_at, pause = time.monotonic() + RETRY_SECONDS, 0.1
        while True:
            try:
                with pymongo.timeout(self._time_for_a_try()):
                    return await operation()
            except PyMongoError as error:
                late = time.monotonic() + pause > min(give_up_at, self._give_up_at)
                if late or not is_transient(error):
                    raise translate(error, doing) from error
                log.warning("could not %s, trying again: %s", doing, type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)

    def _time_for_a_try(self) -> float:
        left = self._give_up_at - time.monotonic()
        return max(MIN_TRY_SECONDS, min(WRITE_SECONDS, left))


def chunks(items: list[T], size: int) -> Iterator[list[T]]:
    """A list in pieces."""
    return (items[n : n + size] for n in range(0, len(items), size))


def _holds(kept: Any, record: OutcomeRecord) -> bool:
    """Whether the stored state is the outcome this pass meant to write."""
    return (
        isinstance(kept, dict)
        and kept.get("run") == record.run
        and kept.get("state") == record.outcome.state.value
        and kept.get("message_id") == record.outcome.message_id
    )
