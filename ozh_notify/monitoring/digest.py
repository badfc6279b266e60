"""A digest for the operator's own Telegram chat: what came of a pass and which command tells more.

A pure text and one send, by the sender and at the pace of the pass itself.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ozh_notify.errors import Exit, OzhError
from ozh_notify.messaging.message import Message
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.passes.ports import MessageSender
from ozh_notify.passes.result import Result
from ozh_notify.users.delivery_state import State

MANY_SHARE, MANY = 0.2, 10
"""A pass lost many users when at least this share of those it claimed, and at least so many,
cannot be written to: a wrong token looks like that, and so does a campaign that annoys."""

LONGEST_ERROR = 1000
"""Characters of an error; Telegram takes 4096 for a message."""


def lost_many(result: Result) -> bool:
    """Whether unusually many users cannot be written to."""
    return result.unreachable >= max(MANY, MANY_SHARE * result.claimed)


def wanted(result: Result, *, of_all: bool) -> bool:
    """Whether a pass is worth a digest: trouble, or with ``of_all`` anything sent."""
    trouble = result.exit_code is not Exit.OK or result.unknown or result.swept or lost_many(result)
    return bool(trouble or (of_all and result.sent))


def compose(result: Result, redact: Callable[[str], str]) -> str:
    """Telegram HTML."""
    status = result.status.replace("_", " ")
    lines = [f"<b>ozh-notify {result.campaign}: {status}</b> (exit {int(result.exit_code)})"]
    lines.append(
        f"{result.sent} of {result.eligible} sent; {result.unreachable} blocked the bot or are gone"
    )
    others = ("retry", "rejected", "unknown", "swept", "invalid", "skipped", "remaining")
    counts = [f"{name} {getattr(result, name)}" for name in others if getattr(result, name)]
    if counts:
        lines.append(", ".join(counts))
    if result.error and result.exit_code is not Exit.OK:
        lines += ["", escape(redact(result.error)[:LONGEST_ERROR])]
    todo = [f"• {text}: <code>ozh-notify {command}</code>" for text, command in advice(result)]
    if todo:
        lines += ["", *todo]
    lines += ["", f"run {result.run_id or 'none'}, version {result.version}"]
    return "\n".join(lines)


def advice(result: Result) -> list[tuple[str, str]]:
    """What needs attention, and the command that tells more."""
    name, found = result.campaign, []
    ending = {
        Exit.CONFIG: ("the configuration is wrong", "check"),
        Exit.UNAVAILABLE: ("MongoDB or Telegram cannot be reached", "check"),
        Exit.UNRECORDED: (
            "look before the next pass; settle the lines `not recorded` of its log",
            f"reconcile {name} --mark-sent --user @LOG",
        ),
        Exit.REFUSED: ("the fuse held; look at whom it would message", f"{name} --dry-run"),
        Exit.INCOMPLETE: ("the next pass goes on; what is due now", f"status {name}"),
        Exit.BUG: ("a bug; its traceback is in the log. Where things stand", f"status {name}"),
    }
    if result.exit_code in ending:
        found.append(ending[result.exit_code])
    if result.unknown or result.swept:
        number = result.unknown + result.swept
        found.append((f"{number} may or may not have got it; settle them", f"reconcile {name}"))
    if lost_many(result):
        found.append(
            ("many cannot be written to; see who", f"reconcile {name} --state unreachable")
        )
    if result.rejected:
        found.append(("Telegram refused some; see why", f"reconcile {name} --state rejected"))
    return found


async def send(chat: int, html: str, sender: MessageSender, pacer: Pacer) -> str:
    """Send it once; returns what went wrong, or nothing."""
    try:
        await sender.open()
        await pacer.turn()
        outcome = await sender.send(chat, Message(html, None))
    except OzhError as error:
        return str(error)
    finally:
        await sender.close()
    return "" if outcome.state is State.SENT else outcome.error
