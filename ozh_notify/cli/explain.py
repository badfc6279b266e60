"""``ozh-notify explain``: why a user would or would not get a campaign's message."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from ozh_notify.campaigns import Campaign
from ozh_notify.cli.arguments import AsJson, CampaignName, UserName, campaign_named
from ozh_notify.cli.options import GlobalOptions, now
from ozh_notify.cli.output import Redact, print_json, print_line, print_table
from ozh_notify.errors import ConfigError

if TYPE_CHECKING:
    from ozh_notify.operator.explain import Explanation


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(run_explain_command)


def run_explain_command(
    context: typer.Context, campaign: CampaignName, user: UserName, as_json: AsJson = False
) -> None:
    """Show each criterion with the user's own value, and the delivery state; writes nothing.

    Exit 78: no user is found. Then the chat id or the field mapping is wrong.
    """
    import asyncio

    kind = campaign_named(campaign)
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    found = asyncio.run(explain_user(kind(settings), user))
    if as_json:
        print_json(found.as_json(), redact)
    else:
        print_explanation(found, kind(settings), redact)


async def explain_user(campaign: Campaign, name: str) -> Explanation:
    """Look for the user, and ask the server about each criterion.

    Raises:
        ConfigError: no user has that name, or several documents have it.
    """
    from ozh_notify.mongo.operator_queries import OperatorQueries
    from ozh_notify.operator.explain import explain

    async with OperatorQueries(campaign.settings) as queries:
        found = await queries.find(name)
        if len(found) > 1:
            ids = ", ".join(str(user["_id"]) for user in found[:5])
            raise ConfigError(f"{len(found)} documents match {name}: name one by its _id ({ids})")
        [user] = found

        async def matches(where: dict[str, Any]) -> bool:
            return await queries.matches(user["_id"], where)

        moment = now()
        entry = await read_entry(campaign, user, moment)
        return await explain(campaign, user, matches, moment, entry)


async def read_entry(
    campaign: Campaign, user: dict[str, Any], moment: datetime
) -> dict[str, Any] | None:
    """The journal's entry of this campaign, chat and period."""
    from ozh_notify.mongo.history_queries import HistoryQueries
    from ozh_notify.users.journal_period import entry_id
    from ozh_notify.users.recipient import at_path, parse_chat_id

    chat = parse_chat_id(at_path(user, campaign.settings.field_chat_id))
    if not campaign.settings.journal_collection or chat is None:
        return None
    async with HistoryQueries(campaign.settings) as queries:
        return await queries.entry_that_holds(entry_id(campaign, chat, moment))


def print_explanation(found: Explanation, campaign: Campaign, redact: Redact) -> None:
    """Print the criteria, the delivery state and the verdict."""
    from ozh_notify.users.describe import value

    who = f"chat {found.chat_id}, _id {found.user}, {found.first_name or 'without a name'}"
    rows = [(a.question, a.value, "yes" if a.yes else "no", a.why) for a in found.answers]
    columns = ("criterion", "this user's", "", "what stands in the way")
    print_table(f"{found.campaign}: {who}", columns, rows, redact)
    if found.delivery:
        state = [
            (key, kept if isinstance(kept, str) else value(kept, campaign.settings))
            for key, kept in found.delivery.items()
        ]
        print_table("delivery state", ("", ""), state, redact)
    print_line(found.verdict, redact)
