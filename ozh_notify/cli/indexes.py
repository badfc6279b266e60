"""``ozh-notify indexes``: what is recommended, what exists; created only when asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import registry
from ozh_notify.cli.arguments import print_json, print_table
from ozh_notify.cli.loop import run_async
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.errors import ConfigError

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.mongo.operator_queries import OperatorQueries
    from ozh_notify.users.indexes import IndexStatus


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("indexes")(command)


def command(
    context: typer.Context,
    create: Annotated[
        bool, typer.Option("--create", help="Create what is missing; nothing is ever dropped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """The recommended indexes, and which of them exist; writes only with --create."""
    from ozh_notify.config.settings import database  # noqa: PLC0415 - pydantic

    common: GlobalOptions = context.obj
    settings, redact = common.load()
    found, created = run_async(_look(settings, create))
    missing = [standing.index.name for standing in found if not standing.usable]
    if as_json:
        listed = [standing.as_json() for standing in found]
        print_json({"indexes": listed, "missing": missing, "created": created}, redact)
        return
    _print(found, f"{database(settings)}.{settings.users_collection}", redact)
    hidden = [one.existing.name for one in found if one.hidden and one.existing]
    for name in hidden:
        print(f"{name} is hidden: in mongosh, db.{settings.users_collection}.unhideIndex('{name}')")
    if created:
        print(f"created: {', '.join(created)}")
    elif create:
        print("nothing to create")
    elif len(missing) > len(hidden):
        print("To create what is missing: ozh-notify indexes --create")


async def _look(settings: Settings, create: bool) -> tuple[list[IndexStatus], list[str]]:
    """How things stand, after creating what is missing when asked to."""
    from ozh_notify.config.settings import database  # noqa: PLC0415
    from ozh_notify.mongo.operator_queries import OperatorQueries  # noqa: PLC0415 - the driver
    from ozh_notify.users.indexes import compare, recommended  # noqa: PLC0415

    wanted = recommended(campaign(settings) for campaign in registry().values())
    created = []
    async with OperatorQueries(settings) as desk:
        have = await desk.indexes()
        found = compare(wanted, have)
        if create:
            if not have:  # every collection has an index of `_id`; creating one makes a collection
                raise ConfigError(
                    f"there is no collection {settings.users_collection!r} in "
                    f"{database(settings)!r}: is OZH_USERS_COLLECTION right?"
                )
            missing = [one for one in found if not (one.usable or one.hidden)]
            created = [await _create(desk, one) for one in missing]
            found = compare(wanted, await desk.indexes())
    return found, created


async def _create(desk: OperatorQueries, standing: IndexStatus) -> str:
    print(f"creating {standing.name_to_create} ...", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        await desk.create(standing.index, standing.name_to_create)
    except BaseException:
        print("failed", file=sys.stderr, flush=True)
        raise
    print(f"done in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    return standing.name_to_create


def _print(found: list[IndexStatus], where: str, redact: Callable[[str], str]) -> None:
    rows = [
        (
            standing.existing.name if standing.existing else standing.index.name,
            "ok" if standing.usable else "hidden" if standing.hidden else "missing",
            _size(standing.existing.size if standing.existing else None),
            _words(standing),
        )
        for standing in found
    ]
    columns = ("index", "", "size", "what for, and on which fields")
    print_table(f"indexes of {where}", columns, rows, redact)


def _words(standing: IndexStatus) -> str:
    """One cell for all of it: a terminal has no room for three."""
    fields = ", ".join(field for field, _ in standing.index.keys)
    unasked = f"; also set, unasked: {standing.extra_options}" if standing.extra_options else ""
    return f"{standing.index.purpose}; on {fields}{unasked}"


def _size(size: int | None) -> str:
    """Bytes as people read them."""
    if size is None:
        return ""
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
