"""One line of the table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.environment import Environment


@dataclass(frozen=True)
class Amounts:
    """How much of everything; ``--quick`` does little of it, to see that it works."""

    quick: bool = False

    def of(self, whole: int, quick: int) -> int:
        """One of two amounts."""
        return quick if self.quick else whole


@dataclass(frozen=True)
class Figure:
    """What was measured, and whether it is what was to be reached; None where nothing is."""

    name: str
    what: str
    target: str
    measured: str
    reached: bool | None = None
    note: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """The single measurements."""


Measure = Callable[[Environment, Amounts], list[Figure]]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of what was measured side by side."""
    return median([a / b for a, b in zip(ours, theirs, strict=True)])
