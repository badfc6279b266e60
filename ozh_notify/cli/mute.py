"""``ozh-notify mute``, ``ozh-notify unmute``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ozh_notify.cli.arguments import AsJson, UserName
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.cli.output import print_json, print_line
from ozh_notify.wording import counted

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings


def add(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("mute")(run_mute_command)
    app.command("unmute")(run_unmute_command)


def run_mute_command(context: typer.Context, user: UserName, as_json: AsJson = False) -> None:
    """Let no campaign message this user any more."""
    _set_muted(context.obj, user, True, as_json)


def run_unmute_command(context: typer.Context, user: UserName, as_json: AsJson = False) -> None:
    """Let campaigns message this user again."""
    _set_muted(context.obj, user, False, as_json)


def _set_muted(common: GlobalOptions, user: str, muted: bool, as_json: bool) -> None:
    import asyncio

    settings, redact = common.load()
    found, changed = asyncio.run(_write_mute(settings, user, muted))
    if as_json:
        print_json({"user": user, "muted": muted, "found": found, "changed": changed}, redact)
        return
    as_before = "" if changed else f": {'already muted' if muted else 'was not muted'}"
    state = "muted" if muted else "not muted"
    print_line(
        f"{user} is {state}: changed {changed} of {counted(found, 'document')}{as_before}", redact
    )


async def _write_mute(settings: Settings, user: str, muted: bool) -> tuple[int, int]:
    from ozh_notify.mongo.mute_queries import MuteQueries
    from ozh_notify.mongo.operator_queries import OperatorQueries

    async with OperatorQueries(settings) as operator:
        queries = MuteQueries(operator)
        return await (queries.mute(user) if muted else queries.unmute(user))
