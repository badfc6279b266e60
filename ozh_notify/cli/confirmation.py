"""Asks before something is written that cannot be taken back."""

from __future__ import annotations

import sys

import typer


def check_terminal() -> None:
    """Make sure that somebody can answer.

    Raises:
        typer.BadParameter: nobody can, because input or output is not a terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        text = "needed here: this command asks before it writes, and nobody is at a terminal"
        raise typer.BadParameter(text, param_hint="--yes")


def agreed_to(consequence: str) -> bool:
    """Ask on the terminal; the end of input means no."""
    print(f"{consequence}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "д", "да")
