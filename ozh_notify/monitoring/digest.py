"""A digest for the operator's own Telegram chat: the result of a pass and what to do next.

A pure text and one send, by the sender and at the pace of the pass itself.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from socket import gethostname

from ozh_notify.errors import Exit, OzhError
from ozh_notify.messaging.message import Message
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.passes.ports import MessageSender
from ozh_notify.passes.result import Result
from ozh_notify.users.delivery_state import State

MANY_SHARE, MANY = 0.2, 10
"""A pass lost many users when at least this share of the users it tried to message, and at least
this many, cannot be written to or were refused. A wrong token looks like that, and so does a
campaign that annoys."""

FEW = 3
"""Users at least, all of them lost, for a pass that reached nobody: one alone is ordinary."""

MAX_ERROR_TEXT = 1000
"""Characters of an error; Telegram takes 4096 for a message."""


def is_many(users: int, result: Result) -> bool:
    """Whether this is an unusual number of the users that a pass tried to message."""
    tried = result.claimed - result.held_out - result.duplicates
    return users >= max(MANY, MANY_SHARE * tried)


def reached_nobody(result: Result) -> bool:
    """Whether a pass claimed users, delivered nothing, and found fault with the users alone."""
    return not result.sent and result.unreachable + result.rejected >= FEW


def is_wanted(result: Result, *, of_all: bool) -> bool:
    """Whether a pass is worth a digest: trouble, or with ``of_all`` anything sent."""
    trouble = (
        result.exit_code is not Exit.OK
        or result.unknown
        or result.swept
        or result.unrecorded
        or is_many(result.unreachable, result)
        or is_many(result.rejected, result)
        or reached_nobody(result)
    )
    return bool(trouble or (of_all and result.sent))


def compose(result: Result, redact: Callable[[str], str], place: str = "") -> str:
    """Telegram HTML; ``place`` names host and database."""
    status = result.status.replace("_", " ")
    lines = [f"<b>ozh-notify {result.campaign}: {status}</b> (exit {int(result.exit_code)})"]
    lines.append(
        f"{result.sent} of {result.eligible} sent; {result.unreachable} blocked the bot or are gone"
    )
    counts = [f"{name} {getattr(result, name)}" for name in OTHERS if getattr(result, name)]
    if counts:
        lines.append(", ".join(counts))
    if result.error and result.exit_code is not Exit.OK:
        lines += ["", escape(redact(result.error)[:MAX_ERROR_TEXT])]
    todo = [f"• {text}: <code>ozh-notify {command}</code>" for text, command in advice(result)]
    if todo:
        lines += ["", *todo]
    bot = f"@{result.bot}" if result.bot else "unknown"
    where = f", MongoDB {place}" if place else ""
    lines += ["", escape(f"host {gethostname()}, bot {bot}{where}")]
    lines.append(f"run {result.run_id or 'none'}, version {result.version}")
    return "\n".join(lines)


OTHERS = (
    *("retry", "rejected", "unknown", "held_out", "duplicates", "unrecorded", "overwritten"),
    *("swept", "invalid", "skipped", "remaining"),
)
"""Counts that a digest shows when they are not 0."""


def advice(result: Result) -> list[tuple[str, str]]:
    """What needs attention, and the command that tells more."""
    name, found = result.campaign, []
    if result.exit_code in ENDINGS:
        text, command = ENDINGS[result.exit_code]
        found.append((text, command.format(name=name)))
    if result.unrecorded:
        settle = f"reconcile {name} --mark-sent --user @LOG"
        found.append((f"{result.unrecorded} not recorded; settle them from the log", settle))
    if number := result.unknown + result.swept:
        found.append((f"{number} may or may not have got it; settle them", f"reconcile {name}"))
    if reached_nobody(result):
        found.append(("nobody could be messaged; is it the right bot?", "check"))
    if is_many(result.unreachable, result) or (reached_nobody(result) and result.unreachable):
        command = f"reconcile {name} --state unreachable"
        found.append(("many cannot be written to; see who", command))
    if result.rejected:
        found.append(("Telegram refused some; see why", f"reconcile {name} --state rejected"))
    return found


ENDINGS = {
    Exit.CONFIG: ("the configuration is wrong", "check"),
    Exit.UNAVAILABLE: ("MongoDB or Telegram cannot be reached", "check"),
    Exit.UNRECORDED: ("look before the next pass runs", "status {name}"),
    Exit.REFUSED: ("more are due than OZH_MAX_RECIPIENTS; look at them", "{name} --dry-run"),
    Exit.INCOMPLETE: ("the next pass goes on; what is due now", "status {name}"),
    Exit.BUG: ("a bug; its traceback is in the log. Where things stand", "status {name}"),
}
"""What to do after a pass that ended badly, and the command that tells more."""


async def send(chat: int, html: str, open_sender: Callable[[], MessageSender], pacer: Pacer) -> str:
    """Send it once; returns what went wrong, or an empty text.

    A sender that is open already does not ask Telegram again which bot it is.
    """
    try:
        sender = open_sender()
        await sender.open()
        await pacer.turn()
        outcome = await sender.send(chat, Message(html))
    except OzhError as error:
        return str(error)
    return "" if outcome.state is State.SENT else outcome.error
