"""Lists of deliveries, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ozh_notify.cli.output import Redact, print_line, print_table

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.users.settlement import StoredDelivery

COLUMNS = ("chat", "state", "at", "user", "message or error")


def print_deliveries(
    title: str,
    entries: Sequence[StoredDelivery],
    settings: Settings,
    redact: Redact,
    *,
    by_run: bool = True,
) -> None:
    """One delivery a row, its time in the operator's zone; ``by_run``: one table a run."""
    if not entries:
        print_line(title, redact)
    elif not by_run:
        print_table(title, COLUMNS, [_row(entry, settings) for entry in entries], redact)
    else:
        print_line(title, redact)
        runs: dict[str, list[StoredDelivery]] = {}
        for entry in entries:
            runs.setdefault(str(entry.delivery.get("run")), []).append(entry)
        for run, some in runs.items():
            print_table(f"run {run}", COLUMNS, [_row(entry, settings) for entry in some], redact)


def _row(entry: StoredDelivery, settings: Settings) -> tuple[object, ...]:
    from ozh_notify.users.describe import moment

    at = moment(entry.at, settings) if isinstance(entry.at, datetime) else entry.at
    kept = (entry.delivery.get(key) for key in ("message_id", "error"))
    outcome = ", ".join(str(one) for one in kept if one is not None)
    return entry.chat_id, entry.delivery.get("state"), at, entry.id, outcome
