"""The users' collection: one client, its time limits, and how it is read and written."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

import pymongo
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.mongo.client import SELECTION_SECONDS, Document, connect, users_collection
from ozh_notify.mongo.errors import is_about_documents, translate_errors, with_time_limit
from ozh_notify.mongo.retry import MIN_TRY_SECONDS, Retry

log = logging.getLogger(__name__)
T = TypeVar("T")

CHUNK = 1000
"""Documents taken from a cursor, or writes sent, at a time."""
NEWEST_FIRST = [("$natural", -1)]
"""Reads a collection backward from its last insert, without an index: as sort and as hint.

MongoDB documents both, and takes them together. Each alone is read forward by one of the servers
that speak its protocol; a sort by ``_id`` reads the whole collection on several of them. On a
sharded collection the sample is a mix of what is newest on each shard.
"""


class UsersCollection:
    """One database's users; query classes hold it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = connect(settings)
        self.collection = users_collection(self.client, settings)
        self.retry = Retry()

    async def __aenter__(self) -> UsersCollection:
        """Fail soon where no server answers.

        Raises:
            Unavailable: no server answers.
            ConfigError: the server does not let this account in.
        """
        try:
            await self.ping("look at the users")
        except OzhError:
            self.client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()

    async def close(self) -> None:
        """Close all connections; a server that hangs is not waited for."""
        with pymongo.timeout(MIN_TRY_SECONDS):
            self.client.close()

    async def ping(self, doing: str) -> None:
        """Fail soon where no server answers.

        Under a time limit of its own an operation looks for a server all that time, whatever
        `serverSelectionTimeoutMS` says (PyMongo, ``Topology.get_server_selection_timeout``).
        """
        with translate_errors(doing), pymongo.timeout(SELECTION_SECONDS):
            await self.client.admin.command("ping")

    async def server_time(self) -> datetime | None:
        """The server's clock (``hello.localTime``); None where the server does not tell it."""
        with with_time_limit("ask for the server's clock", SELECTION_SECONDS):
            told = (await self.client.admin.command("hello")).get("localTime")
        return told.replace(tzinfo=timezone.utc) if isinstance(told, datetime) else None

    async def fetch_all(self, cursor: Any, doing: str) -> list[Document]:
        """Every document of a cursor, each `_id` once.

        A cursor that follows no index may return a document twice while it is written to.
        """
        await self.ping(doing)
        with with_time_limit(doing):
            found = await cursor.to_list(None)
        once = {repr(document.get("_id", n)): document for n, document in enumerate(found)}
        return list(once.values())

    async def newest(self, size: int, fields: Document | None, doing: str) -> list[Document]:
        """The users that were inserted last; all fields without ``fields``."""
        cursor = self.collection.find({}, fields).sort(NEWEST_FIRST).hint(NEWEST_FIRST)
        cursor.limit(size)
        return await self.fetch_all(cursor, doing)

    async def index_descriptions(
        self, collection: AsyncIOMotorCollection[Document]
    ) -> list[Document]:
        """What the server lists of the indexes of a collection."""
        with with_time_limit("list the indexes"):
            found = await collection.list_indexes().to_list(None)
        return [dict(one) for one in found]

    async def bulk(self, updates: Sequence[UpdateOne], doing: str) -> int:
        """How many single-document updates matched; each must be repeatable.

        A document that the server refuses to update stops nobody else: it is logged, and does not
        count as matched.
        """

        async def write() -> int:
            try:
                result = await self.collection.bulk_write(list(updates), ordered=False)
            except BulkWriteError as error:
                if not is_about_documents(error):
                    raise
                return _others_matched(error, updates, doing)
            return int(result.matched_count)

        return await self.retry(write, doing) if updates else 0


def _others_matched(error: BulkWriteError, updates: Sequence[UpdateOne], doing: str) -> int:
    details = error.details or {}
    for failed in details.get("writeErrors", ()):
        user = updates[int(failed["index"])]._filter.get("_id")
        log.warning("could not %s: the server refuses to update the document of user %r: %s",
                    doing, user, failed.get("errmsg"))  # fmt: skip
    return int(details.get("nMatched", 0))


def projection(*paths: str) -> Document:
    """`_id` and these paths; a path inside another one would be a collision (MongoDB 4.4)."""
    wanted = ("_id", *paths)
    inside = {path for path in wanted for other in wanted if path.startswith(f"{other}.")}
    return {path: 1 for path in wanted if path not in inside}


def chunks(items: list[T], size: int) -> Iterator[list[T]]:
    """A list in pieces."""
    return (items[n : n + size] for n in range(0, len(items), size))
