"""``ozh-notify discount``, ``ozh-notify daily-bonus``, and the pass of any further campaign."""

from __future__ import annotations

import functools
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import typer

from ozh_notify import __version__
from ozh_notify.campaigns import Campaign, registry
from ozh_notify.cli import pass_options
from ozh_notify.cli.arguments import AsJson
from ozh_notify.cli.imports import imports_with_signals_blocked
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.errors import Incomplete, OzhError
from ozh_notify.logs import Redactor, name_pass
from ozh_notify.passes.result import PassOptions, Result

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.messaging.sender import TelegramSender


@dataclass(frozen=True)
class PassArguments:
    """The command line of one pass."""

    common: GlobalOptions
    options: PassOptions
    overrides: dict[str, float | None]
    test_to: int | None
    as_json: bool
    at: str | None
    lang: str | None = None


def add(app: typer.Typer, campaign: type[Campaign]) -> None:
    """Add the command that makes one pass of a campaign."""
    app.command(campaign.name, help=campaign.summary)(parse_pass_command)


def parse_pass_command(
    context: typer.Context,
    dry_run: pass_options.DryRun = False,
    at: pass_options.At = None,
    limit: pass_options.Limit = None,
    user: pass_options.User = None,
    again: pass_options.Again = False,
    test_to: pass_options.TestTo = None,
    lang: pass_options.Language = None,
    rate: pass_options.Rate = None,
    max_recipients: pass_options.MaxRecipients = None,
    shard: pass_options.Shard = None,
    as_json: AsJson = False,
    any_time: pass_options.AnyTime = False,
    new_bot: pass_options.NewBot = False,
) -> None:
    """Make one pass of the campaign that the command is called after."""
    campaign = registry()[str(context.command.name)]
    pass_options.check_combination(
        campaign, dry_run=dry_run, at=at, again=again, test_to=test_to, rate=rate
    )
    pass_options.check_sample(test_to, lang, user or ())
    options = PassOptions(
        dry_run=dry_run,
        limit=limit,
        chats=tuple(user or ()),
        again=again,
        any_time=any_time,
        new_bot=new_bot,
        shard=pass_options.parse_shard(shard),
    )
    overrides: dict[str, float | None] = {
        "OZH_RATE_LIMIT": rate,
        "OZH_MAX_RECIPIENTS": max_recipients,
    }
    asked = PassArguments(context.obj, options, overrides, test_to, as_json, at, lang)
    raise typer.Exit(run_pass_command(campaign, asked))


def run_pass_command(campaign: type[Campaign], asked: PassArguments) -> int:
    """Run a pass or send a sample; returns its exit code, and prints a result in any case."""
    import asyncio

    started_at, redact = datetime.now(timezone.utc), Redactor()
    try:
        import_pass()
        needs_token = not asked.options.dry_run
        settings, redact = asked.common.load(needs_token=needs_token, options=asked.overrides)
        work = run_pass if asked.test_to is None else send_sample_message
        return asyncio.run(work(campaign(settings), asked, redact))
    except typer.BadParameter:
        raise
    except OzhError as error:
        ended: OzhError = error
    except BaseException as other:
        ended = translate_unexpected(other, redact)
    result = Result.without_pass(
        campaign.name, started_at, dry_run=asked.options.dry_run, error=ended
    )
    print_pass_result(result, asked, redact)
    if asked.test_to is None:
        from ozh_notify.monitoring.failure import report_failure

        report_failure(campaign, asked.options, asked.common.env_file, result)
    return result.exit_code


def import_pass() -> None:
    """Import all that a pass needs at once; later imports find it."""
    with imports_with_signals_blocked():
        from ozh_notify import monitoring  # noqa: F401 - loaded for those who import it later
        from ozh_notify.cli import pass_result, progress  # noqa: F401
        from ozh_notify.config import load  # noqa: F401
        from ozh_notify.messaging import sender  # noqa: F401
        from ozh_notify.mongo import journaled_pass_store  # noqa: F401
        from ozh_notify.passes import run  # noqa: F401


