"""The result of a pass: JSON for programs, a table on a terminal, one line in a log."""

from __future__ import annotations

import sys
from datetime import timedelta

from rich.panel import Panel
from rich.text import Text

from ozh_notify.cli.output import (
    Redact,
    console,
    print_json,
    print_line,
    print_table,
    show,
)
from ozh_notify.passes.result import DryRunDetails, Result

COUNTS = {
    "sent": "delivered",
    "unreachable": "cannot be written to (blocked, deactivated, not found)",
    "rejected": "refused by Telegram for good",
    "retry": "not delivered; the next pass tries again",
    "unknown": "may or may not have been delivered; see: ozh-notify reconcile {campaign}",
    "held_out": "control group of an experiment: no message, as planned",
    "duplicates": "the journal has an outcome for this chat already: no second message",
    "unrecorded": "not recorded anywhere; see: ozh-notify reconcile {campaign} --user @LOG",
    "overwritten": "recorded in the journal, but somebody replaced the user's document",
    "swept": "claims of an earlier pass that died: unknown now",
    "skipped": "no longer qualified, or another pass took them",
    "invalid": "left alone: no usable chat id or state field",
    "remaining": "not taken up",
}
"""What the table says of each count."""

MESSAGE_WIDTH = 72
"""Columns of the box around the message of a dry run."""


def print_result(result: Result, redact: Redact, *, as_json: bool) -> None:
    """Print a result to stdout."""
    if as_json:
        print_json(result.as_json(), redact)
    elif result.dry_run:
        _print_dry_run(result, redact)
    elif not result.run_id or _is_empty(result) or not console().is_terminal:
        print_line(_one_line(result), redact)
    else:
        _print_pass(result, redact)


def print_error(result: Result, redact: Redact) -> None:
    """Print on stderr what ended a pass."""
    if result.error and result.status != "outside_hours":
        print(f"{result.status}: {redact(result.error)}", file=sys.stderr, flush=True)


def _is_empty(result: Result) -> bool:
    """Whether a pass ended before there was anything to count."""
    return result.status != "ok" and not any(
        getattr(result, name) for name in ("eligible", *COUNTS)
    )


def _print_pass(result: Result, redact: Redact) -> None:
    rows: list[tuple[object, ...]] = [("eligible", result.eligible, "matched the scan")]
    rows += [
        (name, number, COUNTS[name].format(campaign=result.campaign))
        for name, number in _counts(result).items()
    ]
    print_table(f"{result.campaign}: {_status(result)}", ("", "", ""), rows, redact)
    print_line(f"{_took(result)}; run {result.run_id}", redact)


def _one_line(result: Result) -> str:
    if not result.run_id and result.sent:
        return f"{result.campaign}: the sample is sent, by @{result.bot}"
    if result.status == "outside_hours":
        return f"{result.campaign}: a pass messages nobody now: {result.error}"
    if _is_empty(result):
        return f"{result.campaign}: {_status(result)}"
    counts = {"eligible": result.eligible, **_counts(result)}
    words = ", ".join(f"{name} {number}" for name, number in counts.items())
    return f"{result.campaign}: {_status(result)}, {words}; {_took(result)}; run {result.run_id}"


def _counts(result: Result) -> dict[str, int]:
    """Those that are not zero, and how many got a message."""
    found = {name: getattr(result, name) for name in COUNTS}
    return {name: number for name, number in found.items() if number or name == "sent"}


def _took(result: Result) -> str:
    """``512 sent in 29 s, 17.6/s (limit 20/s)``."""
    seconds, waited = result.duration_seconds, result.flood_wait_seconds
    speed = f", {result.sent / seconds:.1f}/s" if result.sent and seconds else ""
    pause = f", {waited:g} s of it waiting because Telegram asked to" if waited else ""
    return f"{result.sent} sent in {_duration(seconds)}{speed} (limit {result.rate:g}/s){pause}"


def _print_dry_run(result: Result, redact: Redact) -> None:
    title = f"{result.campaign}: dry run, nothing was written or sent"
    if result.error and not result.preview:
        print_line(f"{title}: {_status(result)}", redact)
        return
    shown = result.preview
    rows: list[tuple[object, ...]] = [
        (
            shown.population if shown else "users looked at",
            result.eligible + result.invalid + sum(result.held.values()),
            "",
        ),
        *((f"  {reason}", number, "held back") for reason, number in result.held.items()),
    ]
    if result.invalid:
        rows.append(("  invalid", result.invalid, COUNTS["invalid"]))
    held_out = shown.held_out if shown else 0
    if held_out:
        rows.append(("  held out", held_out, "controls of the experiment"))
    rows.append(("to be messaged", result.eligible - held_out, ""))
    print_table(title, ("", "", ""), rows, redact)
    if shown:
        _print_preview(shown, result, redact)


def _print_preview(shown: DryRunDetails, result: Result, redact: Redact) -> None:
    if shown.recipients:
        columns = ("name", "chat", "language", "text", "_id")
        keys = ("first_name", "chat_id", "language", "template", "id")
        rows = [tuple(recipient[key] for key in keys) for recipient in shown.recipients]
        print_table("first recipients, newest first", columns, rows, redact)
    media = f"< {shown.media} >\n\n" if shown.media else ""
    buttons = "".join(f"\n[ {button} ]" for button in shown.buttons)
    text = Text(redact(f"{media}{shown.text}" + (f"\n{buttons}" if buttons else "")))
    show(
        Panel(
            text, title=f"the message ({shown.template})", width=min(MESSAGE_WIDTH, console().width)
        )
    )
    print_line(f"a pass would take {_duration(shown.seconds)} at {result.rate:g}/s", redact)
    if shown.stars is not None:
        print_line(f"paid broadcast: about {shown.stars:g} Stars", redact)
    if result.status == "outside_hours":
        print_line(f"a pass messages nobody now: {result.error}", redact)


def _duration(seconds: float) -> str:
    """``8.7 s``; from a minute on ``0:01:30``."""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _status(result: Result) -> str:
    return result.status.replace("_", " ")
