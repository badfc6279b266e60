"""The options of a pass, each declared once, and what their text means."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import Campaign
from ozh_notify.users.recipient import CHAT_ID_BOUND, parse_language

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings

YEARS = range(1970, 9999)
"""The years ``--at`` takes, so that subtracting the largest age stays in range."""

DryRun = Annotated[
    bool,
    typer.Option("-n", "--dry-run", help="Scan for real, but write nothing and send nothing."),
]
At = Annotated[
    str | None,
    typer.Option(metavar="ISO8601", help="With --dry-run: as if it were that moment."),
]
Limit = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Message at most N users in this pass.")
]
User = Annotated[
    list[int] | None,
    typer.Option(
        min=1,
        max=CHAT_ID_BOUND - 1,
        metavar="CHAT_ID",
        help="Message only these users; repeat it for several. With --test-to: whose message.",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Also message users in `sent` who qualify again. For campaigns that are sent once.",
    ),
]
TestTo = Annotated[
    int | None, typer.Option(metavar="CHAT_ID", help="Send a sample to this chat only.")
]
Language = Annotated[
    str | None,
    typer.Option("--lang", metavar="LANG", help="With --test-to: the language of the sample."),
]
Rate = Annotated[
    float | None,
    typer.Option(
        min=0.01, max=100_000, metavar="N", help="Messages per second, instead of OZH_RATE_LIMIT."
    ),
]
MaxRecipients = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="The recipient limit, instead of OZH_MAX_RECIPIENTS: "
        "a pass that would message more users refuses to start.",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="This process is number I of N that share the work."),
]
AnyTime = Annotated[
    bool,
    typer.Option("--any-time", help="Also run before the campaign's hour and in quiet hours."),
]
NewBot = Annotated[
    bool,
    typer.Option(
        "--new-bot",
        help="Accept that this token is another bot's than the one that delivered so far.",
    ),
]


def check_combination(
    campaign: type[Campaign],
    *,
    dry_run: bool,
    at: str | None,
    again: bool,
    test_to: int | None,
    rate: float | None,
) -> None:
    """Refuse options that do not go together.

    Raises:
        typer.BadParameter: some do not.
    """
    if rate is not None and math.isnan(rate):
        raise typer.BadParameter("expected a number", param_hint="--rate")
    if at is not None and not dry_run:
        raise typer.BadParameter("it goes with --dry-run only", param_hint="--at")
    if dry_run and test_to is not None:
        raise typer.BadParameter("a dry run sends nothing", param_hint="--test-to")
    if again and (days := campaign.period_days()):
        when = "every day" if days == 1 else f"after {days} days"
        raise typer.BadParameter(
            f"{campaign.name} is sent again {when} anyway", param_hint="--again"
        )


def check_sample(test_to: int | None, lang: str | None, users: Sequence[int]) -> None:
    """Refuse options that do not go with a sample, or not without one.

    Raises:
        typer.BadParameter: some do not.
    """
    if lang is not None and test_to is None:
        raise typer.BadParameter("it goes with --test-to only", param_hint="--lang")
    if lang is not None and not parse_language(lang):
        raise typer.BadParameter("expected a language code such as en", param_hint="--lang")
    if test_to is not None and len(users) > 1:
        raise typer.BadParameter("a sample is one user's message: name one", param_hint="--user")


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


def parse_moment(text: str, settings: Settings, option: str) -> datetime:
    """An ISO 8601 date or moment; without an offset it is in `OZH_TIMEZONE`.

    Raises:
        typer.BadParameter: it is not such a moment.
    """
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=settings.zone)
        moment = moment.astimezone(timezone.utc)
        if moment.year not in YEARS:
            raise ValueError
        return moment
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"expected a moment such as 2026-11-24T11:00, not {text!r}", param_hint=option
        ) from None
