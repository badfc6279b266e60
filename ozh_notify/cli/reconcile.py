"""``ozh-notify reconcile``: list deliveries whose outcome is in doubt, and settle them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ozh_notify.campaigns import Campaign
from ozh_notify.cli.arguments import (
    campaign_named,
    complete_campaign,
    now,
    print_deliveries,
)
from ozh_notify.cli.chat_list import chats_in
from ozh_notify.cli.loop import run_async
from ozh_notify.cli.options import GlobalOptions

if TYPE_CHECKING:
    from ozh_notify.operator.reconcile import Decision, DeliveryFilter, Listing

STATES = ("unknown", "retry", "unreachable", "rejected")


@dataclass(frozen=True)
class ReconcileArguments:
    """The command line."""

    campaign: Campaign
    which: DeliveryFilter
    action: Decision | None
    yes: bool
    as_json: bool
    redact: Callable[[str], str]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile")(command)


def command(
    context: typer.Context,
    campaign: Annotated[
        str,
        typer.Argument(metavar="CAMPAIGN", show_default=False, autocompletion=complete_campaign),
    ],
    resend: Annotated[
        bool, typer.Option("--resend", help="Give them back: the next pass messages them.")
    ] = False,
    mark_sent: Annotated[
        bool, typer.Option("--mark-sent", help="They were delivered: count them as sent.")
    ] = False,
    state: Annotated[
        str, typer.Option(metavar="|".join(STATES), help="Deliveries in this state.")
    ] = "unknown",
    run: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what this pass left behind.")
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHAT_ID",
            help="Only these users (repeatable). @FILE, or - for stdin: chat ids, or a log's "
            "lines 'not recorded: ...', one a line.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")
    ] = False,
) -> None:
    """List deliveries whose outcome is unknown, and settle them when told how."""
    from ozh_notify.operator.reconcile import Decision, DeliveryFilter, SettleableState  # noqa: PLC0415 - the driver

    kind = campaign_named(campaign)
    if state not in STATES:
        raise typer.BadParameter(f"expected one of {', '.join(STATES)}", param_hint="--state")
    if resend and mark_sent:
        raise typer.BadParameter("it excludes --mark-sent", param_hint="--resend")
    action = Decision.RESEND if resend else Decision.MARK_SENT if mark_sent else None
    if action and not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter(
            "it asks before it writes, and here is no terminal to ask on: add --yes",
            param_hint=f"--{action.value}",
        )
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    chats = tuple(n for text in user or () for n in chats_in(text, action and action.value))
    if user and not chats:
        raise typer.BadParameter("it names nobody", param_hint="--user")
    which = DeliveryFilter(SettleableState(state), run, chats)
    _reconcile(ReconcileArguments(kind(settings), which, action, yes, as_json, redact))


def _reconcile(asked: ReconcileArguments) -> None:
    """Sweep and list; ask; settle."""
    found = run_async(_read(asked))
    if not asked.as_json:
        _print(found, asked)
    agreed = asked.action and found.entries and (asked.yes or _agrees(asked, found))
    settled = run_async(_settle(asked, found)) if agreed else 0
    changed = len(found.entries) - settled if agreed else 0
    if asked.as_json:
        counts: dict[str, Any] = {
            "action": asked.action and asked.action.value,
            "agreed": bool(agreed),
        }
        counts |= {"settled": settled, "changed": changed, **found.as_json()}
        head = {"campaign": asked.campaign.name, "state": asked.which.state.value}
        print(asked.redact(json.dumps({**head, **counts}, ensure_ascii=False, default=str)))
    elif agreed and asked.action:
        also = f"; {changed} changed meanwhile and were left as they are" if changed else ""
        print(f"now {asked.action.target.value}: {settled}{also}")
    elif asked.action and found.entries:
        print("none of them was changed")


async def _read(asked: ReconcileArguments) -> Listing:
    from ozh_notify.operator.reconcile import ReconcileStore  # noqa: PLC0415 - the driver

    book = ReconcileStore(asked.campaign.settings, asked.campaign)
    try:
        return await book.look(asked.which, now())
    finally:
        await book.close()


async def _settle(asked: ReconcileArguments, found: Listing) -> int:
    from ozh_notify.operator.reconcile import ReconcileStore  # noqa: PLC0415 - the driver

    book = ReconcileStore(asked.campaign.settings, asked.campaign)
    try:
        assert asked.action  # noqa: S101 - asked for, or nothing is settled
        return await book.settle(found.entries, asked.action, now())
    finally:
        await book.close()


def _agrees(asked: ReconcileArguments, found: Listing) -> bool:
    """Ask on the terminal; the end of input is a no."""
    assert asked.action  # noqa: S101 - see its caller
    what = (
        "will be messaged by the next pass"
        if asked.action.value == "resend"
        else "will count as sent"
    )
    print(
        f"Users who {what}: {len(found.entries)}. Go on? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes", "д", "да")


def _print(found: Listing, asked: ReconcileArguments) -> None:
    title = f"{asked.campaign.name}: {len(found.entries)} in {asked.which.state.value}"
    print_deliveries(title, found.entries, asked.campaign.settings, asked.redact)
    if found.swept:
        print(f"{found.swept} of an earlier pass that died became unknown just now")
    if found.sending:
        print(f"{found.sending} more are in sending: a pass holds them until its lease ends")
