"""``ozh-notify status``: what happened recently, and what is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.cli.arguments import AnyCampaignName, AsCsv, AsJson, campaign_named
from ozh_notify.cli.deliveries import print_deliveries
from ozh_notify.cli.options import GlobalOptions, now
from ozh_notify.cli.output import Redact, print_csv, print_json, print_line, print_table
from ozh_notify.cli.pass_options import parse_moment
from ozh_notify.wording import counted

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.operator.status import Run, SendingRun, Status
    from ozh_notify.users.settlement import StoredDelivery

MEANINGS = {
    "sending": "a pass is sending to them, or it died",
    "sent": "delivered",
    "retry": "not delivered; the next pass takes them",
    "unreachable": "blocked the bot, deactivated or not found",
    "rejected": "Telegram refused their message for good",
    "unknown": "may or may not have been delivered; see: ozh-notify reconcile {campaign}",
    "held_out": "control group of an experiment: no message, as planned",
}

DUE = "a pass would find them; those without a usable chat id included"

OfRun = Annotated[
    str | None,
    typer.Option(metavar="ID", help="With CAMPAIGN: who got what from this run."),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN", help="All runs since this date or moment (ISO 8601), not only the last 10."
    ),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(run_status_command)


def run_status_command(
    context: typer.Context,
    campaign: AnyCampaignName = None,
    run: OfRun = None,
    since: Since = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show users by state, the last runs, what is in doubt and what is due; writes nothing.

    Exit 78: no delivery names the run that --run asks for.
    """
    import asyncio

    if run is not None and not campaign:
        raise typer.BadParameter("name its CAMPAIGN, too", param_hint="--run")
    if as_json and as_csv:
        raise typer.BadParameter("it cannot be used with --json", param_hint="--csv")
    chosen = [campaign_named(campaign)] if campaign else list(registry().values())
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    if run is not None:
        show_run(chosen[0](settings), run, redact, as_json=as_json, as_csv=as_csv)
        return
    after = None if since is None else parse_moment(since, settings, "--since")
    found = asyncio.run(read_campaigns(settings, [c(settings) for c in chosen], after))
    if as_json:
        print_json({"campaigns": [status.as_json() for status in found]}, redact)
    elif as_csv:
        print_runs_csv(found, redact)
    else:
        for status in found:
            print_status(status, settings, redact)


async def read_campaigns(
    settings: Settings, campaigns: Sequence[Campaign], since: datetime | None
) -> list[Status]:
    """What the data say of each campaign."""
    from ozh_notify.mongo.journal_status import status_queries
    from ozh_notify.operator.status import read_status

    async with status_queries(settings) as queries:
        return [await read_status(queries, campaign, now(), since) for campaign in campaigns]


def show_run(campaign: Campaign, run: str, redact: Redact, *, as_json: bool, as_csv: bool) -> None:
    """Print who got what from one run."""
    import asyncio

    entries = asyncio.run(read_deliveries(campaign, run))
    if as_json:
        deliveries = [entry.as_json() for entry in entries]
        print_json({"campaign": campaign.name, "run": run, "deliveries": deliveries}, redact)
    elif as_csv:
        print_deliveries_csv(entries, redact)
    else:
        title = f"{campaign.name}, run {run}: {counted(len(entries), 'user')}"
        print_deliveries(title, entries, campaign.settings, redact, by_run=False)


async def read_deliveries(campaign: Campaign, run: str) -> list[StoredDelivery]:
    """The deliveries of one run."""
    from ozh_notify.mongo.journal_status import status_queries
    from ozh_notify.operator.status import read_run

    async with status_queries(campaign.settings) as queries:
        return await read_run(queries, campaign, run)


def print_deliveries_csv(entries: Sequence[StoredDelivery], redact: Redact) -> None:
    """Print one row a delivery."""
    columns = ("chat_id", "user", "state", "at", "message_id", "error")
    rows = [entry.as_json() for entry in entries]
    print_csv(columns, [[row[column] for column in columns] for row in rows], redact)


def print_runs_csv(found: Sequence[Status], redact: Redact) -> None:
    """Print one row a campaign, run and state."""
    columns = ("campaign", "run", "first", "last", "state", "users")
    rows = [
        (status.campaign, run.id, run.first, run.last, state, number)
        for status in found
        for run in status.runs
        for state, number in run.states.items()
    ]
    print_csv(columns, rows, redact)


def print_status(status: Status, settings: Settings, redact: Redact) -> None:
    """Print the tables of one campaign: first the last runs, and how they ended."""
    if status.runs:
        runs = [_run_row(run, settings) for run in status.runs]
        columns = ("run", "from", "to", "ended", "users by state")
        print_table(f"{status.campaign}: last runs", columns, runs, redact)
    rows: list[tuple[object, ...]] = [("due now", status.due, status.closed or DUE)]
    rows += [
        (state, number, _meaning(state, status.campaign, status.held[state]))
        for state, number in status.states.items()
    ]
    if status.lapsed:
        rows.append(("lapsed", status.lapsed, "of those in sending: the next pass settles them"))
    print_table(f"{status.campaign}: users", ("", "users", ""), rows, redact)
    for sending in status.sending:
        print_line(_sending_line(sending, settings), redact)
    if status.earlier:
        print_line(f"and {status.earlier} earlier: ozh-notify status --since WHEN", redact)
    doubt = status.oldest_unknown
    if doubt:
        text = f"oldest unknown: chat {doubt.chat_id}, since {_time(doubt.at, settings)}"
        print_line(f"{text}, run {doubt.run}", redact)


def _meaning(state: str, campaign: str, held: int) -> str:
    meaning = MEANINGS.get(state, "").format(campaign=campaign)
    return f"{meaning} ({held} on hold)" if held else meaning


def _sending_line(sending: SendingRun, settings: Settings) -> str:
    """Which run it is, and when it is sure that it died."""
    number = counted(sending.users, "user")
    until = f"until {_time(sending.until, settings)} at the latest; then the next pass settles them"
    return f"run {sending.run or '?'} is sending to {number} {until}"


def _run_row(run: Run, settings: Settings) -> tuple[str, str, str, str, str]:
    states = ", ".join(f"{number} {state}" for state, number in run.states.items())
    ended = ": ".join(part for part in (run.status, run.error) if part)
    times = _time(run.first, settings), _time(run.last, settings)
    return run.id or "?", *times, ended, states


def _time(at: datetime | None, settings: Settings) -> str:
    from ozh_notify.users.describe import moment

    return moment(at, settings) if at else "?"
