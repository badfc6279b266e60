"""Claiming a batch of users: one conditional update, read back by its claim id."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from ozh_notify.campaigns import Campaign
from ozh_notify.effect.experiment import assignment, baseline_paths, running_experiment
from ozh_notify.errors import OzhError
from ozh_notify.mongo.client import Document
from ozh_notify.mongo.errors import UNAUTHORIZED, DocumentRefused
from ozh_notify.mongo.users_collection import UsersCollection, projection
from ozh_notify.users import audience, delivery_state, recipient
from ozh_notify.users.audience import Filter, Query, and_filters
from ozh_notify.users.recipient import Claimed, Recipient, at_path
from ozh_notify.users.state_update import Pipeline

log = logging.getLogger(__name__)


class Claims:
    """The claims of one campaign's pass."""

    def __init__(self, db: UsersCollection, campaign: Campaign) -> None:
        self._db, self._campaign = db, campaign
        self.message_fields: tuple[str, ...] = ()
        """Fields that are read with each user, because the message names them."""

    async def claim(self, ids: Sequence[Any], query: Query, claim_id: str, run: str) -> Claimed:
        """Claim the users of a batch who still qualify; repeatable by its claim id."""
        monotonic = time.monotonic()
        try:
            refused = await self._write(ids, query, claim_id, run)
            taken = await self._read(ids, claim_id)
        except OzhError:
            await self.release(ids, claim_id, query.now)
            raise
        recipients = [self._recipient(u, claim_id, query.now, monotonic) for u in taken]
        if experiment := running_experiment(self._campaign, query.now, query.chats):
            recipients = [
                replace(who, assignment=assignment(experiment, self._campaign, user, who))
                for who, user in zip(recipients, taken, strict=True)
            ]
        return Claimed(recipients, refused=refused)

    async def in_hand(self) -> int:
        """How many users are in `sending`: claimed by some pass and not settled."""
        state_path = self._campaign.state_path
        where = {
            f"{state_path}.claim": {"$exists": True},
            f"{state_path}.state": delivery_state.State.SENDING.value,
        }
        cursor = self._db.collection.find(where, {"_id": 1})
        return len(await self._db.fetch_all(cursor, "count what is sending"))

    async def _write(
        self, ids: Sequence[Any], query: Query, claim_id: str, run: str
    ) -> list[tuple[Any, str]]:
        """Claim the batch; where one document makes the server refuse it, user by user.

        Returns the users whose document the server refuses to update, each with its reason.
        """
        free = audience.is_free(query)
        update = delivery_state.claim_update(self._campaign, claim_id, run, query.now, free)
        reason = await self._update({"_id": {"$in": list(ids)}}, query, update)
        if not reason:
            return []
        if len(ids) == 1:
            return [(ids[0], reason)]
        reasons = [(i, await self._update({"_id": {"$in": [i]}}, query, update)) for i in ids]
        return [(i, why) for i, why in reasons if why]

    async def _update(self, who: Filter, query: Query, update: Pipeline) -> str:
        """Update those who still qualify; returns why the server refuses a document, or ""."""
        where = and_filters([who, audience.claim_filter(query)])
        users = self._db.collection
        try:
            await self._db.retry(
                lambda: users.update_many(where, update, hint=[("_id", 1)]), "claim users"
            )
        except DocumentRefused as refusal:
            return refusal.reason
        return ""

    async def release(self, ids: Sequence[Any], claim_id: str, now: datetime) -> None:
        """Release users that a claim with unknown result may have taken: nobody sends to them."""
        where = {"_id": {"$in": list(ids)}, f"{self._campaign.state_path}.claim": claim_id}
        update = delivery_state.release_update(self._campaign, now)
        try:
            with pymongo.timeout(self._db.retry.time_for_a_try()):
                await self._db.collection.update_many(where, update, hint=[("_id", 1)])
        except PyMongoError as error:
            if isinstance(error, OperationFailure) and error.code == UNAUTHORIZED:
                return  # an account that may not update has claimed nobody
            log.warning(
                "up to %d users claimed as %s may be left in sending until their lease ends: %s",
                len(ids),
                claim_id,
                type(error).__name__,
            )

    async def _read(self, ids: Sequence[Any], claim_id: str) -> list[Document]:
        s, state_path = self._campaign.settings, self._campaign.state_path
        wanted = [s.field_chat_id, s.field_first_name, s.field_language, f"{state_path}.attempts"]
        where, fields = (
            {"_id": {"$in": list(ids)}, f"{state_path}.claim": claim_id},
            projection(*wanted, *baseline_paths(self._campaign), *self.message_fields),
        )
        found = await self._db.retry(
            lambda: self._db.collection.find(where, fields).to_list(None), "read a claim back"
        )
        place = {repr(i): n for n, i in enumerate(ids)}
        return sorted(found, key=lambda user: place[repr(user["_id"])])

    def _recipient(
        self, user: Document, claim_id: str, at: datetime, monotonic: float
    ) -> Recipient:
        s = self._campaign.settings
        attempts = at_path(user, f"{self._campaign.state_path}.attempts")
        return Recipient(
            id=user["_id"],
            chat_id=recipient.parse_chat_id(at_path(user, s.field_chat_id)) or 0,
            first_name=recipient.clean_name(at_path(user, s.field_first_name)),
            language=recipient.parse_language(at_path(user, s.field_language)),
            claim=claim_id,
            claimed_at=at,
            claimed_monotonic=monotonic,
            attempts=attempts if isinstance(attempts, int) and 0 < attempts < 2**31 else 1,
            fields=recipient.fields_at(user, self.message_fields),
        )
