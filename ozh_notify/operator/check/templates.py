"""Templates, rendered for users of each language as a pass would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.message import (
    SAMPLE_NAMES,
    Composer,
    Unrenderable,
    plain_text,
)
from ozh_notify.operator.check.line import CheckResult, ok, problem
from ozh_notify.users import recipient
from ozh_notify.users.recipient import at_path

LONGEST = 60
"""Characters of a message that are shown."""


def template_results(
    sample: Sequence[dict[str, Any]], campaigns: Sequence[Campaign]
) -> list[CheckResult]:
    """A line for each template of each campaign."""
    return [line for campaign in campaigns for line in _of(campaign, sample)]


def _of(campaign: Campaign, sample: Sequence[dict[str, Any]]) -> Iterator[CheckResult]:
    try:
        composer = Composer(campaign)
    except ConfigError as error:
        yield problem(f"template {campaign.key}", str(error))
        return
    users = [_who(user, campaign) for user in sample]
    for language in ("", *composer.languages):
        about = f"template {campaign.key}{'.' if language else ''}{language}"
        mine = [user for user in users if composer.language_for(user[2]) == language]
        yield _rendered(about, composer, mine or [(None, SAMPLE_NAMES[0], language)], len(mine))


def _who(user: dict[str, Any], campaign: Campaign) -> tuple[Any, str, str]:
    s = campaign.settings
    name = recipient.clean_name(at_path(user, s.field_first_name))
    return user["_id"], name, recipient.parse_language(at_path(user, s.field_language))


def _rendered(
    about: str, composer: Composer, users: Sequence[tuple[Any, str, str]], count: int
) -> CheckResult:
    message = None
    for user_id, name, code in users:
        try:
            message = composer.compose(name, code)
        except Unrenderable as error:
            return problem(about, f"fails for the user {user_id}: {error}")
    text = " ".join(plain_text(message).split()) if message else ""
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    button = f" [ {message.button.text} ]" if message and message.button else ""
    whom = f"rendered for {count} users of the sample: " if count else ""
    return ok(about, f"{whom}{shown}{button}")
