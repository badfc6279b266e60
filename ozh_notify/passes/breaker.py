"""Stops a pass that does harm: pure, it sees outcomes in the order they come in."""

from __future__ import annotations

from dataclasses import replace

from ozh_notify.errors import ConfigError, Incomplete, OzhError, Unavailable
from ozh_notify.users.delivery_state import FailureCause, Outcome, State
from ozh_notify.users.recipient import Recipient

CONTENT_ROW = 2
"""Messages in a row refused for their content: then it is the template."""
STRANGER_ROW = 10
"""Untried users in a row whom the bot cannot write to: then it is the wrong bot."""
TROUBLE_ROW = 10
"""Requests in a row that fail: then it is the service."""

Judged = list[tuple[Recipient, Outcome]]


class Breaker:
    """Holds back refusals until it is clear whose fault they are."""

    def __init__(self, bot: str) -> None:
        self.tripped: OzhError | None = None
        self.delivered = False
        """Whether any message was accepted in this pass."""
        self._bot = bot
        self._held: Judged = []
        self._content = self._strangers = self._trouble = 0

    def observe_and_settle(self, who: Recipient, outcome: Outcome) -> Judged:
        """The outcomes that are settled now; trips when one row is full."""
        if self.tripped and outcome.cause is FailureCause.CONTENT:
            return [(who, replace(outcome, state=State.RETRY))]
        if self.tripped or outcome.unsent:
            return [(who, outcome)]
        if outcome.cause is FailureCause.SERVICE:
            return self._service(who, outcome)
        self._trouble = 0
        if outcome.cause is FailureCause.TOKEN:
            return self._trip(ConfigError("TELEGRAM_BOT_TOKEN: Telegram rejects it"), who, outcome)
        if outcome.cause in (FailureCause.CONTENT, FailureCause.CHAT, FailureCause.BOT):
            return self._refusal(who, outcome)
        self.delivered = self.delivered or outcome.state is State.SENT
        return [*self.release(), (who, outcome)]

    def release(self) -> Judged:
        """Settle what is held as what it is: the row has ended."""
        self._content = self._strangers = 0
        held, self._held = self._held, []
        return held

    def _service(self, who: Recipient, outcome: Outcome) -> Judged:
        self._trouble += 1
        if self._trouble >= TROUBLE_ROW:
            text = f"{TROUBLE_ROW} requests in a row failed, the last: {outcome.error}"
            self.tripped = Incomplete(text) if self.delivered else Unavailable(text)
        return [(who, outcome)]

    def _refusal(self, who: Recipient, outcome: Outcome) -> Judged:
        settled: Judged = []
        is_content = outcome.cause is FailureCause.CONTENT
        self._content = self._content + 1 if is_content else 0
        if not self.delivered and not who.attempted_before:
            self._strangers += 1
        elif not is_content:
            settled = self.release() if self.delivered else []
            return [*settled, (who, outcome)]
        self._held.append((who, outcome))
        if self._content >= CONTENT_ROW:
            return self._trip(
                ConfigError(
                    f"Telegram refuses the message itself: {outcome.error}; "
                    "look at the template and the button"
                )
            )
        if self._strangers >= STRANGER_ROW:
            return self._trip(
                ConfigError(
                    f"none of the first {STRANGER_ROW} users can be written to "
                    f"({outcome.error}): is @{self._bot} the bot these users know?"
                )
            )
        return []

    def _trip(self, error: OzhError, *last: object) -> Judged:
        """The pass's own fault, not the users': everything held is given back."""
        self.tripped = error
        held, self._held = self._held, []
        if last:
            held.append(last)  # type: ignore[arg-type]
        return [(r, replace(o, state=State.RETRY)) for r, o in held]
