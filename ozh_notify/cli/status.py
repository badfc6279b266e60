"""``ozh-notify status``: what happened lately, and what is due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.cli.arguments import (
    campaign_named,
    complete_campaign,
    console,
    now,
    print_deliveries,
    print_json,
    print_table,
)
from ozh_notify.cli.loop import run_async
from ozh_notify.cli.options import GlobalOptions

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.operator.reconcile import StoredDelivery
    from ozh_notify.operator.status import Run, Status

Redact = Callable[[str], str]

MEANINGS = {
    "sending": "a pass has them in hand",
    "sent": "delivered",
    "retry": "not delivered; the next pass takes them",
    "unreachable": "blocked the bot, deactivated or not found",
    "rejected": "Telegram refused their message for good",
    "unknown": "may or may not have been delivered; see: ozh-notify reconcile {campaign}",
}


DUE = "a pass would find them; those without a usable chat id included"


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(command)


def command(
    context: typer.Context,
    campaign: Annotated[
        str | None,
        typer.Argument(
            metavar="CAMPAIGN",
            show_default=False,
            autocompletion=complete_campaign,
            help="All when left out.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="ID", help="With CAMPAIGN: who got what from this run."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Users by state, last runs, what is in doubt and what is due; writes nothing."""
    if run is not None and not campaign:
        raise typer.BadParameter("name its CAMPAIGN, too", param_hint="--run")
    chosen = [campaign_named(campaign)] if campaign else list(registry().values())
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    if run is not None:
        _print_run(chosen[0](settings), run, as_json, redact)
        return
    found = run_async(_read(settings, [c(settings) for c in chosen]))
    if as_json:
        print_json({"campaigns": [status.as_json() for status in found]}, redact)
        return
    for status in found:
        _print(status, settings, redact)


async def _read(settings: Settings, campaigns: Sequence[Campaign]) -> list[Status]:
    from ozh_notify.operator.status import StatusQueries  # noqa: PLC0415 - the driver

    async with StatusQueries(settings) as desk:
        return [await desk.status(campaign, now()) for campaign in campaigns]


def _print_run(campaign: Campaign, run: str, as_json: bool, redact: Redact) -> None:
    """Who got what from one run."""
    entries = run_async(_read_run(campaign, run))
    if as_json:
        deliveries = [entry.as_json() for entry in entries]
        print_json({"campaign": campaign.name, "run": run, "deliveries": deliveries}, redact)
        return
    title = f"{campaign.name}, run {run}: {len(entries)} users"
    print_deliveries(title, entries, campaign.settings, redact, runs=False)


async def _read_run(campaign: Campaign, run: str) -> list[StoredDelivery]:
    from ozh_notify.operator.status import StatusQueries  # noqa: PLC0415 - the driver

    async with StatusQueries(campaign.settings) as desk:
        return await desk.deliveries(campaign, run)


def _print(status: Status, settings: Settings, redact: Redact) -> None:
    rows: list[tuple[object, ...]] = [("due now", status.due, status.closed or DUE)]
    rows += [
        (
            state,
            count,
            _also(MEANINGS.get(state, "").format(campaign=status.campaign), status.held[state]),
        )
        for state, count in status.states.items()
    ]
    if status.lapsed:
        rows.append(("lapsed", status.lapsed, "of those in sending: unknown from the next pass on"))
    print_table(f"{status.campaign}: users", ("", "users", ""), rows, redact)
    if status.runs:
        runs = [_row(run, settings) for run in status.runs]
        title = "last runs, as the data still show them"
        print_table(title, ("run", "from", "to", "users by state"), runs, redact)
    doubt = status.oldest_unknown
    if doubt:
        text = f"oldest unknown: chat {doubt.chat_id}, since {_time(doubt.at, settings)}"
        console().print(redact(f"{text}, run {doubt.run}"), markup=False)


def _also(meaning: str, held: int) -> str:
    return f"{meaning} ({held} on hold)" if held else meaning


def _row(run: Run, settings: Settings) -> tuple[str, str, str, str]:
    states = ", ".join(f"{count} {state}" for state, count in run.states.items())
    return run.id or "?", _time(run.first, settings), _time(run.last, settings), states


def _time(moment: datetime | None, settings: Settings) -> str:
    from ozh_notify.users.describe import moment as shown  # noqa: PLC0415 - the driver

    return shown(moment, settings) if moment else "?"
