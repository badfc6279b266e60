"""``ozh-notify history``: everything the journal holds of one user."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import typer

from ozh_notify.campaigns import registry
from ozh_notify.cli.arguments import AsJson, UserName
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.cli.output import Redact, print_json, print_line, print_table
from ozh_notify.errors import ConfigError

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.operator.history import Delivery

COLUMNS = ("campaign", "claimed", "outcome", "run", "message", "experiment", "note")


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("history")(run_history_command)


def run_history_command(context: typer.Context, user: UserName, as_json: AsJson = False) -> None:
    """Show everything that the journal holds of one user, the newest first; writes nothing.

    Exit 78: neither the users nor the journal know this user, or the journal is off.
    """
    import asyncio

    common: GlobalOptions = context.obj
    settings, redact = common.load()
    if not settings.journal_collection:
        raise ConfigError("there is no history: OZH_JOURNAL_COLLECTION is off")
    found = asyncio.run(read_history(settings, user))
    if as_json:
        deliveries = [delivery.as_json() for delivery in found]
        print_json({"user": user, "deliveries": deliveries}, redact)
    else:
        print_history(user, found, settings, redact)


async def read_history(settings: Settings, user: str) -> list[Delivery]:
    """Every delivery to this user."""
    from ozh_notify.mongo.history_queries import HistoryQueries
    from ozh_notify.operator.history import deliveries

    campaigns = [campaign(settings) for campaign in registry().values()]
    async with HistoryQueries(settings) as queries:
        return deliveries(await queries.history_of(user, campaigns))


def print_history(user: str, found: list[Delivery], settings: Settings, redact: Redact) -> None:
    """Print one row a delivery."""
    if not found:
        print_line(f"{user}: the journal has nothing about this user", redact)
        return
    rows = [
        (
            one.campaign,
            _time(one.claimed_at, settings),
            one.outcome,
            one.run,
            one.message_id,
            " ".join(part for part in (one.experiment, one.arm) if part),
            _note(one, settings),
        )
        for one in found
    ]
    print_table(f"history of {user}", COLUMNS, rows, redact)


def _note(one: Delivery, settings: Settings) -> str:
    recalled = f"taken back {_time(one.recalled_at, settings)}" if one.recalled_at else ""
    replaced = "sent once more later" if one.replaced else ""
    return "; ".join(part for part in (replaced, recalled, one.error or "") if part)


def _time(at: datetime | None, settings: Settings) -> str:
    from ozh_notify.users.describe import moment

    return moment(at, settings) if at else ""
