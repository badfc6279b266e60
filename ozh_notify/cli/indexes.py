"""``ozh-notify indexes``: the recommended indexes, and which exist; creates them when asked."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import registry
from ozh_notify.cli.arguments import AsJson
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.cli.output import Redact, print_json, print_line, print_table
from ozh_notify.errors import ConfigError

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.mongo.operator_queries import OperatorQueries
    from ozh_notify.users.indexes import IndexStatus

Create = Annotated[
    bool, typer.Option("--create", help="Create the missing ones. Nothing is ever dropped.")
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("indexes")(run_indexes_command)


def run_indexes_command(
    context: typer.Context, create: Create = False, as_json: AsJson = False
) -> None:
    """Show the recommended indexes, and which of them exist; writes only with --create."""
    import asyncio

    from ozh_notify.config.settings import database

    common: GlobalOptions = context.obj
    settings, redact = common.load()
    found, created = asyncio.run(compare_indexes(settings, create))
    missing = [one.index.name for one in found if not one.usable]
    if as_json:
        listed = [one.as_json() for one in found]
        print_json({"indexes": listed, "missing": missing, "created": created}, redact)
        return
    print_indexes(found, f"{database(settings)}.{settings.users_collection}", redact)
    hidden = [one.existing.name for one in found if one.hidden and one.existing]
    for name in hidden:
        unhide = f"db.{settings.users_collection}.unhideIndex('{name}')"
        print_line(f"{name} is hidden: in mongosh, {unhide}", redact)
    if created:
        print_line(f"created: {', '.join(created)}", redact)
    elif create:
        print_line("nothing to create", redact)
    elif len(missing) > len(hidden):
        print_line("To create what is missing: ozh-notify indexes --create", redact)


async def compare_indexes(settings: Settings, create: bool) -> tuple[list[IndexStatus], list[str]]:
    """The recommended indexes beside the existing ones, and the names of those just created."""
    from ozh_notify.config.settings import database
    from ozh_notify.mongo.operator_queries import OperatorQueries
    from ozh_notify.users.indexes import compare, recommended

    wanted = recommended(campaign(settings) for campaign in registry().values())
    created = []
    async with OperatorQueries(settings) as queries:
        have = await queries.indexes()
        found = compare(wanted, have)
        if create:
            if not have:  # every collection has an index of `_id`; creating one makes a collection
                raise ConfigError(
                    f"the collection {settings.users_collection!r} does not exist in "
                    f"{database(settings)!r}: is OZH_USERS_COLLECTION right?"
                )
            missing = [one for one in found if not (one.usable or one.hidden)]
            created = [await create_index(queries, one) for one in missing]
            found = compare(wanted, await queries.indexes())
    return found, created


async def create_index(queries: OperatorQueries, missing: IndexStatus) -> str:
    """Create one index, and say on stderr how long it took."""
    name = missing.name_to_create
    print(f"creating {name} ...", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        await queries.create(missing.index, name)
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
