"""How a pass ends: what it has learned, and the error that decides its exit code."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ozh_notify.errors import Exit, Incomplete, OzhError, Unavailable, Unrecorded
from ozh_notify.passes.queues import OutcomeCounts
from ozh_notify.passes.result import DryRunDetails, Result
from ozh_notify.users.candidates import Candidates
from ozh_notify.wording import counted


@dataclass
class PassFacts:
    """What a pass has learned so far; its result is made of it, however the pass ends."""

    bot: str | None = None
    has_delivered: bool = False
    """Whether a bot has ever delivered a message to these users."""
    no_users: bool = False
    swept: int = 0
    in_other_hands: int = 0
    """Users in `sending` of other runs, when this pass began."""
    found: Candidates = field(default_factory=lambda: Candidates(0))
    held: dict[str, int] = field(default_factory=dict)
    preview: DryRunDetails | None = None

    def result(
        self, counts: OutcomeCounts, error: OzhError | None, *, closed: str | None, **known: Any
    ) -> Result:
        """The result; ``closed`` says why the pass was outside its hours."""
        return Result(
            **known,
            **asdict(counts),
            bot=self.bot,
            status=error.status if error else "outside_hours" if closed else "ok",
            eligible=self.found.valid,
            swept=self.swept,
            invalid=self.found.invalid,
            remaining=self.found.valid - counts.claimed - counts.skipped,
            held=self.held,
            error=str(error) if error else closed,
            preview=self.preview,
            exit_code=error.exit_code if error else Exit.OK,
            no_users=self.no_users,
            in_other_hands=self.in_other_hands,
        )


def final_error(
    reason: OzhError | None, counts: OutcomeCounts, delivered_unrecorded: int, campaign: str
) -> OzhError | None:
    """The error of the whole pass, given the reason of its early end, or None.

    What is recorded nowhere comes before any reason, a bug too: it needs a person, with its log.
    """
    if delivered_unrecorded:
        return _unrecorded(reason, delivered_unrecorded, campaign)
    if isinstance(reason, Unavailable) and counts.sent:
        return Incomplete(str(reason))
    if reason is None and counts.retry:
        left = counted(counts.retry, "delivery", "deliveries")
        return Incomplete(f"{left} left in retry: run it again")
    return reason


def _unrecorded(reason: OzhError | None, number: int, campaign: str) -> Unrecorded:
    messages = counted(number, "delivered message")
    why = f" ({reason})" if reason else ""
    return Unrecorded(
        f"{messages} could be recorded nowhere{why}: look at the lines `not recorded` of the log "
        f"before you run it again, and settle them by "
        f"ozh-notify reconcile {campaign} --mark-sent --user @LOG"
    )
