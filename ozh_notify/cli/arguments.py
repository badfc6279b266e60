"""What the operator's commands share: names of campaigns, and one renderer a kind of output."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import typer

from ozh_notify.campaigns import Campaign, registry

if TYPE_CHECKING:
    from rich.console import Console

    from ozh_notify.config.settings import Settings
    from ozh_notify.operator.reconcile import StoredDelivery

PIPE_WIDTH = 400
"""Characters of a line where stdout is no terminal: a row is one line, whatever its length."""

COLUMNS = ("chat", "user", "state", "at", "run", "message", "error")
"""Of a delivery."""

RUN = len("20261124T080509Z-1234abcd")

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "yes": "green", "no": "red"}


def campaign_named(name: str) -> type[Campaign]:
    """The campaign of that name.

    Raises:
        typer.BadParameter: there is none; with the nearest name.
    """
    campaigns = registry()
    if name in campaigns:
        return campaigns[name]
    near = difflib.get_close_matches(name.replace("_", "-"), campaigns, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(campaigns)}"
    raise typer.BadParameter(f"{name!r} is no campaign: {hint}", param_hint="CAMPAIGN")


def complete_campaign(incomplete: str) -> list[str]:
    """Names that begin so, for the shell's completion."""
    return [name for name in registry() if name.startswith(incomplete)]


def now() -> datetime:
    """The moment, as MongoDB keeps it: in milliseconds."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def print_json(value: Mapping[str, Any], redact: Callable[[str], str]) -> None:
    """The one object on stdout; moments are ISO 8601."""

    def plain(other: Any) -> str:
        return other.isoformat() if isinstance(other, datetime) else str(other)

    text = redact(json.dumps(value, ensure_ascii=False, default=plain))
    if (sys.stdout.encoding or "utf-8").lower() != "utf-8":
        text = json.dumps(json.loads(text))  # an emoji escaped by the stream would be no JSON
    print(text, flush=True)


def console() -> Console:
    """Where tables go."""
    from rich.console import Console  # noqa: PLC0415

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(file=sys.stdout, highlight=False, width=width)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    redact: Callable[[str], str],
) -> None:
    """A table of plain text; a cell that says ok, warning, problem, yes or no has its colour."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # As plain text: a name in it may hold brackets, which would be read as markup.
    table = Table(title=Text(redact(title)), title_justify="left", show_header=any(columns))
    for column in columns:
        # A run's id is there to be copied: it stays in one piece.
        table.add_column(column, overflow="fold", min_width=RUN if column == "run" else None)
    for row in rows:
        cells = ["" if cell is None else redact(str(cell)) for cell in row]
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    console().print(table)


def print_deliveries(
    title: str,
    entries: Sequence[StoredDelivery],
    settings: Settings,
    redact: Callable[[str], str],
    *,
    runs: bool = True,
) -> None:
    """One delivery a row, with its time in the operator's zone; ``runs``: with its run."""
    from ozh_notify.users.describe import moment  # noqa: PLC0415 - the driver

    rows = []
    for entry in entries:
        at = moment(entry.at, settings) if isinstance(entry.at, datetime) else entry.at
        run = [entry.delivery.get("run")] if runs else []
        kept = [entry.delivery.get(key) for key in ("message_id", "error")]
        rows.append((entry.chat_id, entry.id, entry.delivery.get("state"), at, *run, *kept))
    columns = [column for column in COLUMNS if runs or column != "run"]
    if rows:
        print_table(title, columns, rows, redact)
    else:
        print(redact(title))
