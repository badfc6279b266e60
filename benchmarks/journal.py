"""P10: what the journal takes on disk, and how long `status` takes over a large one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from benchmarks import users
from benchmarks.environment import JOURNAL, Environment
from benchmarks.figure import Amounts, Figure, median

PASS_SIZE = 5_000
"""Entries of one run."""


def size(environment: Environment, amounts: Amounts) -> list[Figure]:
    """P10, on a journal of once-for-ever entries."""
    count = amounts.of(5_000_000, 20_000)
    users.fill(environment.users("journal"), users.idle(1000))
    database = environment.client["bench_journal"]
    users.fill(database[JOURNAL], entries(count))
    print(f"  {count:,} entries are in", file=sys.stderr, flush=True)
    stats = database.command("collStats", JOURNAL)
    commands = {"status": ("status", "discount", "--json"), "one run": (*RUN, _run(0))}
    taken = {
        name: [environment.ozh("journal", *command).seconds for _ in range(amounts.of(3, 2))]
        for name, command in commands.items()
    }
    each = {name: bytes_ / count for name, bytes_ in stats.get("indexSizes", {}).items()}
    return [
        Figure(
            "P10",
            f"a journal of {count:,} entries: bytes of an entry; `status`; `status --run`",
            "shown",
            f"{stats['size'] / count:.0f} bytes; "
            + "; ".join(f"{median(seconds):.2f} s" for seconds in taken.values()),
            note="bytes of an index per entry: "
            + ", ".join(f"{name} {value:.0f}" for name, value in sorted(each.items())),
            data=taken,
        )
    ]


RUN = ("status", "discount", "--json", "--run")


def _run(number: int) -> str:
    return f"20261101T{number:06d}-0a1b2c3d"


def entries(count: int) -> Iterator[dict[str, Any]]:
    """Entries as a pass leaves them: most `sent`, one in five `unreachable`."""
    moment = users.now()
    for number in range(count):
        run, at = _run(number // PASS_SIZE), moment - timedelta(seconds=count - number)
        yield {
            "_id": f"discount:{1000 + number}",
            "campaign": "discount",
            "chat_id": 1000 + number,
            "user": number,
            "state": "unreachable" if number % 5 == 0 else "sent",
            "claim": f"{run}-{number % PASS_SIZE // 20}",
            "run": run,
            "claimed_at": at,
            "at": at,
            "attempts": 1,
            "message_id": number,
        }
