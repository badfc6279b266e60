"""All cases: what each is called, and how much of it is enough."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.torture import (
    backend_writes,
    bot_api_faults,
    calendar_days,
    clocks,
    crash,
    experiments,
    frozen,
    hostile_backend,
    journal_faults,
    mongo_faults,
    odd_documents,
    parallel,
    refused_documents,
    restarts,
)
from tests.torture.environment import Environment, environment
from tests.torture.report import Report, Skipped

Work = Callable[[Environment, Report, int, int], None]


@dataclass(frozen=True)
class Case:
    """Rounds and users of the full form and of the short one."""

    work: Work
    rounds: int
    users: int
    short_rounds: int
    short_users: int


def _failing(command: str, users: int = 120) -> Case:
    return Case(partial(mongo_faults.failing_command, command=command), 20, users, 0, 30)


def _spoiled(make: hostile_backend.Make) -> Case:
    return Case(partial(hostile_backend.spoiled, make=make), 50, 100, 1, 40)


# The longest first, so that two at a time end together.
CASES: dict[str, Case] = {
    "transport": Case(bot_api_faults.broken_transport, 10, 500, 1, 60),
    "kill-9": Case(crash.kill_nine, 200, 100, 2, 60),
    "mongo-update": _failing("update"),
    "mongo-getMore": _failing("getMore"),
    "mongo-find": _failing("find"),
    "mongo-insert": _failing("insert"),
    "stale-saves": _spoiled(hostile_backend.stale_saves),
    "erased": _spoiled(hostile_backend.erased),
    "five-documents": Case(hostile_backend.five_documents, 20, 100, 1, 20),
    "journal-faults": Case(journal_faults.journal_fails, 54, 60, 3, 20),
    "half-confirmed": Case(journal_faults.half_confirmed, 40, 60, 2, 20),
    "experiment": Case(experiments.killed_at_random, 50, 200, 1, 60),
    "signals": Case(crash.told_to_stop, 100, 100, 2, 60),
    "restart": Case(restarts.killed_and_restarted, 20, 120, 1, 60),
    "stepdown": Case(mongo_faults.step_down, 20, 120, 1, 60),
    "days": Case(calendar_days.days, 5, 40, 0, 15),
    "eight": Case(parallel.eight_at_once, 20, 500, 1, 60),
    "floods": Case(bot_api_faults.floods, 1, 60, 1, 12),
    "frozen": Case(frozen.past_the_lease, 10, 100, 1, 60),
    "hostile": Case(odd_documents.documents, 20, 580, 2, 150),
    "clocks": Case(clocks.minutes_apart, 10, 100, 1, 40),
    "fast-clock": Case(clocks.too_fast, 10, 100, 1, 40),
    "dropped": Case(bot_api_faults.dropped_connections, 10, 200, 1, 60),
    "refused": Case(refused_documents.some_refused, 20, 100, 2, 50),
    "refusals": Case(bot_api_faults.refusals_for_the_bot, 10, 100, 1, 30),
    "stale": Case(backend_writes.stale_flag, 5, 100, 1, 40),
    "leavers": Case(backend_writes.leavers, 1, 2000, 1, 100),
}


def run(
    name: str,
    *,
    short: bool,
    seed: int,
    rounds: int | None = None,
    place: Environment | None = None,
) -> Report:
    """Run one case, on servers of its own unless a place is given."""
    if place is None:
        with environment(seed) as own:
            return run(name, short=short, seed=seed, rounds=rounds, place=own)
    case, report = CASES[name], Report(name, server=place.kind)
    amount = (case.short_rounds, case.short_users) if short else (case.rounds, case.users)
    try:
        case.work(place, report, amount[0] if rounds is None else rounds, amount[1])
    except Skipped as reason:
        report.skipped = str(reason)
    except Exception:
        report.breaches.append(f"the case itself failed: {traceback.format_exc()}")
    report.seconds = time.monotonic() - report.began
    return report
