"""``--test-to``: one rendered message to one chat, as a sample; no database is touched."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError, Incomplete, OzhError, Unavailable
from ozh_notify.messaging.composer import SAMPLE_NAMES, Composer
from ozh_notify.messaging.message import Message
from ozh_notify.passes.ports import MessageSender
from ozh_notify.users.delivery_state import FailureCause, Outcome, State
from ozh_notify.users.recipient import at_path, clean_name, parse_chat_id, parse_language

log = logging.getLogger(__name__)


async def send_sample(
    campaign: Campaign,
    sender: MessageSender,
    chat: int,
    language: str = "",
    user: Mapping[str, Any] | None = None,
) -> tuple[str, Outcome]:
    """Send the message to ``chat``; returns the bot's name and the outcome.

    It is the message of ``user``, a document; without one it has a sample name and no fields.

    Raises:
        OzhError: Telegram did not accept it; the text says what to do.
    """
    message = _message(campaign, parse_language(language), user)
    try:
        bot = await sender.open()
        outcome = await sender.send(chat, message)
        if outcome.cause is FailureCause.PICTURE:
            log.warning("the text goes out alone: %s", outcome.error)
            outcome = await sender.send(chat, replace(message, media=None))
    finally:
        await sender.close()
    if outcome.state is not State.SENT:
        raise _refused(bot, chat, outcome)
    return bot, outcome


def _message(campaign: Campaign, language: str, user: Mapping[str, Any] | None) -> Message:
    composer, settings = Composer(campaign), campaign.settings
    if user is None:
        return composer.compose(SAMPLE_NAMES[0], language)
    return composer.compose(
        clean_name(at_path(user, settings.field_first_name)),
        language or parse_language(at_path(user, settings.field_language)),
        parse_chat_id(at_path(user, settings.field_chat_id)) or 0,
        composer.fields_of(user),
    )


def _refused(bot: str, chat: int, outcome: Outcome) -> OzhError:
    if outcome.cause is FailureCause.FLOOD:
        return Incomplete(outcome.error)
    if outcome.cause is FailureCause.SERVICE:
        return Unavailable(f"no sample was sent to {chat}: {outcome.error}")
    text = f"no sample was sent to {chat}: {outcome.error}"
    if outcome.state is State.UNREACHABLE:
        text += f"; has this chat started @{bot}?"
    return ConfigError(text)