def translate_unexpected(error: BaseException, redact: Redactor) -> OzhError:
    """An interruption, or a bug, whose traceback is printed.

    A signal while pydantic builds its classes comes out as a panic of the Rust within: neither
    an Exception nor a KeyboardInterrupt, but with the name of one in its text.
    """
    signs = ("KeyboardInterrupt", "SystemExit")
    panicked = not isinstance(error, Exception) and any(sign in str(error) for sign in signs)
    if panicked or isinstance(error, (KeyboardInterrupt, SystemExit)):
        return Incomplete("interrupted")
    print(redact(traceback.format_exc()), file=sys.stderr)
    return OzhError(f"a bug in ozh-notify: {type(error).__name__}; its traceback is on stderr")


async def run_pass(campaign: Campaign, asked: PassArguments, redact: Redactor) -> int:
    """One pass; these imports load the driver and Telegram."""
    import asyncio

    from ozh_notify.cli.progress import show_progress
    from ozh_notify.clock import Clock
    from ozh_notify.mongo.journaled_pass_store import JournaledPassStore
    from ozh_notify.monitoring import Monitoring
    from ozh_notify.passes.run import Pass
    from ozh_notify.passes.stop import Stop

    options = complete_options(campaign, asked)
    stop = Stop()
    stop.listen()
    running = Pass(campaign, options, stop, Clock(), __version__)
    name_pass(running.run_id, campaign.name)
    progress = asyncio.create_task(show_progress(running))
    monitoring = Monitoring.of(campaign, options, redact, stop)
    monitoring.begin()
    async with AsyncExitStack() as servers:
        open_sender = functools.cache(lambda: make_sender(campaign.settings, servers))
        result = await running.run(
            lambda: JournaledPassStore(campaign.settings, campaign),
            None if options.dry_run else open_sender,
        )
        progress.cancel()
        await asyncio.wait({progress})
        print_pass_result(result, asked, redact)
        await monitoring.ended(result, running, open_sender)
    if stop.since_signal():
        # A thread of the driver or of the name resolver may hang: do not wait for it.
        sys.stderr.flush()
        os._exit(result.exit_code)
    return result.exit_code


def make_sender(settings: Settings, servers: AsyncExitStack) -> TelegramSender:
    """The sender of a pass and of its digest; ``servers`` closes it."""
    from ozh_notify.messaging.sender import TelegramSender

    sender = TelegramSender(settings)
    servers.push_async_callback(sender.close)
    return sender


def complete_options(campaign: Campaign, asked: PassArguments) -> PassOptions:
    """The options, with what only the settings tell: the zone of ``--at``, and the shard."""
    options, settings = asked.options, campaign.settings
    if asked.at is not None:
        options = replace(options, at=pass_options.parse_moment(asked.at, settings, "--at"))
    if options.shard is None and settings.shards and settings.shard_index is not None:
        options = replace(options, shard=(settings.shard_index, settings.shards))
    return options


async def send_sample_message(campaign: Campaign, asked: PassArguments, redact: Redactor) -> int:
    """``--test-to``: a sample to one chat."""
    from ozh_notify.messaging.sender import TelegramSender
    from ozh_notify.passes.sample_send import send_sample

    started_at = datetime.now(timezone.utc)
    user = await find_sample_user(campaign, asked.options.chats)
    sender = TelegramSender(campaign.settings)
    bot, outcome = await send_sample(campaign, sender, asked.test_to or 0, asked.lang or "", user)
    result = Result.without_pass(campaign.name, started_at, bot=bot, sent=1)
    print_pass_result(result, asked, redact)
    logging.getLogger(__name__).info(
        "message %s went to chat %s", outcome.message_id, asked.test_to
    )
    return result.exit_code


async def find_sample_user(campaign: Campaign, chats: tuple[int, ...]) -> Mapping[str, Any] | None:
    """The document of the user whose message is the sample, where ``--user`` names one."""
    if not chats:
        return None
    from ozh_notify.mongo.operator_queries import OperatorQueries

    async with OperatorQueries(campaign.settings) as queries:
        return (await queries.find(str(chats[0])))[0]


def print_pass_result(result: Result, asked: PassArguments, redact: Redactor) -> None:
    """Print the result on stdout, and what ended it on stderr, where no JSON holds it."""
    from ozh_notify.cli.pass_result import print_error, print_result

    print_result(result, redact, as_json=asked.as_json)
    if sys.stderr.isatty() or not asked.as_json:
        print_error(result, redact)
