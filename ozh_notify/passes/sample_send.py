"""``--test-to``: one rendered message to one chat, as a preview; no database is touched."""

from __future__ import annotations

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError, Incomplete, OzhError, Unavailable
from ozh_notify.messaging.message import SAMPLE_NAMES, Composer
from ozh_notify.passes.ports import MessageSender
from ozh_notify.users.delivery_state import FailureCause, Outcome, State
from ozh_notify.users.recipient import parse_language


async def send_sample(
    campaign: Campaign, sender: MessageSender, chat: int, language: str = ""
) -> tuple[str, Outcome]:
    """Send the message with a sample name; returns the bot's name and the outcome.

    Raises:
        OzhError: Telegram did not accept it; the text says what to do.
    """
    message = Composer(campaign).compose(SAMPLE_NAMES[0], parse_language(language))
    try:
        bot = await sender.open()
        outcome = await sender.send(chat, message)
    finally:
        await sender.close()
    if outcome.state is not State.SENT:
        raise _refused(bot, chat, outcome)
    return bot, outcome


def _refused(bot: str, chat: int, outcome: Outcome) -> OzhError:
    if outcome.cause is FailureCause.FLOOD:
        return Incomplete(outcome.error)
    if outcome.cause is FailureCause.SERVICE:
        return Unavailable(f"no preview was sent to {chat}: {outcome.error}")
    text = f"no preview was sent to {chat}: {outcome.error}"
    if outcome.state is State.UNREACHABLE:
        text += f"; has this chat started @{bot}?"
    return ConfigError(text)
