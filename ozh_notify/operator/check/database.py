"""MongoDB: server, account, collection, fields, chat ids that stand twice, indexes. Reads only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Sequence
from difflib import get_close_matches

from ozh_notify.campaigns import Campaign
from ozh_notify.config.settings import Settings, database
from ozh_notify.errors import OzhError
from ozh_notify.mongo.operator_queries import Document, OperatorQueries, Server
from ozh_notify.operator.check import fields, privileges
from ozh_notify.operator.check.line import (
    CheckResult,
    failed,
    ok,
    problem,
    warning,
)
from ozh_notify.users import field_mapping, recipient
from ozh_notify.users.indexes import ExistingIndex, compare, recommended
from ozh_notify.users.recipient import at_path

OLDEST = (4, 4)
"""Claims need `$isNumber`, which came with this release (MongoDB's manual)."""
CHATS = 50_000
"""Users among whom chat ids that stand twice are looked for, the newest."""
SHOWN = 3
"""Examples of what is wrong."""


async def database_results(
    settings: Settings, campaigns: Sequence[Campaign]
) -> tuple[list[CheckResult], list[Document]]:
    """All lines about MongoDB, and the sample of users they were drawn from."""
    try:
        async with OperatorQueries(settings) as desk:
            found = [_server(await desk.server())]
            try:
                sample = await desk.sample(field_mapping.SAMPLE_SIZE)
            except OzhError as error:
                return [*found, failed("collection", error)], []
            found += await _attempt("account", _account(desk))
            found += await _attempt("collection", _collection(desk, bool(sample)))
            if not sample:
                return found, sample
            found += fields.field_results(sample, campaigns)
            found += await _attempt("OZH_EXTRA_FILTER", _extra_filter(desk, sample))
            found += await _attempt("chat ids", _chats(desk))
            found += await _attempt("indexes", _indexes(desk, campaigns))
            return found, sample
    except OzhError as error:
        return [failed("MongoDB", error)], []


async def _attempt(about: str, part: Awaitable[list[CheckResult]]) -> list[CheckResult]:
    """The lines of a part, or the one that says why there are none."""
    try:
        return await part
    except OzhError as error:
        return [failed(about, error)]


def _server(server: Server) -> CheckResult:
    kind = "a sharded cluster" if server.sharded else "no replica set"
    if server.replica_set:
        kind = f"replica set {server.replica_set}"
    found = f"{server.version}, {kind}"
    numbers = tuple(map(int, re.findall(r"\d+", server.version)[:2]))
    if numbers and numbers < OLDEST:
        return warning("MongoDB", found, "ozh-notify needs 4.4 or later: a pass may fail")
    return ok("MongoDB", found)


async def _account(desk: OperatorQueries) -> list[CheckResult]:
    place = database(desk.settings) or "", desk.settings.users_collection
    return [privileges.privileges_result(await desk.account(), *place)]


async def _collection(desk: OperatorQueries, has_users: bool) -> list[CheckResult]:
    name, base = desk.settings.users_collection, database(desk.settings)
    if has_users:
        return [ok("collection", f"{base}.{name}, about {await desk.size()} users")]
    others = await desk.collections()
    if name in others:
        do = "is OZH_USERS_COLLECTION right?"
        return [warning("collection", f"{base}.{name} is empty", do)]
    near = get_close_matches(name, others, n=1)
    known = ", ".join(sorted(others)[:10]) or "no collection at all: is MONGO_DB_NAME right?"
    do = f"OZH_USERS_COLLECTION={near[0]} ?" if near else f"{base!r} has {known}"
    return [problem("collection", f"there is no {base}.{name}", do)]


async def _extra_filter(desk: OperatorQueries, sample: list[Document]) -> list[CheckResult]:
    """Whether the server takes it, and whom of the sample it leaves."""
    extra = desk.settings.extra_filter
    if not extra:
        return []
    ids = [user["_id"] for user in sample]
    left = await desk.count({"_id": {"$in": ids}, "$and": [extra]})
    found = f"leaves {left} of {len(ids)} users"
    if ids and not left:
        do = "every campaign would message nobody of these"
        return [warning("OZH_EXTRA_FILTER", found, do)]
    return [ok("OZH_EXTRA_FILTER", found)]


async def _chats(desk: OperatorQueries) -> list[CheckResult]:
    """Whoever stands twice would be messaged twice."""
    about, field = "chat ids", desk.settings.field_chat_id
    if field == "_id" or any(_forbids(index, field) for index in await desk.indexes()):
        return [ok(about, "a unique index keeps each in one document")]
    users = await desk.chat_values(CHATS)
    chats = Counter(recipient.parse_chat_id(at_path(user, field)) for user in users)
    twice = [chat for chat, count in chats.most_common() if chat and count > 1]
    among = f"among the newest {len(users)} users"
    if twice:
        shown = ", ".join(map(str, twice[:SHOWN])) + (", ..." if len(twice) > SHOWN else "")
        found = f"{len(twice)} stand in more than one document {among}: {shown}"
        do = f"each document gets its message: merge them, then a unique index on {field}"
        return [warning(about, found, do)]
    return [ok(about, f"each in one document {among}")]


def _forbids(index: ExistingIndex, field: str) -> bool:
    """Whether an index lets no two documents have one chat id."""
    unique = (index.options or {}).get("unique")
    return bool(unique) and [name for name, _ in index.keys] == [field] and not index.partial


async def _indexes(desk: OperatorQueries, campaigns: Sequence[Campaign]) -> list[CheckResult]:
    standing = compare(recommended(campaigns), await desk.indexes())
    missing = [one.index.name for one in standing if not one.usable]
    if missing:
        do = "ozh-notify indexes --create; until then a pass reads the whole collection"
        return [warning("indexes", f"missing: {', '.join(missing)}", do)]
    return [ok("indexes", f"all {len(standing)} recommended ones")]
