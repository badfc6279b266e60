"""``ozh-notify demo``: both passes shown on this machine, with nothing configured."""

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
    app.command("demo")(run_demo_command)


def run_demo_command(
    serve: Annotated[
        bool, typer.Option("--serve", help="Leave both servers up until Ctrl-C.")
    ] = False,
    users: Annotated[
        int, typer.Option(min=16, max=5000, metavar="N", help="How many made-up users.")
    ] = 64,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed makes the same users.")] = 1,
) -> None:
    """Show both passes on throw-away servers on this machine.

    Needs the extra ``demo``. Reads no configuration.
    """
    _end_once(Exit.OK if serve else Exit.INCOMPLETE)

    from rich.console import Console

    from ozh_notify.sandbox.demo import run as show

    console = Console(highlight=False)
    if serve:
        show.serve(console, users, seed)
    problems = show.run_demo(console, users, seed)
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(Exit.BUG)
    console.print("\nEach eligible user got one message, and no user got two.")


def _end_once(code: Exit) -> None:
    """Let the first signal end this process, and a second one not interrupt its cleaning up."""

    def leave(*_: object) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        sys.exit(code)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, leave)
