"""``ozh-notify reconcile``: list deliveries whose outcome is in doubt, and settle them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import Campaign
from ozh_notify.cli.arguments import AsJson, CampaignName, Yes, campaign_named, check_age
from ozh_notify.cli.chat_list import named_users
from ozh_notify.cli.confirmation import agreed_to, check_terminal
from ozh_notify.cli.deliveries import print_deliveries
from ozh_notify.cli.options import GlobalOptions, now
from ozh_notify.cli.output import Redact, print_json, print_line
from ozh_notify.errors import Exit
from ozh_notify.wording import counted

if TYPE_CHECKING:
    from ozh_notify.operator.reconcile import Listing
    from ozh_notify.users.settlement import Decision, DeliveryFilter, StoredDelivery

STATES = ("unknown", "retry", "unreachable", "rejected", "sending")

Resend = Annotated[
    bool, typer.Option("--resend", help="Hold them no longer: the next pass messages them.")
]
MarkSent = Annotated[
    bool, typer.Option("--mark-sent", help="They were delivered: count them as sent.")
]
InState = Annotated[
    str,
    typer.Option(
        metavar="|".join(STATES), help="Deliveries in this state; `sending` needs --older-than."
    ),
]
OlderThan = Annotated[
    float | None,
    typer.Option(
        min=1,
        metavar="HOURS",
        help="With --state sending: what is so old that no pass can still be sending it.",
    ),
]
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


@dataclass(frozen=True)
class Settled:
    """What came of it; its fields are keys of ``--json``."""

    agreed: bool
    settled: int
    changed: int
    """Changed since they were listed, and left as they are."""
    postponed: int
    """Made unknown by this command's own sweep, and so not settled by ``--yes``."""


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
    older_than: OlderThan = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """List deliveries whose outcome is unknown, and settle them when told how.

    Exit 75: some cannot be settled yet; run it again when their lease is over.
    """
    from ozh_notify.users.settlement import Decision, DeliveryFilter, SettleableState

    kind = campaign_named(campaign)
    if resend and mark_sent:
        raise typer.BadParameter("it cannot be used with --mark-sent", param_hint="--resend")
    action = Decision.RESEND if resend else Decision.MARK_SENT if mark_sent else None
    check_options(state, older_than, action, yes)
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    check_age(older_than, settings.lease)
    named = named_users(user or (), action and action.value)
    if user and not named:
        raise typer.BadParameter("it names no chat id", param_hint="--user")
    which = DeliveryFilter(
        SettleableState(state),
        run,
        named.chats,
        named.claims,
        now() - timedelta(hours=older_than) if older_than else None,
    )
    asked = ReconcileArguments(kind(settings), which, action, yes, as_json, redact)
    raise typer.Exit(reconcile(asked))


def check_options(state: str, older_than: float | None, action: Decision | None, yes: bool) -> None:
    """Refuse options that do not go together.

    Raises:
        typer.BadParameter: some do not, or confirmation needs a terminal.
    """
    if state not in STATES:
        raise typer.BadParameter(f"expected one of {', '.join(STATES)}", param_hint="--state")
    if (state == "sending") != (older_than is not None):
        text = "give both or neither: --state sending and --older-than HOURS"
        raise typer.BadParameter(text, param_hint="--older-than")
    if action and not yes:
        check_terminal()


def reconcile(asked: ReconcileArguments) -> Exit:
    """Sweep and list; ask; settle."""
    import asyncio

    found = asyncio.run(read_deliveries(asked))
    if not asked.as_json:
        print_listing(found, asked)
    # Nobody has seen what this very sweep made unknown: a person looks first.
    fresh = {id(entry) for entry in found.fresh if asked.yes}
    chosen = [entry for entry in found.entries if id(entry) not in fresh]
    agreed = asked.action and chosen and (asked.yes or confirmed(asked.action, len(chosen)))
    settled = asyncio.run(settle_deliveries(asked, chosen)) if agreed else 0
    done = Settled(
        agreed=bool(agreed),
        settled=settled,
        changed=len(chosen) - settled if agreed else 0,
        postponed=len(found.entries) - len(chosen) if asked.action else 0,
    )
    if asked.as_json:
        action = {"action": asked.action and asked.action.value}
        head = {"campaign": asked.campaign.name, "state": asked.which.state.value}
        print_json({**head, **action, **asdict(done), **found.as_json()}, asked.redact)
    elif asked.action:
        print_settled(done, asked.action, found, asked.redact)
    named = asked.which.run or asked.which.chats
    waiting = done.postponed or (asked.action and named and found.sending)
    return Exit.INCOMPLETE if waiting else Exit.OK


async def read_deliveries(asked: ReconcileArguments) -> Listing:
    """Sweep lapsed claims, then list."""
    from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
    from ozh_notify.mongo.reconcile_store import ReconcileStore
    from ozh_notify.operator.reconcile import list_deliveries

    store = JournaledPassStore(asked.campaign.settings, asked.campaign)
    try:
        return await list_deliveries(ReconcileStore(store), asked.which, now())
    finally:
        await store.close()


async def settle_deliveries(asked: ReconcileArguments, chosen: Sequence[StoredDelivery]) -> int:
    """Settle these deliveries; returns how many had not changed since they were listed."""
    from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
    from ozh_notify.mongo.reconcile_store import ReconcileStore

    store = JournaledPassStore(asked.campaign.settings, asked.campaign)
    try:
        assert asked.action  # noqa: S101 - nothing is settled without an action
        return await ReconcileStore(store).settle(chosen, asked.action, now())
    finally:
        await store.close()


def confirmed(action: Decision, number: int) -> bool:
    """Ask on the terminal."""
    what = "will be messaged by the next pass" if action.value == "resend" else "will count as sent"
    return agreed_to(f"{counted(number, 'user')} {what}")


def print_listing(found: Listing, asked: ReconcileArguments) -> None:
    """Print the deliveries, and how many were swept or are still in a pass."""
    from ozh_notify.users.describe import moment

    number = counted(len(found.entries), "delivery", "deliveries")
    only_named = asked.which.claims and not asked.which.chats
    which = "that the log names" if only_named else f"in {asked.which.state.value}"
    print_deliveries(
        f"{asked.campaign.name}: {number} {which}",
        found.entries,
        asked.campaign.settings,
        asked.redact,
    )
    if found.swept:
        swept = counted(found.swept, "delivery", "deliveries")
        print_line(f"{swept} of an earlier pass that died became unknown just now", asked.redact)
    if found.sending:
        until = found.sending_until
        when = f" at {moment(until, asked.campaign.settings)}" if until else ""
        print_line(
            f"{found.sending} more in sending: a pass holds them until its lease ends{when}",
            asked.redact,
        )


def print_settled(done: Settled, action: Decision, found: Listing, redact: Redact) -> None:
    """Print how many were settled, and what has to wait."""
    if done.agreed:
        also = (
            f"; {done.changed} left as they were: changed by another process, or refused by MongoDB"
        )
        print_line(
            f"now {action.target.value}: {done.settled}{also if done.changed else ''}", redact
        )
    elif found.entries and not done.postponed:
        print_line("none of them was changed", redact)
    if done.postponed:
        them = counted(done.postponed, "delivery", "deliveries")
        were = "was" if done.postponed == 1 else "were"
        print_line(
            f"{them} became unknown just now and {were} not settled: look, then run it again",
            redact,
        )
