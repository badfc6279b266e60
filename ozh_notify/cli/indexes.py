"""``ozh-notify indexes``: the recommended indexes, and which exist; creates them when asked."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ozh_notify.campaigns import registry
from ozh_notify.cli.arguments import AsJson
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.cli.output import Redact, print_json, print_line, print_table
from ozh_notify.errors import ConfigError

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.mongo.operator_queries import OperatorQueries
    from ozh_notify.users.indexes import ExistingIndex, IndexStatus

Create = Annotated[bool, typer.Option("--create", help="Create the missing ones.")]
DropOld = Annotated[
    bool,
    typer.Option("--drop-old", help="Drop those of an earlier version that no query uses now."),
]


@dataclass(frozen=True)
class ComparedIndexes:
    """The recommended indexes of users and journal beside the existing ones."""

    users: list[IndexStatus]
    journal: list[IndexStatus]
    created: list[str]
    old: list[str]
    """Made by an earlier version, and needed no more; still there."""
    dropped: list[str]

    @property
    def missing(self) -> list[IndexStatus]:
        """Those that the server cannot use."""
        return [one for one in (*self.users, *self.journal) if not one.usable]

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        listed = [{**one.as_json(), "collection": "users"} for one in self.users]
        listed += [{**one.as_json(), "collection": "journal"} for one in self.journal]
        names = [one.index.name for one in self.missing]
        made = {"created": self.created, "old": self.old, "dropped": self.dropped}
        return {"indexes": listed, "missing": names, **made}


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("indexes")(run_indexes_command)


def run_indexes_command(
    context: typer.Context,
    create: Create = False,
    drop_old: DropOld = False,
    as_json: AsJson = False,
) -> None:
    """Show the recommended indexes, and which of them exist.

    It writes only with --create or --drop-old.
    """
    import asyncio

    common: GlobalOptions = context.obj
    settings, redact = common.load()
    found = asyncio.run(compare_indexes(settings, create, drop_old))
    if as_json:
        print_json(found.as_json(), redact)
    else:
        print_compared(found, settings, redact, create)


def print_compared(
    found: ComparedIndexes, settings: Settings, redact: Redact, create: bool
) -> None:
    """Print both tables, and what to do."""
    from ozh_notify.config.settings import database

    print_indexes(found.users, f"{database(settings)}.{settings.users_collection}", redact)
    if found.journal:
        place = f"{database(settings)}.{settings.journal_collection}"
        print_indexes(found.journal, place, redact)
    hidden = [one.existing.name for one in found.missing if one.hidden and one.existing]
    for name in hidden:
        unhide = f"db.{settings.users_collection}.unhideIndex('{name}')"
        print_line(f"{name} is hidden: in mongosh, {unhide}", redact)
    if found.created:
        print_line(f"created: {', '.join(found.created)}", redact)
    elif create:
        print_line("nothing to create", redact)
    elif len(found.missing) > len(hidden):
        print_line("To create what is missing: ozh-notify indexes --create", redact)
    if found.dropped:
        print_line(f"dropped: {', '.join(found.dropped)}", redact)
    if found.old:
        names = ", ".join(found.old)
        print_line(f"needed no more: {names}. To drop: ozh-notify indexes --drop-old", redact)


async def compare_indexes(settings: Settings, create: bool, drop_old: bool) -> ComparedIndexes:
    """Compare, create and drop as asked."""
    from ozh_notify.mongo.operator_queries import OperatorQueries
    from ozh_notify.users.indexes import compare, journal_indexes, no_longer_needed, recommended

    campaigns = [campaign(settings) for campaign in registry().values()]
    async with OperatorQueries(settings) as queries:
        journal = queries.journal
        wanted = recommended(campaigns), journal_indexes() if journal is not None else []
        have = await queries.indexes()
        of_journal = await queries.indexes(journal) if journal is not None else []
        found = compare(wanted[0], have), compare(wanted[1], of_journal)
        created: list[str] = []
        if create:
            _demand_users(have, settings)
            created = [await create_index(queries, one, None) for one in _to_create(found[0])]
            created += [await create_index(queries, one, journal) for one in _to_create(found[1])]
        old = no_longer_needed(campaigns, have)
        for name in old if drop_old else []:
            await queries.drop(name)
        if created:
            of_journal = await queries.indexes(journal) if journal is not None else []
            found = compare(wanted[0], await queries.indexes()), compare(wanted[1], of_journal)
    return ComparedIndexes(*found, created, [] if drop_old else old, old if drop_old else [])


def _to_create(found: list[IndexStatus]) -> list[IndexStatus]:
    return [one for one in found if not (one.usable or one.hidden)]


def _demand_users(have: list[ExistingIndex], settings: Settings) -> None:
    from ozh_notify.config.settings import database

    if not have:  # every collection has an index of `_id`; creating one makes a collection
        raise ConfigError(
            f"the collection {settings.users_collection!r} does not exist in "
            f"{database(settings)!r}: is OZH_USERS_COLLECTION right?"
        )


async def create_index(queries: OperatorQueries, missing: IndexStatus, on: Any) -> str:
    """Create one index, and say on stderr how long it took."""
    name = missing.name_to_create
    print(f"creating {name} ...", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        await queries.create(missing.index, name, on)
    except BaseException:
        print("failed", file=sys.stderr, flush=True)
        raise
    print(f"done in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    return name


def print_indexes(found: list[IndexStatus], where: str, redact: Redact) -> None:
    """Print one row an index."""
    rows = [
        (
            one.existing.name if one.existing else one.index.name,
            "ok" if one.usable else "hidden" if one.hidden else "missing",
            _size(one.existing.size if one.existing else None),
            _purpose_and_fields(one),
        )
        for one in found
    ]
    columns = ("index", "", "size", "what for, and on which fields")
    print_table(f"indexes of {where}", columns, rows, redact)


def _purpose_and_fields(one: IndexStatus) -> str:
    """All in one cell: a terminal has no room for three."""
    fields = ", ".join(field for field, _ in one.index.keys)
    extra = f"; extra options: {one.extra_options}" if one.extra_options else ""
    return f"{one.index.purpose}; on {fields}{extra}"


def _size(size: int | None) -> str:
    """Bytes as people read them."""
    if size is None:
        return ""
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
