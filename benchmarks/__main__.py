"""``python -m benchmarks [P1 P7 ...] [--quick]``: all figures, or some."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import cost, journal, report, speed
from benchmarks.environment import Environment, prepared
from benchmarks.figure import Amounts, Figure, Measure

MEASURES: dict[tuple[str, ...], Measure] = {
    ("P7",): cost.start,
    ("P1",): speed.paced,
    ("P2", "P3", "P9"): speed.unpaced,
    ("P8",): speed.steady,
    ("P6",): cost.memory,
    ("P4", "P5"): cost.scan,
    ("P10",): journal.size,
}
"""In the order they run: the large collection last, so that the server's cache is not its own."""


def main() -> int:
    """Measure, print the table; a whole run also writes it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = sorted(name for group in MEASURES for name in group)
    parser.add_argument("figures", nargs="*", metavar="P1", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="little of everything: does it work")
    asked = parser.parse_args()
    if unknown := set(asked.figures) - set(names):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    started, amounts = time.monotonic(), Amounts(asked.quick)
    with prepared() as environment:
        found = _measure(environment, amounts, set(asked.figures))
        table = report.table(found)
        print(table)
        if not asked.quick and not asked.figures:
            report.write(found, environment, time.monotonic() - started)
    return 0


def _measure(environment: Environment, amounts: Amounts, wanted: set[str]) -> list[Figure]:
    found: list[Figure] = []
    for group, measure in MEASURES.items():
        if not wanted or wanted & set(group):
            print(f"{', '.join(group)} ...", file=sys.stderr, flush=True)
            found += measure(environment, amounts)
    return sorted(found, key=lambda figure: figure.name or "Q")


if __name__ == "__main__":
    sys.exit(main())
