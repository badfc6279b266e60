"""One frozen result, two renderings: a table for people, JSON for machines; and progress."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TextIO

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ozh_notify.passes.result import Result
from ozh_notify.passes.run import Pass

COUNTS = {
    "sent": "delivered",
    "unreachable": "cannot be written to (blocked, deactivated, not found)",
    "rejected": "refused by Telegram for good",
    "retry": "not delivered, the next pass tries again",
    "unknown": "may or may not have been delivered; see: ozh-notify reconcile {campaign}",
    "swept": "claims of an earlier pass that died: unknown now",
    "skipped": "no longer qualified, or another pass took them",
    "invalid": "left alone: no usable chat id or state field",
    "remaining": "not taken up",
}
"""What the table says of each count."""

REFRESH = 0.2
"""Seconds between two looks at a pass's counts."""


def print_result(
    result: Result, *, as_json: bool, redact: Callable[[str], str], stream: TextIO | None = None
) -> None:
    """Print a result to stdout, and flush it; where nobody reads it, the pass is what it was."""
    # A closed pipe, a full disk; rich leaves by SystemExit where a pipe is closed.
    with suppress(OSError, SystemExit):
        _print(result, as_json, redact, stream or sys.stdout)


def _print(result: Result, as_json: bool, redact: Callable[[str], str], stream: TextIO) -> None:
    if as_json:
        text = redact(json.dumps(result.as_json(), ensure_ascii=False, default=str))
        if (stream.encoding or "utf-8").lower() != "utf-8":
            text = json.dumps(json.loads(text))
        print(text, file=stream, flush=True)
        return
    console = Console(file=stream, highlight=False, soft_wrap=True)
    (_dry_run if result.dry_run else _pass)(console, result, redact)
    stream.flush()


def _pass(console: Console, result: Result, redact: Callable[[str], str]) -> None:
    nothing = not any(getattr(result, name) for name in ("eligible", *COUNTS))
    if not result.run_id or (nothing and result.status != "ok"):
        # A pass that found no time to count, or a preview to one chat.
        sent = f"the preview is sent, by @{result.bot}" if result.sent else _status(result)
        console.print(f"{result.campaign}: {sent}", markup=False)
        _print_error(console, result, redact)
        return
    table = _table(f"{result.campaign}: {_status(result)}", f"run {result.run_id}")
    table.add_row("eligible", str(result.eligible), "matched the scan")
    for name, meaning in COUNTS.items():
        count = getattr(result, name)
        if count or name == "sent":
            table.add_row(name, str(count), meaning.format(campaign=result.campaign))
    console.print(table)
    seconds = timedelta(seconds=round(result.duration_seconds))
    console.print(f"took {seconds} at {result.rate:g}/s" + _waited(result))
    _print_error(console, result, redact)


def _dry_run(console: Console, result: Result, redact: Callable[[str], str]) -> None:
    title = f"{result.campaign}: dry run, nothing was written or sent"
    if result.error and not result.preview:
        console.print(f"{title}: {_status(result)}", markup=False)
        _print_error(console, result, redact)
        return
    table = _table(title, "")
    whom = result.preview.population if result.preview else "users looked at"
    table.add_row(whom, str(result.eligible + result.invalid + sum(result.held.values())), "")
    for reason, count in result.held.items():
        table.add_row(f"  {reason}", str(count), "held back")
    if result.invalid:
        table.add_row("  invalid", str(result.invalid), COUNTS["invalid"])
    table.add_row("to be messaged", str(result.eligible), "", style="bold")
    console.print(table)
    shown = result.preview
    if shown:
        if shown.recipients:
            first = _table("first recipients", "newest first")
            for r in shown.recipients:
                first.add_row(Text(str(r["first_name"])), str(r["chat_id"]), Text(f"_id {r['id']}"))
            console.print(first)
        button = f"\n\n[ {shown.button} ]" if shown.button else ""
        panel = Panel(Text(shown.text + button), title="the message", width=72)
        console.print(panel, soft_wrap=False)
        seconds = timedelta(seconds=round(shown.seconds))
        console.print(f"a pass would take {seconds} at {result.rate:g}/s")
        if shown.stars is not None:
            console.print(f"paid broadcast: about {shown.stars:g} Stars")
    _print_error(console, result, redact)


def _print_error(console: Console, result: Result, redact: Callable[[str], str]) -> None:
    if result.status == "outside_hours":
        text = redact(result.error or "")
        console.print(f"a pass messages nobody now: {text}", markup=False)
    elif result.error:
        error = Console(stderr=True, highlight=False, soft_wrap=True)
        error.print(Text(f"{result.status}: {redact(result.error)}"))


def _status(result: Result) -> str:
    return result.status.replace("_", " ")


def _waited(result: Result) -> str:
    seconds = result.flood_wait_seconds
    return f", of which {seconds:g} s waiting because Telegram asked to" if seconds else ""


def _table(title: str, caption: str) -> Table:
    table = Table(title=title, caption=caption or None, show_header=False, title_justify="left")
    table.add_column("what", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("meaning", style="dim")
    return table


async def show_progress(running: Pass) -> None:
    """Done, total, rate and time left, on a terminal's stderr; until cancelled."""
    console = Console(stderr=True)
    # FORCE_COLOR makes any stream a terminal to rich.
    if not (console.is_terminal and sys.stderr.isatty()):
        return
    from rich import progress as rich  # noqa: PLC0415 - cron has no use for it

    columns = (
        rich.TextColumn(running.campaign.name),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[rate]:.1f}/s", justify="right"),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=console, transient=True, disable=False) as progress:
        # rich's own speed is None at first, which no format can show.
        task = progress.add_task("pass", total=None, rate=0.0)
        while True:
            await asyncio.sleep(REFRESH)
            if running.delivery:
                done = running.delivery.counts.settled
                rate = done / (progress.tasks[0].elapsed or REFRESH)
                progress.update(task, completed=done, total=running.found.valid, rate=rate)
