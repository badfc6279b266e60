"""``ozh-notify reconcile``: list deliveries whose outcome is in doubt, and settle them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ozh_notify.campaigns import Campaign
from ozh_notify.cli.arguments import AsJson, CampaignName, Yes, campaign_named
from ozh_notify.cli.chat_list import chats_in
from ozh_notify.cli.deliveries import print_deliveries
from ozh_notify.cli.options import GlobalOptions, now
from ozh_notify.cli.output import Redact, count, print_json, print_line

if TYPE_CHECKING:
    from ozh_notify.operator.reconcile import Decision, DeliveryFilter, Listing

STATES = ("unknown", "retry", "unreachable", "rejected")

Resend = Annotated[
    bool, typer.Option("--resend", help="Release them: the next pass messages them.")
]
MarkSent = Annotated[
    bool, typer.Option("--mark-sent", help="They were delivered: count them as sent.")
]
InState = Annotated[str, typer.Option(metavar="|".join(STATES), help="Deliveries in this state.")]
OfRun = Annotated[str | None, typer.Option(metavar="ID", help="Only what this pass left behind.")]
OfUsers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CHAT_ID",
        help="Only these users; repeat it for several. @FILE, or - for stdin: one chat id a "
        "line, or a log with the lines 'not recorded: ...' of a pass.",
    ),
]


@dataclass(frozen=True)
class ReconcileArguments:
    """The command line."""

    campaign: Campaign
    which: DeliveryFilter
    action: Decision | None
    yes: bool
    as_json: bool
    redact: Redact


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile")(run_reconcile_command)


def run_reconcile_command(
    context: typer.Context,
    campaign: CampaignName,
    resend: Resend = False,
    mark_sent: MarkSent = False,
    state: InState = "unknown",
    run: OfRun = None,
    user: OfUsers = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """List deliveries whose outcome is unknown, and settle them when told how."""
    from ozh_notify.operator.reconcile import Decision, DeliveryFilter, SettleableState

    kind = campaign_named(campaign)
    if state not in STATES:
        raise typer.BadParameter(f"expected one of {', '.join(STATES)}", param_hint="--state")
    if resend and mark_sent:
        raise typer.BadParameter("it cannot be used with --mark-sent", param_hint="--resend")
    action = Decision.RESEND if resend else Decision.MARK_SENT if mark_sent else None
    if action and not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter(
            "confirmation needs a terminal: add --yes",
            param_hint=f"--{action.value}",
        )
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    chats = tuple(n for text in user or () for n in chats_in(text, action and action.value))
    if user and not chats:
        raise typer.BadParameter("it names no chat id", param_hint="--user")
    which = DeliveryFilter(SettleableState(state), run, chats)
    reconcile(ReconcileArguments(kind(settings), which, action, yes, as_json, redact))


def reconcile(asked: ReconcileArguments) -> None:
    """Sweep and list; ask; settle."""
    import asyncio

    found = asyncio.run(list_deliveries(asked))
    if not asked.as_json:
        print_listing(found, asked)
    agreed = asked.action and found.entries and (asked.yes or confirmed(asked, found))
    settled = asyncio.run(settle_deliveries(asked, found)) if agreed else 0
    changed = len(found.entries) - settled if agreed else 0
    if asked.as_json:
        counts: dict[str, Any] = {
            "action": asked.action and asked.action.value,
            "agreed": bool(agreed),
        }
        counts |= {"settled": settled, "changed": changed, **found.as_json()}
        head = {"campaign": asked.campaign.name, "state": asked.which.state.value}
        print_json({**head, **counts}, asked.redact)
    elif agreed and asked.action:
        also = f"; {changed} changed meanwhile and were left as they are" if changed else ""
        print_line(f"now {asked.action.target.value}: {settled}{also}", asked.redact)
    elif asked.action and found.entries:
        print_line("none of them was changed", asked.redact)


async def list_deliveries(asked: ReconcileArguments) -> Listing:
    """Sweep lapsed claims, then list."""
    from ozh_notify.operator.reconcile import ReconcileStore

    store = ReconcileStore(asked.campaign.settings, asked.campaign)
    try:
        return await store.look(asked.which, now())
    finally:
        await store.close()


async def settle_deliveries(asked: ReconcileArguments, found: Listing) -> int:
    """Settle what was listed; returns how many had not changed meanwhile."""
    from ozh_notify.operator.reconcile import ReconcileStore

    store = ReconcileStore(asked.campaign.settings, asked.campaign)
    try:
        assert asked.action  # noqa: S101 - nothing is settled without an action
        return await store.settle(found.entries, asked.action, now())
    finally:
        await store.close()


def confirmed(asked: ReconcileArguments, found: Listing) -> bool:
    """Ask on the terminal; the end of input means no."""
    assert asked.action  # noqa: S101 - see its caller
    resend = asked.action.value == "resend"
    what = "will be messaged by the next pass" if resend else "will count as sent"
    users = count(len(found.entries), "user")
    print(f"{users} {what}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "д", "да")


def print_listing(found: Listing, asked: ReconcileArguments) -> None:
    """Print the deliveries, and how many were swept or are still in a pass."""
    number = count(len(found.entries), "delivery", "deliveries")
    title = f"{asked.campaign.name}: {number} in {asked.which.state.value}"
    print_deliveries(title, found.entries, asked.campaign.settings, asked.redact)
    if found.swept:
        swept = count(found.swept, "delivery", "deliveries")
        print_line(f"{swept} of an earlier pass that died became unknown just now", asked.redact)
    if found.sending:
        print_line(
            f"{found.sending} more in sending: a pass holds them until its lease ends",
            asked.redact,
        )
