"""MongoDB: every query of a pass has a name and says why."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

import pymongo
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from ozh_notify.campaigns import Campaign
from ozh_notify.clock import Clock, clock_warning, difference
from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.mongo.client import SELECTION_SECONDS, Document, connect, users_collection
from ozh_notify.mongo.errors import READ_SECONDS, translate_errors
from ozh_notify.mongo.retry import MIN_TRY_SECONDS, Retry
from ozh_notify.users import audience, delivery_state, recipient
from ozh_notify.users.audience import Query, and_filters
from ozh_notify.users.candidates import Candidate, Candidates
from ozh_notify.users.delivery_state import Confirmation, OutcomeRecord
from ozh_notify.users.extra_filter import filter_fields
from ozh_notify.users.recipient import MISSING, Claimed, Recipient, at_path

log = logging.getLogger(__name__)
T = TypeVar("T")

NEWEST = 200
"""Users among whom a first delivery is looked for."""
CHUNK = 1000
"""Documents taken from a cursor, or writes sent, at a time."""


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
        self._client = connect(settings)
        self.users = users_collection(self._client, settings)
        self.retry = Retry()

    async def close(self) -> None:
        """Close all connections; a server that hangs is not waited for."""
        with pymongo.timeout(MIN_TRY_SECONDS):
            self._client.close()

    def set_deadline(self, seconds: float) -> None:
        """Give each write so many seconds from now; one that begins later gets one short try."""
        self.retry.set_deadline(seconds)

    async def check_clock(self, clock: Clock) -> None:
        """Compare this machine's clock with MongoDB's: leases are told apart by it.

        Raises:
            ConfigError: it is off by more than a lease can bear.
        """
        doing = "ask for its time"
        await self._ping(doing)
        with translate_errors(doing), pymongo.timeout(READ_SECONDS):
            before = clock.now()
            hello = await self._client.admin.command("hello")
        told = hello.get("localTime")
        if isinstance(told, datetime):
            told = told.replace(tzinfo=timezone.utc)
            warning = clock_warning(difference(before, told, clock.now()))
            if warning:
                log.warning("%s", warning)

    async def sample(self, size: int) -> list[Document]:
        """The newest users, to see whether the field mapping can be right."""
        looked_at = [*self._criteria_fields(), *filter_fields(self.settings.extra_filter)]
        cursor = self.users.find({}, self._fields(looked_at))
        return await self._fetch_all(
            cursor.sort("_id", -1).limit(size), "look at a sample of users"
        )

    async def sweep(self, now: datetime) -> int:
        """Move claims whose lease is over to `unknown`; only a sweep takes a `sending` user."""
        lapsed = await self.lapsed(now)
        return await self.update_claimed(
            [
                (user, delivery_state.expire_update(self.campaign, user.delivery, now))
                for user in lapsed
            ]
        )

    async def lapsed(self, now: datetime) -> list[ClaimedDocument]:
        """Documents in `sending` whose lease is over."""
        state_path, chat = self.campaign.state_path, self.settings.field_chat_id
        lapsed = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": delivery_state.State.SENDING.value,
            f"{state_path}.hold_until": {"$lte": now, **audience.NOT_AN_ARRAY},
        }
        found = await self._fetch_all(
            self.users.find(lapsed, self._fields([chat, state_path])), "look for lapsed claims"
        )
        return [
            ClaimedDocument(user["_id"], recipient.parse_chat_id(at_path(user, chat)), kept)
            for user in found
            # The filter also matches inside arrays; a backend wrote one there, so skip it.
            if isinstance(kept := at_path(user, state_path), Mapping)
        ]

    async def update_claimed(
        self, updates: Sequence[tuple[ClaimedDocument, delivery_state.Pipeline]]
    ) -> int:
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
        return sum([await self._bulk(chunk, "sweep") for chunk in chunks(writes, CHUNK)])

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
        cursor = self.users.find({}, {root: 1}).sort("_id", -1).limit(NEWEST)
        newest = await self._fetch_all(cursor, "look for delivered messages")
        return any(delivery_state.was_messaged(user.get(root)) for user in newest)

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
    ) -> Claimed:
        """Claim the users of a batch who still qualify; repeatable by its claim id."""
        ids = [candidate.id for candidate in batch]
        where = and_filters([{"_id": {"$in": ids}}, audience.claim_filter(query)])
        update = delivery_state.claim_update(self.campaign, claim_id, run, query.now)
        monotonic = time.monotonic()

        async def write() -> None:
            await self.users.update_many(where, update, hint=[("_id", 1)])

        try:
            await self.retry(write, "claim users")
            taken = await self._read_claim(ids, claim_id)
        except OzhError:
            await self.release(ids, claim_id, query.now)
            raise
        tried = {repr(c.id) for c in batch if c.attempted_before}
        return Claimed([self._recipient(u, claim_id, query.now, monotonic, tried) for u in taken])

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
        kept = await self.deliveries([record.recipient.id for record in records])
        return [r for r in records if not _holds(kept.get(repr(r.recipient.id)), r)]

    async def release(self, ids: Sequence[Any], claim_id: str, now: datetime) -> None:
        """Release users that a claim with unknown result may have taken: nobody sends to them."""
        where = {"_id": {"$in": list(ids)}, f"{self.campaign.state_path}.claim": claim_id}
        update = delivery_state.release_update(self.campaign, now)
        try:
            with pymongo.timeout(self.retry.time_for_a_try()):
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
        found = await self.retry(
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

        return await self.retry(write, doing) if updates else 0


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
