"""The dry run: counts per reason, first recipients, one message, time and cost."""

from __future__ import annotations

import logging
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.config.settings import Settings
from ozh_notify.errors import OzhError
from ozh_notify.messaging.composer import Composer
from ozh_notify.messaging.message import plain_text
from ozh_notify.passes.ports import PassStore
from ozh_notify.passes.result import DryRunDetails
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidates
from ozh_notify.users.recipient import at_path, clean_name, parse_chat_id, parse_language

log = logging.getLogger(__name__)

FIRST_RECIPIENTS = 10
"""Recipients a dry run shows."""
FREE_RATE = 30
"""Messages per second above which paid broadcast is charged (Bots FAQ)."""
STARS_EACH = 0.1
"""Stars per message above the free rate (Bots FAQ)."""
NOBODY: dict[str, Any] = {"first_name": "Анна", "language": "", "chat_id": 0}
"""The message is rendered for this name where no user is found."""


async def hold_counts(store: PassStore, query: Query) -> dict[str, int]:
    """Why users of the population are held back; without it the rest is shown all the same."""
    try:
        return await store.funnel(query)
    except OzhError as error:
        log.warning("the reasons why users are held back are not shown: %s", error)
        return {}


async def describe(
    store: PassStore,
    campaign: Campaign,
    composer: Composer,
    found: Candidates,
    limit: int | None,
    rate: float,
) -> DryRunDetails:
    """What a pass would do; ``rate`` is in messages per second."""
    count = found.valid if limit is None else min(limit, found.valid)
    first = found.first(min(FIRST_RECIPIENTS, count))
    users = await store.users_by_id(first)
    recipients = tuple(_recipient(user, campaign.settings, composer) for user in users)
    sample = recipients[0] if recipients else NOBODY
    message = composer.compose(
        str(sample["first_name"]),
        str(sample["language"]),
        int(sample["chat_id"] or 0),
        composer.fields_of(users[0]) if users else {},
    )
    return DryRunDetails(
        population=campaign.population,
        recipients=recipients,
        text=plain_text(message),
        template=str(composer.file_for(str(sample["language"]))),
        buttons=tuple(str(button) for button in message.buttons),
        media=str(message.media) if message.media else None,
        seconds=round(count / rate, 1),
        stars=_stars(count, campaign.settings),
        held_out=found.controls,
    )


def _recipient(user: dict[str, Any], settings: Settings, composer: Composer) -> dict[str, Any]:
    language = parse_language(at_path(user, settings.field_language))
    return {
        "id": str(user["_id"]),
        "chat_id": parse_chat_id(at_path(user, settings.field_chat_id)),
        "first_name": clean_name(at_path(user, settings.field_first_name)),
        "language": language,
        "template": str(composer.file_for(language)),
    }


def _stars(count: int, settings: Settings) -> float | None:
    if not settings.paid_broadcast:
        return None
    charged = max(0.0, 1 - FREE_RATE / settings.rate_limit)
    return round(count * charged * STARS_EACH, 1)
