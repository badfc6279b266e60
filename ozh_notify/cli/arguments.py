"""Arguments and options that several commands share, each declared once."""

from __future__ import annotations

import difflib
from datetime import timedelta
from typing import Annotated

import typer
from typer.models import ArgumentInfo

from ozh_notify.campaigns import Campaign, registry


def name_campaigns() -> None:
    """Let the help of CAMPAIGN name those that exist."""
    names = f"One of: {', '.join(registry())}."
    CAMPAIGN.help, ANY_CAMPAIGN.help = names, f"{names} All of them when left out."


def campaign_named(name: str) -> type[Campaign]:
    """The campaign of that name.

    Raises:
        typer.BadParameter: it does not exist; with the nearest name.
    """
    campaigns = registry()
    if name in campaigns:
        return campaigns[name]
    near = difflib.get_close_matches(name.replace("_", "-"), campaigns, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(campaigns)}"
    raise typer.BadParameter(f"{name!r} is not a campaign: {hint}", param_hint="CAMPAIGN")


def complete_campaign(incomplete: str) -> list[str]:
    """Names that begin so, for the shell's completion."""
    return [name for name in registry() if name.startswith(incomplete)]


CAMPAIGN: ArgumentInfo = typer.Argument(
    metavar="CAMPAIGN", show_default=False, autocompletion=complete_campaign
)
ANY_CAMPAIGN: ArgumentInfo = typer.Argument(
    metavar="CAMPAIGN", show_default=False, autocompletion=complete_campaign
)


def check_age(hours: float | None, lease: timedelta) -> None:
    """Refuse to free a claim that a pass may still send on.

    Raises:
        typer.BadParameter: the age in hours is not above the lease.
    """
    if hours is not None and timedelta(hours=hours) <= lease:
        raise typer.BadParameter(
            f"a pass may hold a claim for {lease}: expected more", param_hint="--older-than"
        )


CampaignName = Annotated[str, CAMPAIGN]
AnyCampaignName = Annotated[str | None, ANY_CAMPAIGN]
UserName = Annotated[
    str,
    typer.Argument(
        metavar="USER",
        show_default=False,
        help="A chat id, an _id, or @username where OZH_FIELD_USERNAME is set.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before writing.")]
