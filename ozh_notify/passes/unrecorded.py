"""The log line of an outcome that could not be written: its format, and how to read it back.

`ozh-notify reconcile --user @LOG` reads what a pass has written here.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ozh_notify.users.delivery_state import OutcomeRecord

log = logging.getLogger(__name__)

FORMAT = "not recorded: user %r run %s claim %s chat %d: %s%s"
LINE = re.compile(r"not recorded: user (?P<before>.*) chat (?P<chat>[0-9]+): (?P<state>[a-z]+)")
CLAIM = re.compile(r"run (?P<run>\S+) claim (?P<claim>\S+)$")
"""What stands before the chat; version 1.0 wrote lines without it."""


@dataclass(frozen=True)
class UnrecordedOutcome:
    """What a line says."""

    chat_id: int
    state: str
    run: str | None
    claim: str | None


def log_unrecorded(record: OutcomeRecord) -> None:
    """Log one outcome that is not in the database."""
    who, outcome = record.recipient, record.outcome
    message = f" message {outcome.message_id}" if outcome.message_id else ""
    log.error(
        FORMAT,
        *(who.id, record.run, who.claim, who.chat_id, outcome.state.value, message),
        extra={
            "event": "not_recorded",
            "user": str(who.id),
            "chat_id": who.chat_id,
            "run": record.run,
            "claim": who.claim,
            "state": outcome.state.value,
            "message_id": outcome.message_id,
        },
    )


def parse_unrecorded(line: str) -> UnrecordedOutcome | None:
    """What a log's line says of an outcome, or None where it says something else."""
    found = LINE.search(_message(line))
    if not found:
        return None
    named = CLAIM.search(found["before"])
    run, claim = (named["run"], named["claim"]) if named else (None, None)
    return UnrecordedOutcome(int(found["chat"]), found["state"], run, claim)


def _message(line: str) -> str:
    """The text of a line, also where the log is JSON."""
    try:
        fields = json.loads(line) if line.lstrip().startswith("{") else None
    except ValueError:
        fields = None
    return str(fields.get("message", "")) if isinstance(fields, dict) else line
