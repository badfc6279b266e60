"""``ozh-notify recall``: takes the messages of one run back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ozh_notify.campaigns import Campaign
from ozh_notify.cli.arguments import AsJson, CampaignName, Yes, campaign_named
from ozh_notify.cli.confirmation import agreed_to, check_terminal
from ozh_notify.cli.options import GlobalOptions, now
from ozh_notify.cli.output import Redact, print_json, print_line
from ozh_notify.errors import ConfigError, Exit
from ozh_notify.wording import counted

if TYPE_CHECKING:
    from ozh_notify.messaging.deletion import RecallOutcome
    from ozh_notify.operator.recall import Recall
    from ozh_notify.users.sent_message import SentMessage

Run = Annotated[
    str,
    typer.Option(
        "--run", metavar="ID", show_default=False, help="The run whose messages are taken back."
    ),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("recall")(run_recall_command)


def run_recall_command(
    context: typer.Context,
    campaign: CampaignName,
    run: Run,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete the messages of one run from the chats, as far as Telegram allows: for 48 hours.

    Exit 75: some are left; run it again. Exit 78: there is no such run, or the journal is off.
    """
    import asyncio

    kind = campaign_named(campaign)
    if not yes:
        check_terminal()
    common: GlobalOptions = context.obj
    settings, redact = common.load(needs_token=True)
    if not settings.journal_collection:
        raise ConfigError("nothing can be taken back: OZH_JOURNAL_COLLECTION is off")
    raise typer.Exit(asyncio.run(recall_run(kind(settings), run, yes, as_json, redact)))


async def recall_run(
    campaign: Campaign, run: str, yes: bool, as_json: bool, redact: Redact
) -> Exit:
    """Say how many there are, ask, delete, and say what came of it."""
    from ozh_notify.messaging.deletion import RecallOutcome
    from ozh_notify.mongo.recall_queries import RecallQueries
    from ozh_notify.operator.recall import expected

    async with RecallQueries(campaign.settings) as queries:
        messages = await queries.messages(campaign, run)
        known = await queries.run_document(run)
        if known is None and not messages:
            raise ConfigError(
                f"no pass of {campaign.name} has the run id {run!r}: "
                f"ozh-notify status {campaign.name} lists runs"
            )
        due = [m for m in messages if expected(m, now()) is RecallOutcome.LEFT]
        if not as_json:
            print_due(campaign, run, messages, due, redact)
        if not due or not (
            yes or agreed_to(f"{counted(len(due), 'message')} will be deleted from the chats")
        ):
            outcomes = Counter(expected(message, now()) for message in messages)
            return print_recalled(campaign, run, {}, outcomes, as_json, redact, agreed=not due)
        recall, outcomes = await delete_messages(campaign, queries, messages, known or {})
        details = {key: answer for key, answer in recall.outcomes.items() if answer.error}
        code = print_recalled(campaign, run, details, outcomes, as_json, redact, agreed=True)
        if recall.error:
            raise recall.error
        return code


async def delete_messages(
    campaign: Campaign, queries: Any, messages: Sequence[SentMessage], known: Mapping[str, Any]
) -> tuple[Recall, Counter[RecallOutcome]]:
    """Delete them as the bot that sent them.

    Raises:
        ConfigError: another bot has sent them.
    """
    from ozh_notify.clock import Clock
    from ozh_notify.messaging.pacer import Pacer
    from ozh_notify.messaging.sender import TelegramSender
    from ozh_notify.operator.recall import Recall
    from ozh_notify.passes.stop import Stop

    settings = campaign.settings
    stop, clock = Stop(), Clock()
    stop.listen()
    bot = TelegramSender(settings)
    try:
        username = await bot.open()
        if known.get("bot") not in (None, username):
            raise ConfigError(
                f"the bot @{known['bot']} has sent these messages, and TELEGRAM_BOT_TOKEN is the "
                f"token of @{username}: only the bot that sent a message can delete it"
            )
        pacer = Pacer(settings.rate_limit, settings.flood_budget_seconds, clock)
        recall = Recall(bot, queries, pacer, stop, clock)
        return recall, await recall.run(messages)
    finally:
        await bot.close()


def print_due(
    campaign: Campaign,
    run: str,
    messages: Sequence[SentMessage],
    due: Sequence[SentMessage],
    redact: Redact,
) -> None:
    """Say how many messages there are, and how many can still be taken back."""
    of_run = f"{campaign.name}, run {run}: {counted(len(messages), 'message')}"
    print_line(f"{of_run}, {len(due)} of them can still be taken back", redact)


def print_recalled(
    campaign: Campaign,
    run: str,
    details: Mapping[tuple[int, int], Any],
    outcomes: Counter[RecallOutcome],
    as_json: bool,
    redact: Redact,
    *,
    agreed: bool,
) -> Exit:
    """Print the counts; returns the exit code."""
    from ozh_notify.messaging.deletion import RecallOutcome

    counts = {outcome.value: outcomes[outcome] for outcome in RecallOutcome}
    if as_json:
        errors = [
            {"chat_id": chat, "message_id": number, "error": answer.error}
            for (chat, number), answer in details.items()
        ]
        head = {"campaign": campaign.name, "run": run, "agreed": agreed}
        print_json({**head, **counts, "errors": errors}, redact)
    else:
        print_line(", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing", redact)
    return Exit.INCOMPLETE if agreed and outcomes[RecallOutcome.LEFT] else Exit.OK
