"""Stops a pass that does harm; pure: it sees outcomes in the order they come in."""

from __future__ import annotations

import re
from dataclasses import replace

from ozh_notify.errors import ConfigError, Incomplete, OzhError, Unavailable
from ozh_notify.users.delivery_state import FailureCause, Outcome, State
from ozh_notify.users.recipient import Recipient

CONTENT_ROW = 2
"""Messages in a row refused for their content: then it is the template's fault."""
BOT_ROW = 10
"""Refusals in a row with one text that names no user's fault: then it is the bot's fault."""
STRANGERS = 10
"""Users who cannot be written to before any delivery: then it is the wrong bot."""
TROUBLE_ROW = 10
"""Requests in a row that fail: then the service is down."""

Judged = list[tuple[Recipient, Outcome]]


class Breaker:
    """Holds refusals back until it is clear whether the user, the message or the bot is at fault.

    ``bot`` is the bot's user name; ``has_delivered`` says whether a bot has ever delivered.
    """

    def __init__(self, bot: str, *, has_delivered: bool) -> None:
        self.tripped: OzhError | None = None
        self.delivered = False
        """Whether any message was accepted in this pass."""
        self._bot, self._has_delivered = bot, has_delivered
        self._row: Judged = []
        """Refusals in a row: all for their content, or all with one text about the bot."""
        self._strangers: Judged = []
        """Users who cannot be written to, while no bot has ever delivered."""
        self._trouble = 0

    def observe_and_settle(self, recipient: Recipient, outcome: Outcome) -> Judged:
        """The outcomes that are settled now; sets ``tripped`` when the pass must stop."""
        if self.tripped:
            return [(recipient, self._after_trip(outcome))]
        if outcome.cause is FailureCause.SERVICE:
            return self._service(recipient, outcome)
        if outcome.unsent or _says_nothing(outcome):
            return [(recipient, outcome)]
        self._trouble = 0
        if outcome.cause is FailureCause.TOKEN:
            error = ConfigError(f"TELEGRAM_BOT_TOKEN: {outcome.error}")
            return self._trip(error, (recipient, outcome))
        if outcome.cause in (FailureCause.CONTENT, FailureCause.BOT):
            return self._refusal(recipient, outcome)
        if self._is_stranger(outcome):
            return self._stranger(recipient, outcome)
        return self._answer(recipient, outcome)

    def end(self) -> Judged:
        """Settle what is still held back, because the pass is over."""
        undecided = self._strangers or (self._row if self._is_undecided_bot_row() else [])
        if undecided and not self.tripped:
            return self._trip(self._question(undecided[-1][1], len(undecided)))
        bots_fault = self._take_row() if self._is_undecided_bot_row() else []
        return [*_given_back([*self._take_strangers(), *bots_fault]), *self._take_row()]

    def _answer(self, recipient: Recipient, outcome: Outcome) -> Judged:
        """A delivery or one user's own refusal: it ends a row."""
        settled = self._take_row()
        if outcome.state is State.SENT:
            self.delivered = self._has_delivered = True
            settled += self._take_strangers()
        return [*settled, (recipient, outcome)]

    def _service(self, recipient: Recipient, outcome: Outcome) -> Judged:
        self._trouble += 1
        if self._trouble >= TROUBLE_ROW:
            text = f"{TROUBLE_ROW} requests in a row failed, the last: {outcome.error}"
            self.tripped = Incomplete(text) if self.delivered else Unavailable(text)
        return [(recipient, outcome)]

    def _refusal(self, recipient: Recipient, outcome: Outcome) -> Judged:
        settled = [] if self._continues_row(outcome) else self._take_row()
        self._row.append((recipient, outcome))
        if outcome.cause is FailureCause.CONTENT and len(self._row) >= CONTENT_ROW:
            text = f"Telegram refuses the message itself: {outcome.error}"
            return settled + self._trip(ConfigError(f"{text}; look at the template and the button"))
        if outcome.cause is FailureCause.BOT and len(self._row) >= BOT_ROW:
            text = f"Telegram refused {BOT_ROW} messages in a row with the same words"
            return settled + self._trip(ConfigError(f"{text}: {outcome.error}"))
        return settled

    def _stranger(self, recipient: Recipient, outcome: Outcome) -> Judged:
        settled = self._take_row()
        self._strangers.append((recipient, outcome))
        if len(self._strangers) < STRANGERS:
            return settled
        error = ConfigError(
            f"none of the first {STRANGERS} users can be written to "
            f"({outcome.error}): is @{self._bot} the bot these users know?"
        )
        return settled + self._trip(error)

    def _is_stranger(self, outcome: Outcome) -> bool:
        return outcome.cause is FailureCause.CHAT and not self._has_delivered

    def _continues_row(self, outcome: Outcome) -> bool:
        if not self._row:
            return True
        last = self._row[-1][1]
        same_words = _without_numbers(last.error) == _without_numbers(outcome.error)
        same_text = outcome.cause is FailureCause.CONTENT or same_words
        return last.cause is outcome.cause and same_text

    def _is_undecided_bot_row(self) -> bool:
        """Whether the pass ends with refusals about the bot, and nothing was delivered."""
        return bool(self._row) and self._row[-1][1].cause is FailureCause.BOT and not self.delivered

    def _question(self, last: Outcome, count: int) -> OzhError:
        users = "1 user was" if count == 1 else f"{count} users were"
        if last.cause is FailureCause.BOT:
            return Incomplete(
                f"no message was delivered: Telegram says {last.error!r}; {users} given back"
            )
        return Incomplete(
            f"no message was delivered ({last.error}), {users} given back: "
            f"is @{self._bot} the bot these users know?"
        )

    def _after_trip(self, outcome: Outcome) -> Outcome:
        """What was in flight when the pass stopped: the same fault is not the user's, either."""
        ours = outcome.cause in (FailureCause.CONTENT, FailureCause.BOT)
        if ours or self._is_stranger(outcome):
            return replace(outcome, state=State.RETRY)
        return outcome

    def _trip(self, error: OzhError, *last: tuple[Recipient, Outcome]) -> Judged:
        """Stop the pass for a fault that is not the users': everything held is given back."""
        self.tripped = error
        return _given_back([*self._take_strangers(), *self._take_row(), *last])

    def _take_row(self) -> Judged:
        row, self._row = self._row, []
        return row

    def _take_strangers(self) -> Judged:
        strangers, self._strangers = self._strangers, []
        return strangers


def _says_nothing(outcome: Outcome) -> bool:
    """Whether an outcome says nothing about user, message and bot: a 429, an interruption."""
    interrupted = outcome.cause is FailureCause.NOBODY and outcome.state is not State.SENT
    return interrupted or outcome.cause is FailureCause.FLOOD


def _given_back(held: Judged) -> Judged:
    return [(recipient, replace(outcome, state=State.RETRY)) for recipient, outcome in held]


def _without_numbers(text: str) -> str:
    """A refusal's words: `FLOOD_WAIT_17` and `FLOOD_WAIT_18` are the same refusal."""
    return re.sub(r"\d+", "#", text)
