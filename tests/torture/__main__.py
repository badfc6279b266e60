"""``python -m tests.torture [case ...] [--short] [--seed N] [--rounds N] [--jobs N]``."""

from __future__ import annotations

import argparse
import random
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial

from tests.torture.cases import CASES, run

SHOWN = 5
"""Breaches of a case that are printed."""
LONGEST = 2000
"""Characters of one."""


def main() -> int:
    """Print a line per case; returns 1 on any breach."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--seed", type=int, help="to repeat a run's random moments")
    parser.add_argument("--rounds", type=int, help="instead of the case's own number")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time; %(default)s")
    options = parser.parse_args()
    unknown = set(options.case) - CASES.keys()
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    one = partial(run, short=options.short, seed=seed, rounds=options.rounds)
    broken = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        running = [pool.submit(one, name) for name in options.case or CASES]
        for done in as_completed(running):
            report = done.result()
            print(report.line(), flush=True)
            for breach in report.breaches[:SHOWN]:
                print(f"    {breach[:LONGEST]}", flush=True)
            broken += bool(report.breaches)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
