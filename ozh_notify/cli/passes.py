"""``ozh-notify discount``, ``ozh-notify daily-bonus``, and any further campaign's pass."""

from __future__ import annotations

import functools
import logging
import math
import os
import re
import sys
import traceback
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Annotated

import typer

from ozh_notify import __version__
from ozh_notify.campaigns import Campaign
from ozh_notify.cli.imports import imports_with_signals_blocked
from ozh_notify.cli.loop import run_async
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.errors import Incomplete, OzhError
from ozh_notify.logs import Redactor
from ozh_notify.passes.result import PassOptions, Result
from ozh_notify.users.recipient import CHAT_ID_BOUND

YEARS = range(1970, 9999)
"""The years ``--at`` knows: from any of them the longest age can still be reckoned back."""


@dataclass(frozen=True)
class PassArguments:
    """The command line of one pass."""

    common: GlobalOptions
    options: PassOptions
    overrides: dict[str, float | None]
    test_to: int | None
    as_json: bool
    at: str | None


def add(app: typer.Typer, campaign: type[Campaign]) -> None:
    """Add the command that makes one pass of a campaign."""

    def command(
        context: typer.Context,
        dry_run: Annotated[
            bool, typer.Option("-n", "--dry-run", help="Scan for real; write and send nothing.")
        ] = False,
        at: Annotated[
            str | None,
            typer.Option(metavar="ISO8601", help="With --dry-run: as if it were that moment."),
        ] = None,
        limit: Annotated[
            int | None, typer.Option(min=0, help="Message at most N users in this pass.")
        ] = None,
        user: Annotated[
            list[int] | None,
            typer.Option(
                min=1,
                max=CHAT_ID_BOUND - 1,
                metavar="CHAT_ID",
                help="Only these users (repeatable).",
            ),
        ] = None,
        again: Annotated[
            bool,
            typer.Option("--again", help="Also users in `sent` who qualify again. Discount only."),
        ] = False,
        test_to: Annotated[
            int | None, typer.Option(metavar="CHAT_ID", help="Send a preview to this chat only.")
        ] = None,
        rate: Annotated[
            float | None,
            typer.Option(min=0.01, max=100_000, help="Messages per second; OZH_RATE_LIMIT."),
        ] = None,
        max_recipients: Annotated[
            int | None, typer.Option(min=0, help="The fuse; OZH_MAX_RECIPIENTS.")
        ] = None,
        shard: Annotated[
            str | None, typer.Option(metavar="I/N", help="Number I of N that share the work.")
        ] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")
        ] = False,
        any_time: Annotated[
            bool, typer.Option("--any-time", help="Also before the hour, also in quiet hours.")
        ] = False,
    ) -> None:
        if rate is not None and math.isnan(rate):
            raise typer.BadParameter("expected a number", param_hint="--rate")
        if at is not None and not dry_run:
            raise typer.BadParameter("it goes with --dry-run only", param_hint="--at")
        if dry_run and test_to is not None:
            raise typer.BadParameter("a dry run sends nothing", param_hint="--test-to")
        if again and campaign.once == "day":
            raise typer.BadParameter(
                f"{campaign.name} comes back every day by itself", param_hint="--again"
            )
        options = PassOptions(
            dry_run=dry_run,
            limit=limit,
            chats=tuple(user or ()),
            again=again,
            any_time=any_time,
            shard=parse_shard(shard),
        )
        overrides: dict[str, float | None] = {
            "OZH_RATE_LIMIT": rate,
            "OZH_MAX_RECIPIENTS": max_recipients,
        }
        asked = PassArguments(context.obj, options, overrides, test_to, as_json, at)
        raise typer.Exit(run_pass_command(campaign, asked))

    app.command(campaign.name, help=campaign.summary)(command)


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """``I/N`` as numbers.

    Raises:
        typer.BadParameter: it is not I/N with 0 <= I < N <= 1000.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if not match or not int(match[1]) < int(match[2]) <= 1000:
        raise typer.BadParameter("expected I/N with 0 <= I < N, as in 0/4", param_hint="--shard")
    return int(match[1]), int(match[2])


def parse_at(text: str, campaign: Campaign) -> datetime:
    """An ISO 8601 moment; without an offset it is in `OZH_TIMEZONE`.

    Raises:
        typer.BadParameter: it is no such moment.
    """
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=campaign.settings.zone)
        moment = moment.astimezone(timezone.utc)
        if moment.year not in YEARS:
            raise ValueError
        return moment
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"expected a moment such as 2026-11-24T11:00, not {text!r}", param_hint="--at"
        ) from None


def run_pass_command(campaign: type[Campaign], asked: PassArguments) -> int:
    started_at, redact = datetime.now(timezone.utc), Redactor()
    try:
        _load()
        needs_token = not asked.options.dry_run
        settings, redact = asked.common.load(needs_token=needs_token, options=asked.overrides)
        work = _run if asked.test_to is None else _trial
        return run_async(work(campaign(settings), asked, redact))
    except typer.BadParameter:
        raise
    except OzhError as error:
        ended: OzhError = error
    except BaseException as other:
        ended = _other(other, redact)
    result = Result.without_pass(
        campaign.name, started_at, dry_run=asked.options.dry_run, error=ended
    )
    print_pass_result(result, asked, redact)
    if asked.test_to is None:
        from ozh_notify.monitoring.failure import report_failure  # noqa: PLC0415

        report_failure(campaign, asked.options, asked.common.env_file, result)
    return result.exit_code


def _load() -> None:
    """All of a pass at once; later imports find it."""
    with imports_with_signals_blocked():
        from ozh_notify import monitoring  # noqa: F401, PLC0415
        from ozh_notify.cli import output  # noqa: F401, PLC0415
        from ozh_notify.config import load  # noqa: F401, PLC0415
        from ozh_notify.messaging import sender  # noqa: F401, PLC0415
        from ozh_notify.mongo import pass_store  # noqa: F401, PLC0415
        from ozh_notify.passes import run  # noqa: F401, PLC0415


def _other(error: BaseException, redact: Redactor) -> OzhError:
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


async def _run(campaign: Campaign, asked: PassArguments, redact: Redactor) -> int:
    """One pass; these imports load the driver and Telegram."""
    import asyncio  # noqa: PLC0415

    from ozh_notify.cli.output import show_progress  # noqa: PLC0415
    from ozh_notify.clock import Clock  # noqa: PLC0415
    from ozh_notify.messaging.sender import TelegramSender  # noqa: PLC0415
    from ozh_notify.mongo.pass_store import MongoPassStore  # noqa: PLC0415
    from ozh_notify.monitoring import Monitoring  # noqa: PLC0415
    from ozh_notify.passes.run import Pass  # noqa: PLC0415
    from ozh_notify.passes.stop import Stop  # noqa: PLC0415

    settings, options = campaign.settings, asked.options
    stop = Stop()
    stop.listen()
    if asked.at is not None:
        options = replace(options, at=parse_at(asked.at, campaign))
    if options.shard is None and settings.shards and settings.shard_index is not None:
        options = replace(options, shard=(settings.shard_index, settings.shards))
    running = Pass(campaign, options, stop, Clock(), __version__)
    progress = asyncio.create_task(show_progress(running))
    monitoring = Monitoring.of(campaign, options, redact, stop)
    monitoring.begin()
    sender = functools.cache(lambda: TelegramSender(settings))
    result = await running.run(
        lambda: MongoPassStore(settings, campaign), None if options.dry_run else sender
    )
    progress.cancel()
    await asyncio.wait({progress})
    print_pass_result(result, asked, redact)
    await monitoring.ended(result, running, sender)
    if stop.since_signal():
        # A thread of the driver or of the name resolver may hang: do not wait for it.
        sys.stderr.flush()
        os._exit(result.exit_code)
    return result.exit_code


async def _trial(campaign: Campaign, asked: PassArguments, redact: Redactor) -> int:
    """``--test-to``: a preview to one chat."""
    from ozh_notify.messaging.sender import TelegramSender  # noqa: PLC0415
    from ozh_notify.passes.sample_send import send_sample  # noqa: PLC0415

    started_at = datetime.now(timezone.utc)
    bot, outcome = await send_sample(
        campaign, TelegramSender(campaign.settings), asked.test_to or 0
    )
    result = Result.without_pass(campaign.name, started_at, bot=bot, sent=1)
    print_pass_result(result, asked, redact)
    logging.getLogger(__name__).info(
        "message %s went to chat %s", outcome.message_id, asked.test_to
    )
    return result.exit_code


def print_pass_result(result: Result, asked: PassArguments, redact: Redactor) -> None:
    from ozh_notify.cli.output import print_result  # noqa: PLC0415

    print_result(result, as_json=asked.as_json, redact=redact)
