"""What a pass is asked for and what came of it: frozen values, printed by ``cli.output``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ozh_notify import __version__
from ozh_notify.errors import Exit, OzhError


@dataclass(frozen=True)
class PassOptions:
    """What the command line asks of one pass."""

    dry_run: bool = False
    at: datetime | None = None
    limit: int | None = None
    chats: tuple[int, ...] = ()
    again: bool = False
    any_time: bool = False
    new_bot: bool = False
    """Accept another bot than the one that delivered so far."""
    shard: tuple[int, int] | None = None
    """This process's number and how many share the work."""


@dataclass(frozen=True)
class DryRunDetails:
    """What a dry run shows besides the counts."""

    population: str
    """The users that the counts are about, in words."""
    recipients: tuple[dict[str, Any], ...]
    text: str
    template: str
    """The file that the text comes from, or ``built in``."""
    buttons: tuple[str, ...]
    """Each as ``text -> target``."""
    media: str | None
    """The photo, animation or video above the text."""
    seconds: float
    """How long the pass would take at the set rate."""
    stars: float | None
    """What the pass would cost with paid broadcast."""
    held_out: int = 0
    """Eligible users that a running experiment would hold out."""


@dataclass(frozen=True)
class Result:
    """What came of a pass; its fields are the keys of ``--json``."""

    campaign: str
    run_id: str
    version: str
    bot: str | None
    status: str
    dry_run: bool
    started_at: datetime
    finished_at: datetime
    duration_seconds: float
    rate: float
    flood_wait_seconds: float = 0
    eligible: int = 0
    claimed: int = 0
    sent: int = 0
    unreachable: int = 0
    rejected: int = 0
    retry: int = 0
    unknown: int = 0
    held_out: int = 0
    duplicates: int = 0
    unrecorded: int = 0
    overwritten: int = 0
    swept: int = 0
    invalid: int = 0
    skipped: int = 0
    remaining: int = 0
    held: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    preview: DryRunDetails | None = None
    exit_code: Exit = Exit.OK
    in_other_hands: int = 0
    """Users in `sending` of other runs, when this pass began: running, or killed."""
    no_users: bool = False
    """The collection is empty: a new bot, or the name of another database."""

    def as_document(self, days: int) -> dict[str, Any]:
        """What the journal keeps of the pass for so many days: the keys of ``--json``."""
        kept = {**self.as_json(), "started_at": self.started_at, "finished_at": self.finished_at}
        return {**kept, "expires_at": self.started_at + timedelta(days=days)}

    def as_json(self) -> dict[str, Any]:
        """The object ``--json`` prints; ``preview`` is there in a dry run only."""
        values = asdict(self)
        del values["exit_code"], values["no_users"], values["in_other_hands"]
        if self.preview is None:
            del values["preview"]
        moments = {key: getattr(self, key).isoformat() for key in ("started_at", "finished_at")}
        return {**values, **moments}

    @classmethod
    def without_pass(
        cls,
        campaign: str,
        started_at: datetime,
        *,
        dry_run: bool = False,
        bot: str | None = None,
        sent: int = 0,
        error: OzhError | None = None,
    ) -> Result:
        """A result without a pass: the pass could not start, or it was only a test message."""
        now = datetime.now(timezone.utc)
        return cls(
            campaign=campaign,
            run_id="",
            version=__version__,
            bot=bot,
            status=error.status if error else "ok",
            dry_run=dry_run,
            started_at=started_at,
            finished_at=now,
            duration_seconds=round((now - started_at).total_seconds(), 3),
            rate=0,
            claimed=sent,
            sent=sent,
            error=str(error) if error else None,
            exit_code=error.exit_code if error else Exit.OK,
        )
