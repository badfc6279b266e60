"""The one printer of what commands show: JSON for programs, tables and lines for people."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

Redact = Callable[[str], str]

PIPE_WIDTH = 100
"""Columns of a table where stdout is not a terminal."""

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "yes": "green", "no": "red"}
"""Colours of cells that say nothing but one of these words."""

WHOLE = ("chat", "run", "state")
"""Columns whose cells are never broken: people copy them."""


def console() -> Console:
    """Where tables go: stdout, with colours only where it is a terminal that has them."""
    from rich.console import Console

    made = Console(file=sys.stdout, highlight=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


@contextmanager
def closed_stdout_ignored() -> Iterator[None]:
    """Let a closed pipe or a full disk change nothing: the command has done its work."""
    with suppress(OSError, SystemExit):  # rich leaves by SystemExit where a pipe is closed
        yield
        sys.stdout.flush()


def print_json(value: Mapping[str, Any], redact: Redact) -> None:
    """Print the one object of ``--json``; moments are ISO 8601."""

    def as_text(other: Any) -> str:
        return other.isoformat() if isinstance(other, datetime) else str(other)

    text = redact(json.dumps(value, ensure_ascii=False, default=as_text))
    if (sys.stdout.encoding or "utf-8").lower() != "utf-8":
        text = json.dumps(json.loads(text))  # an emoji that the stream escapes is not JSON
    with closed_stdout_ignored():
        print(text)


def print_line(text: str, redact: Redact) -> None:
    """Print one line of plain text, however long it is."""
    with closed_stdout_ignored():
        print(redact(text))


def print_csv(columns: Sequence[str], rows: Sequence[Sequence[object]], redact: Redact) -> None:
    """Print comma-separated values with a head; moments are ISO 8601."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(one.isoformat() if isinstance(one, datetime) else one for one in row)
    with closed_stdout_ignored():
        print(redact(text.getvalue()), end="")


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], redact: Redact
) -> None:
    """Print a table of plain text; long cells wrap."""
    show(table(title, columns, rows, redact))


def show(renderable: RenderableType) -> None:
    """Print something of rich's."""
    with closed_stdout_ignored():
        console().print(renderable)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], redact: Redact
) -> Table:
    """A table in the one style of this program; numbers stand on the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # As plain text: a name in it may hold brackets, which would be read as markup.
    made = Table(
        title=Text(redact(title)), title_justify="left", box=box.SQUARE, show_header=any(columns)
    )
    for number, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[number], int) for row in rows)
        made.add_column(
            column,
            overflow="fold",
            no_wrap=column in WHOLE,
            justify="right" if numeric and column not in WHOLE else "left",
        )
    for row in rows:
        cells = ["" if cell is None else redact(str(cell)) for cell in row]
        made.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    return made
