"""``ozh-notify demo``: the main job shown on this machine, with nothing configured."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from ozh_notify.errors import Exit

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the demo; the last one comes when its terminal is closed."""


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
    _end_once(Exit.OK if serve else Exit.INCOMPLETE)

    from rich.console import Console  # noqa: PLC0415

    from ozh_notify.sandbox.demo import run as show  # noqa: PLC0415

    console = Console(highlight=False)
    if serve:
        show.serve(console, users, seed)
    problems = show.run_demo(console, users, seed)
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(Exit.BUG)
    console.print("\nAll as it should be: each eligible user got one message, nobody got two.")


def _end_once(code: Exit) -> None:
    """The first signal ends this process; a second one does not interrupt its cleaning up."""

    def leave(*_: object) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        sys.exit(code)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, leave)
