"""MongoDB: what the journal keeps besides its entries: each pass, and the bot that delivered last.

The three operations at the start of a pass are the three rights that the journal needs, so that
an account without one of them is told before anybody is claimed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import pymongo
from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import DuplicateKeyError, PyMongoError

from ozh_notify.errors import ConfigError
from ozh_notify.mongo.client import Document
from ozh_notify.mongo.errors import UNAUTHORIZED
from ozh_notify.mongo.retry import Retry

log = logging.getLogger(__name__)
T = TypeVar("T")

BOT = "bot"
RUN = "run:"
RUNS_RANGE = {"$gt": RUN, "$lt": "run;"}
"""The `_id` of every pass: `;` follows `:`."""


class PassRecords:
    """The documents ``_id: "bot"`` and ``_id: "run:<run id>"``."""

    def __init__(self, collection: AsyncIOMotorCollection[Document], retry: Retry) -> None:
        self._collection, self._retry = collection, retry
        self._begun: str | None = None

    async def bot(self) -> Document | None:
        """The bot that delivered last."""
        return await self._allowed("find", lambda: self._collection.find_one({"_id": BOT}))

    async def remember_bot(self, bot: Document) -> None:
        """Store the bot that delivers now."""
        await self._retry(
            lambda: self._collection.replace_one({"_id": BOT}, bot, upsert=True),
            "store the bot in the journal",
        )

    async def begin(self, run: Document) -> None:
        """Store that a pass has begun.

        Raises:
            ConfigError: the account lacks a right on the journal; the text names it.
        """
        document = {"_id": f"{RUN}{run['run_id']}", **run}

        async def insert() -> None:
            try:
                await self._collection.insert_one(document)
            except DuplicateKeyError:
                log.debug("the last try of this very insert was applied")

        await self._allowed("insert", insert)
        same = {"_id": document["_id"]}
        status = {"$set": {"status": run["status"]}}
        await self._allowed("update", lambda: self._collection.update_one(same, status))
        self._begun = run["run_id"]

    async def end(self, run: Document) -> None:
        """Store what came of the pass; a failure is a warning, because the pass is over."""
        if self._begun != run["run_id"]:
            return
        try:
            with pymongo.timeout(self._retry.time_for_a_try()):
                await self._collection.update_one({"_id": f"{RUN}{run['run_id']}"}, {"$set": run})
        except (PyMongoError, BSONError, ValueError) as error:
            log.warning("the journal does not know how this pass ended: %s", type(error).__name__)

    async def _allowed(self, right: str, operation: Callable[[], Awaitable[T]]) -> T:
        place = f"{self._collection.database.name}.{self._collection.name}"
        try:
            return await self._retry(operation, f"{right} in the journal {place}")
        except ConfigError as error:
            if getattr(error.__cause__, "code", None) != UNAUTHORIZED:
                raise
            what_to_do = "grant it find, insert and update there, or turn the journal off"
            raise ConfigError(
                f"MongoDB does not let this account {right} in the journal {place}: {what_to_do} "
                "(OZH_JOURNAL_COLLECTION=off)"
            ) from error


def bot_document(bot_id: int, username: str, now: datetime) -> Document:
    """Who delivers, and since when."""
    return {"_id": BOT, "bot_id": bot_id, "username": username, "since": now}
