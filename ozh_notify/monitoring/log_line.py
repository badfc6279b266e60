"""The one line of the log that says what came of a pass, to people and to machines."""

from __future__ import annotations

import logging
import sys

from ozh_notify.errors import Exit
from ozh_notify.passes.result import Result

log = logging.getLogger(__name__)

COUNTS = (
    *("eligible", "claimed", "sent", "unreachable", "rejected", "retry", "unknown", "held_out"),
    *("duplicates", "unrecorded", "overwritten", "swept", "invalid", "skipped", "remaining"),
)
LEVELS = {Exit.OK: logging.INFO, Exit.INCOMPLETE: logging.WARNING}
"""Of the line, by exit code; any other code needs somebody: an error."""


def log_finished(result: Result) -> None:
    """The one line that says what came of a pass."""
    counts = {name: getattr(result, name) for name in COUNTS}
    shown = {**counts, "sending of other runs": result.in_other_hands}
    words = ", ".join(f"{name} {count}" for name, count in shown.items() if count)
    if not log.isEnabledFor(logging.WARNING):
        return  # LOGGING_ENABLED=False: the error itself is on stderr as it is
    log.log(
        LEVELS.get(result.exit_code, logging.ERROR),
        "%s %sfinished: %s, exit %d, %s, took %.1f s%s%s",
        result.campaign,
        "dry run " if result.dry_run else "",
        result.status,
        result.exit_code,
        words or ("nobody to message" if result.status == "ok" else "nobody was messaged"),
        result.duration_seconds,
        f", run {result.run_id}" if result.run_id else "",
        # A terminal has been shown the error on a line of its own.
        f": {_one_line(result.error)}" if result.error and not sys.stderr.isatty() else "",
        extra={
            "event": "finished",
            "run": result.run_id,
            "campaign": result.campaign,
            "dry_run": result.dry_run,
            "status": result.status,
            "exit_code": int(result.exit_code),
            "duration_seconds": result.duration_seconds,
            "flood_wait_seconds": result.flood_wait_seconds,
            "counts": counts,
            "in_other_hands": result.in_other_hands,
            "error": result.error,
        },
    )


def _one_line(text: str) -> str:
    """A head and its list: the log has one line for both."""
    lines = [line.strip().removeprefix("- ") for line in text.splitlines()]
    return "; ".join(lines).replace(":; ", ": ")
