"""The one line of the log that says what came of a pass, to people and to machines."""

from __future__ import annotations

import logging

from ozh_notify.result import Result

log = logging.getLogger(__name__)

COUNTS = "eligible claimed sent unreachable rejected retry unknown swept invalid skipped remaining"


def finished(result: Result) -> None:
    """The one line that says what came of a pass."""
    counts = {name: getattr(result, name) for name in COUNTS.split()}
    words = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    first_line = (result.error or "").partition("\n")[0]
    log.info(
        "%s finished: %s, exit %d, %s, took %.1f s%s",
        result.campaign,
        result.status,
        result.exit_code,
        words or "nobody to message",
        result.duration_seconds,
        f": {first_line}" if first_line else "",
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
            "error": result.error,
        },
    )
