"""The command of a campaign that cannot be used: it says why, and ends with 78."""

from __future__ import annotations

from collections.abc import Callable

import typer

from ozh_notify.campaigns import BrokenCampaign, broken_campaigns
from ozh_notify.errors import ConfigError


def add(app: typer.Typer) -> None:
    """Add one command a broken campaign, unless another command has its name."""
    taken = {command.name for command in app.registered_commands}
    for campaign in broken_campaigns():
        if campaign.name not in taken:
            app.command(
                campaign.name,
                help=f"Cannot be used: {campaign.reason}",
                context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
            )(_refuse(campaign))


def _refuse(campaign: BrokenCampaign) -> Callable[[], None]:
    def refuse() -> None:
        raise ConfigError(f"the campaign {campaign.name} cannot be used: {campaign.reason}")

    return refuse
