"""Read queries of the operator commands; only creating an index writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar
from uuid import UUID

from bson import Binary, ObjectId
from motor.motor_asyncio import AsyncIOMotorCollection

from ozh_notify.campaigns import Index
from ozh_notify.clock import difference
from ozh_notify.config.settings import Settings, database
from ozh_notify.errors import ConfigError, OzhError
from ozh_notify.mongo.client import primary_collection
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.users_collection import UsersCollection, projection
from ozh_notify.users import indexes
from ozh_notify.users.audience import Filter, and_filters
from ozh_notify.users.indexes import ExistingIndex

Document = dict[str, Any]

BUILD_LIMIT = 7 * 86_400.0
"""Seconds to build one index. `pymongo.timeout(None)` means the client's own `timeoutMS`, so the
server would give up a build of many millions of users after a minute."""
Self = TypeVar("Self", bound="OperatorQueries")


@dataclass(frozen=True)
class Server:
    """What answers at `MONGO_URI`."""

    version: str
    replica_set: str | None
    sharded: bool


class OperatorQueries:
    """What the operator's commands ask; use it as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.db = UsersCollection(settings)
        self.users = self.db.collection

    async def __aenter__(self: Self) -> Self:
        """Fail soon where no server answers.

        Raises:
            Unavailable: no server answers.
            ConfigError: the server does not let this account in.
        """
        await self.db.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.db.__aexit__()

    async def server(self) -> Server:
        """Version and kind of the server."""
        with with_time_limit("ask for the server's version"):
            build = await self.db.client.admin.command("buildInfo")
            hello = await self.db.client.admin.command("hello")
        sharded = hello.get("msg") == "isdbgrid"
        return Server(str(build.get("version", "unknown")), hello.get("setName"), sharded)

    async def clock_ahead(self) -> timedelta | None:
        """How far our clock is ahead of the server's; None where the server does not tell it."""
        before = datetime.now(timezone.utc)
        told = await self.db.server_time()
        return difference(before, told, datetime.now(timezone.utc)) if told else None

    async def account(self) -> Document:
        """Who this account is and what it may do: ``authInfo`` of ``connectionStatus``."""
        command = {"connectionStatus": 1, "showPrivileges": True}
        with with_time_limit("ask what this account may do"):
            answer = await self.users.database.command(command)
        return dict(answer.get("authInfo", {}))

    async def sample(self, size: int) -> list[Document]:
        """The newest users, whole: a likelier field may be anywhere in them."""
        return await self.db.newest(size, None, "look at a sample of users")

    async def count(self, where: Filter) -> int:
        """How many users match; costs what their index, or the whole collection, costs."""
        with with_time_limit("count users"):
            return int(await self.users.count_documents(where))

    async def size(self) -> int:
        """About how many users there are, by the collection's own count."""
        with with_time_limit("count the users"):
            return int(await self.users.estimated_document_count())

    async def collections(self) -> list[str]:
        """Names of the database's collections that this account may look at."""
        with with_time_limit("list the collections"):
            return list(await self.users.database.list_collection_names(authorizedCollections=True))

    async def chat_values(self, size: int) -> list[Any]:
        """Documents of at most ``size`` of the newest users, with their chat ids alone."""
        field = self.settings.field_chat_id
        return await self.db.newest(size, projection(field), "read chat ids")

    @property
    def journal(self) -> AsyncIOMotorCollection[Document] | None:
        """The journal; None where it is off."""
        name = self.settings.journal_collection
        return primary_collection(self.db.client, self.settings, name) if name else None

    async def indexes(
        self, of: AsyncIOMotorCollection[Document] | None = None
    ) -> list[ExistingIndex]:
        """All indexes of the users or another collection, with sizes where they can be read."""
        collection = self.users if of is None else of
        sizes = await self._sizes(collection)
        return indexes.existing(await self.db.index_descriptions(collection), sizes)

    async def _sizes(self, collection: AsyncIOMotorCollection[Document]) -> dict[str, int]:
        """Bytes by index name; empty where ``$collStats`` is not allowed or not known."""
        try:
            with with_time_limit("read sizes"):
                stats: list[Document] = [{"$collStats": {"storageStats": {}}}]
                answers = await collection.aggregate(stats).to_list(None)
        except OzhError:
            return {}
        sizes: dict[str, int] = {}
        for shard in answers:
            for name, size in shard.get("storageStats", {}).get("indexSizes", {}).items():
                sizes[name] = sizes.get(name, 0) + int(size)
        return sizes

    async def create(
        self, index: Index, name: str, on: AsyncIOMotorCollection[Document] | None = None
    ) -> None:
        """Create one index; waits while the server builds it, and drops nothing."""
        collection = self.users if on is None else on
        options: Document = {"partialFilterExpression": index.partial} if index.partial else {}
        if index.expire_after_seconds is not None:
            options["expireAfterSeconds"] = index.expire_after_seconds
        with with_time_limit(f"create the index {name}", BUILD_LIMIT):
            await collection.create_index(list(index.keys), name=name, **options)

    async def drop(self, name: str) -> None:
        """Drop one index of the users."""
        with with_time_limit(f"drop the index {name}"):
            await self.users.drop_index(name)

    async def find(self, text: str) -> list[Document]:
        """The documents of a user named by chat id, `_id` or @username; usually one.

        Raises:
            ConfigError: no user has this name.
        """
        if text.startswith("@"):
            return await self._find_by_username(text)
        field = self.settings.field_chat_id
        by_chat = {field: {"$in": [int(text), str(int(text))]}} if is_number(text) else None
        for where in (by_chat, {"_id": {"$in": ids_named(text)}}):
            if where:
                with with_time_limit("look for the user"):
                    found = await self.users.find(where).to_list(None)
                if found:
                    return list(found)
        place = f"{database(self.settings)}.{self.settings.users_collection}"
        raise ConfigError(f"no user of {place} has the chat id ({field}) or the _id {text!r}")

    async def _find_by_username(self, text: str) -> list[Document]:
        """By `OZH_FIELD_USERNAME`, stored with or without the @, in any case."""
        field, name = self.settings.field_username, text.removeprefix("@")
        if not field:
            raise ConfigError(
                f"{text}: set OZH_FIELD_USERNAME to the field that holds user names, or name the "
                "user by the chat id"
            )
        # Telegram's user names are letters, digits and underscores, and their case does not count.
        where = {field: {"$regex": f"^@?{re.escape(name)}$", "$options": "i"}}
        with with_time_limit("look for the user"):
            found = list(await self.users.find(where).to_list(None)) if name else []
        if not found:
            place = f"{database(self.settings)}.{self.settings.users_collection}"
            raise ConfigError(f"no user of {place} has the user name {text!r} in {field}")
        return found

    async def matches(self, user_id: Any, where: Filter) -> bool:
        """Whether the server counts this user in; it alone decides, as in a scan."""
        with with_time_limit("look at the user"):
            wanted = and_filters([{"_id": user_id}, where])
            return await self.users.find_one(wanted, {"_id": 1}) is not None


def is_number(text: str) -> bool:
    """Whether a text can be a chat id."""
    return re.fullmatch(r"[0-9]{1,16}", text) is not None


def ids_named(text: str) -> list[Any]:
    """Every ``_id`` a text can mean."""
    forms: list[Any] = [text]
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        forms.append(int(text))
    if ObjectId.is_valid(text):
        forms.append(ObjectId(text))
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        forms.append(Binary.from_uuid(UUID(text)))
    return forms
