"""``ozh-notify demo``: the main job shown on this machine, with nothing configured."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from ozh_notify.errors import Exit


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", help="Show both passes on throw-away servers on this machine.")(demo)


def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Leave both servers up until Ctrl-C.")
    ] = False,
    users: Annotated[int, typer.Option(min=16, max=5000, help="How many made-up users.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed makes the same users.")] = 1,
) -> None:
    """Needs the extra ``demo``; reads no configuration."""
    from rich.console import Console  # noqa: PLC0415

    from ozh_notify.sandbox import demo as show  # noqa: PLC0415

    console = Console(highlight=False)
    if serve:
        with suppress(KeyboardInterrupt):
            show.serve(console, users, seed)
        return
    problems = show.play(console, users, seed)
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(Exit.BUG)
    console.print("All as it should be: each eligible user got one message, nobody got two.")
