"""What one case has come to."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field


class Skipped(Exception):
    """This machine lacks what the case needs; says what."""


@dataclass
class Report:
    """Counts of one case; any breach fails it."""

    case: str
    tried: int = 0
    """Users whose delivery was put at risk, over all rounds."""
    rounds: int = 0
    twice: int = 0
    lost: int = 0
    unknown: int = 0
    breaches: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    """What else is worth counting, such as exit codes."""
    skipped: str = ""
    server: str = ""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0

    def expect(self, holds: bool, otherwise: str) -> None:
        """A breach unless it holds."""
        if not holds:
            self.breaches.append(otherwise)

    def line(self) -> str:
        """One line for people and for grep."""
        if self.skipped:
            return f"{self.case:<14} skipped: {self.skipped}"
        verdict = f"BREACH: {len(self.breaches)}" if self.breaches else "ok"
        notes = " ".join(f"{name}={count}" for name, count in sorted(self.notes.items()))
        return (
            f"{self.case:<14} {verdict:<10} rounds {self.rounds:<4} tried {self.tried:<6} "
            f"twice {self.twice} lost {self.lost} unknown {self.unknown:<4} "
            f"{self.seconds:.0f} s on {self.server}" + (f"  ({notes})" if notes else "")
        )
