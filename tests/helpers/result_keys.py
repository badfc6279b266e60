"""The keys of ``--json``, in the order of the contract: the one list of them for all tests."""

from __future__ import annotations

RESULT_KEYS = (
    *("campaign", "run_id", "version", "bot", "status", "dry_run", "started_at", "finished_at"),
    *("duration_seconds", "rate", "flood_wait_seconds", "eligible", "claimed", "sent"),
    *("unreachable", "rejected", "retry", "unknown", "held_out", "duplicates", "unrecorded"),
    *("overwritten", "swept", "invalid", "skipped", "remaining", "held", "error"),
)
