"""``ozh-notify status``: what happened lately, and what is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.cli.arguments import AnyCampaignName, AsJson, campaign_named
from ozh_notify.cli.deliveries import print_deliveries
from ozh_notify.cli.options import GlobalOptions, now
from ozh_notify.cli.output import Redact, count, print_json, print_line, print_table

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.operator.status import Run, Status
    from ozh_notify.users.settlement import StoredDelivery

MEANINGS = {
    "sending": "a pass is sending to them",
    "sent": "delivered",
    "retry": "not delivered; the next pass takes them",
    "unreachable": "blocked the bot, deactivated or not found",
    "rejected": "Telegram refused their message for good",
    "unknown": "may or may not have been delivered; see: ozh-notify reconcile {campaign}",
}

DUE = "a pass would find them; those without a usable chat id included"

OfRun = Annotated[
    str | None,
    typer.Option(metavar="ID", help="With CAMPAIGN: who got what from this run."),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(run_status_command)


def run_status_command(
    context: typer.Context,
    campaign: AnyCampaignName = None,
    run: OfRun = None,
    as_json: AsJson = False,
) -> None:
    """Show users by state, the last runs, what is in doubt and what is due; writes nothing."""
    import asyncio

    if run is not None and not campaign:
        raise typer.BadParameter("name its CAMPAIGN, too", param_hint="--run")
    chosen = [campaign_named(campaign)] if campaign else list(registry().values())
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    if run is not None:
        print_run(chosen[0](settings), run, as_json, redact)
        return
    found = asyncio.run(read_status(settings, [c(settings) for c in chosen]))
    if as_json:
        print_json({"campaigns": [status.as_json() for status in found]}, redact)
        return
    for status in found:
        print_status(status, settings, redact)


async def read_status(settings: Settings, campaigns: Sequence[Campaign]) -> list[Status]:
    """What the data say of each campaign."""
    from ozh_notify.operator.status import StatusQueries

    async with StatusQueries(settings) as queries:
        return [await queries.status(campaign, now()) for campaign in campaigns]


def print_run(campaign: Campaign, run: str, as_json: bool, redact: Redact) -> None:
    """Print who got what from one run."""
    import asyncio

    entries = asyncio.run(read_run(campaign, run))
    if as_json:
        deliveries = [entry.as_json() for entry in entries]
        print_json({"campaign": campaign.name, "run": run, "deliveries": deliveries}, redact)
        return
    title = f"{campaign.name}, run {run}: {count(len(entries), 'user')}"
    print_deliveries(title, entries, campaign.settings, redact, by_run=False)


async def read_run(campaign: Campaign, run: str) -> list[StoredDelivery]:
    """The deliveries of one run."""
    from ozh_notify.operator.status import StatusQueries

    async with StatusQueries(campaign.settings) as queries:
        return await queries.deliveries(campaign, run)


def print_status(status: Status, settings: Settings, redact: Redact) -> None:
    """Print the tables of one campaign."""
    rows: list[tuple[object, ...]] = [("due now", status.due, status.closed or DUE)]
    rows += [
        (state, number, _meaning(state, status.campaign, status.held[state]))
        for state, number in status.states.items()
    ]
    if status.lapsed:
        rows.append(("lapsed", status.lapsed, "of those in sending: unknown from the next pass on"))
    print_table(f"{status.campaign}: users", ("", "users", ""), rows, redact)
    if status.runs:
        runs = [_run_row(run, settings) for run in status.runs]
        title = "last runs, as the data still show them"
        print_table(title, ("run", "from", "to", "users by state"), runs, redact)
    doubt = status.oldest_unknown
    if doubt:
        text = f"oldest unknown: chat {doubt.chat_id}, since {_time(doubt.at, settings)}"
        print_line(f"{text}, run {doubt.run}", redact)


def _meaning(state: str, campaign: str, held: int) -> str:
    meaning = MEANINGS.get(state, "").format(campaign=campaign)
    return f"{meaning} ({held} on hold)" if held else meaning


def _run_row(run: Run, settings: Settings) -> tuple[str, str, str, str]:
    states = ", ".join(f"{number} {state}" for state, number in run.states.items())
    return run.id or "?", _time(run.first, settings), _time(run.last, settings), states


def _time(at: datetime | None, settings: Settings) -> str:
    from ozh_notify.users.describe import moment

    return moment(at, settings) if at else "?"
