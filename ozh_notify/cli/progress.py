"""The progress of a pass, on a terminal."""

from __future__ import annotations

import asyncio
import sys

from rich.console import Console

from ozh_notify.passes.run import Pass

REFRESH = 0.2
"""Seconds between two looks at a pass's counts."""


async def show_progress(running: Pass) -> None:
    """Show done, total, rate and time left on a terminal's stderr, until cancelled."""
    console = Console(stderr=True)
    # FORCE_COLOR makes any stream a terminal to rich.
    if not (console.is_terminal and sys.stderr.isatty()):
        return
    from rich import progress as rich  # cron has no use for it

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
