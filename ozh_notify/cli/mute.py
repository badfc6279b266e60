"""``ozh-notify mute``, ``ozh-notify unmute``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.cli.arguments import print_json
from ozh_notify.cli.loop import run_async
from ozh_notify.cli.options import GlobalOptions

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings

User = Annotated[
    str, typer.Argument(metavar="USER", show_default=False, help="A chat id, or an _id.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def add(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("mute")(mute)
    app.command("unmute")(unmute)


def mute(context: typer.Context, user: User, as_json: Json = False) -> None:
    """This user gets no campaign any more."""
    _change(context.obj, user, True, as_json)


def unmute(context: typer.Context, user: User, as_json: Json = False) -> None:
    """This user may get campaigns again."""
    _change(context.obj, user, False, as_json)


def _change(common: GlobalOptions, user: str, muted: bool, as_json: bool) -> None:
    settings, redact = common.load()
    found, changed = run_async(_write(settings, user, muted))
    if as_json:
        print_json({"user": user, "muted": muted, "found": found, "changed": changed}, redact)
        return
    documents = "1 document" if found == 1 else f"{found} documents"
    as_before = "" if changed else f": {'already muted' if muted else 'was not muted'}"
    state = "muted" if muted else "not muted"
    print(f"{user} is {state}: changed {changed} of {documents}{as_before}")


async def _write(settings: Settings, user: str, muted: bool) -> tuple[int, int]:
    from ozh_notify.operator.mute import MuteQueries  # noqa: PLC0415 - the driver

    async with MuteQueries(settings) as desk:
        return await (desk.mute(user) if muted else desk.unmute(user))
