"""MongoDB: server, account, collection, fields, duplicate chat ids, indexes. Reads only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches

from ozh_notify.campaigns import Campaign
from ozh_notify.clock import clock_warning
from ozh_notify.config.settings import Settings, database
from ozh_notify.errors import ConfigError, OzhError
from ozh_notify.mongo.operator_queries import Document, OperatorQueries, Server
from ozh_notify.operator.check import extra_filter, fields, privileges
from ozh_notify.operator.check.result import CheckResult, failed, ok, problem, warning
from ozh_notify.users import field_mapping, recipient
from ozh_notify.users.indexes import ExistingIndex, compare, journal_indexes, recommended
from ozh_notify.users.recipient import at_path

OLDEST = (4, 4)
"""Claims need `$isNumber`, which came with this release (MongoDB's manual)."""
CHATS = 50_000
"""How many of the newest users are searched for duplicate chat ids."""
SHOWN = 3
"""Examples of what is wrong."""


async def database_results(
    settings: Settings, campaigns: Sequence[Campaign], now: datetime
) -> tuple[list[CheckResult], list[Document]]:
    """All results about MongoDB, and the sample of users that they come from."""
    try:
        async with OperatorQueries(settings) as queries:
            found = [_server(await queries.server())]
            found += _clock(await queries.clock_ahead())
            try:
                sample = await queries.sample(field_mapping.SAMPLE_SIZE)
            except OzhError as error:
                return [*found, failed("collection", error)], []
            found += await _attempt(privileges.SUBJECT, _account(queries))
            found += await _attempt("collection", _collection(queries, bool(sample)))
            if not sample:
                return found, sample
            found += fields.field_results(sample, campaigns, now)
            found += await _attempt(
                extra_filter.SUBJECT, extra_filter.extra_filter_results(queries, sample)
            )
            found += await _attempt("chat ids", _chats(queries))
            found += await _attempt("indexes", _indexes(queries, campaigns))
            return found, sample
    except OzhError as error:
        return [failed("MongoDB", error)], []


async def _attempt(subject: str, part: Awaitable[list[CheckResult]]) -> list[CheckResult]:
    """The results of a part, or the one that says why there are none."""
    try:
        return await part
    except OzhError as error:
        return [failed(subject, error)]


def _server(server: Server) -> CheckResult:
    kind = "a sharded cluster" if server.sharded else "not a replica set"
    if server.replica_set:
        kind = f"replica set {server.replica_set}"
    found = f"{server.version}, {kind}"
    numbers = tuple(map(int, re.findall(r"\d+", server.version)[:2]))
    if numbers and numbers < OLDEST:
        return warning("MongoDB", found, "ozh-notify needs 4.4 or later: a pass may fail")
    return ok("MongoDB", found)


def _clock(ahead: timedelta | None) -> list[CheckResult]:
    """A pass compares the two clocks, too, and ends where they are too far apart."""
    if ahead is None:
        return []
    try:
        said = clock_warning(ahead)
    except ConfigError as error:
        return [problem("clock", str(error))]
    agrees = "agrees with MongoDB's to within a minute"
    return [warning("clock", said) if said else ok("clock", agrees)]


async def _account(queries: OperatorQueries) -> list[CheckResult]:
    settings = queries.settings
    credentials = settings.mongo_uri.get_secret_value().partition("://")[2].rpartition("@")[0]
    return privileges.privileges_results(
        await queries.account(),
        database(settings) or "",
        settings.users_collection,
        settings.journal_collection,
        signed_in=bool(credentials),
    )


async def _collection(queries: OperatorQueries, has_users: bool) -> list[CheckResult]:
    name, base = queries.settings.users_collection, database(queries.settings)
    if has_users:
        return [ok("collection", f"{base}.{name}, about {await queries.size()} users")]
    others = await queries.collections()
    if name in others:
        remedy = "is OZH_USERS_COLLECTION right?"
        return [warning("collection", f"{base}.{name} is empty", remedy)]
    near = get_close_matches(name, others, n=1)
    known = ", ".join(sorted(others)[:10]) or "no collection at all: is MONGO_DB_NAME right?"
    remedy = f"OZH_USERS_COLLECTION={near[0]} ?" if near else f"{base!r} has {known}"
    return [problem("collection", f"there is no {base}.{name}", remedy)]


async def _chats(queries: OperatorQueries) -> list[CheckResult]:
    """Without the journal, a chat id in two documents would be messaged twice."""
    subject, field = "chat ids", queries.settings.field_chat_id
    if field == "_id" or any(_is_unique(index, field) for index in await queries.indexes()):
        return [ok(subject, "a unique index keeps each in one document")]
    users = await queries.chat_values(CHATS)
    chats = Counter(recipient.parse_chat_id(at_path(user, field)) for user in users)
    several = [chat for chat, count in chats.most_common() if chat and count > 1]
    among = f"among the newest {len(users)} users"
    if not several:
        return [ok(subject, f"each in one document {among}")]
    shown = ", ".join(map(str, several[:SHOWN])) + (", ..." if len(several) > SHOWN else "")
    ids = "1 chat id appears" if len(several) == 1 else f"{len(several)} chat ids appear"
    found = f"{ids} in more than one document {among}: {shown}"
    remedy = f"merge the documents, then create a unique index on {field}"
    return [warning(subject, found, remedy)]


def _is_unique(index: ExistingIndex, field: str) -> bool:
    """Whether an index allows each chat id in one document only."""
    unique = (index.options or {}).get("unique")
    return bool(unique) and [name for name, _ in index.keys] == [field] and not index.partial


async def _indexes(queries: OperatorQueries, campaigns: Sequence[Campaign]) -> list[CheckResult]:
    compared = compare(recommended(campaigns), await queries.indexes())
    if queries.journal is not None:
        compared += compare(journal_indexes(), await queries.indexes(queries.journal))
    missing = [one.index.name for one in compared if not one.usable]
    if missing:
        remedy = "ozh-notify indexes --create; until then a pass reads the whole collection"
        return [warning("indexes", f"missing: {', '.join(missing)}", remedy)]
    return [ok("indexes", f"all {len(compared)} recommended ones exist")]
