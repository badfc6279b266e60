"""What one pass delivers, and with what: shared by its claimer, dispatcher and recorder."""

from __future__ import annotations

from dataclasses import dataclass

from ozh_notify.campaigns import Campaign
from ozh_notify.clock import Clock
from ozh_notify.errors import Incomplete
from ozh_notify.messaging.composer import Composer
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.passes.ports import MessageSender, PassStore
from ozh_notify.passes.stop import Stop
from ozh_notify.users.audience import Query


@dataclass(frozen=True)
class PassContext:
    """One pass of one campaign, once its users are found."""

    campaign: Campaign
    query: Query
    run: str
    bot: str
    """The bot's user name."""
    composer: Composer
    store: PassStore
    sender: MessageSender
    pacer: Pacer
    stop: Stop
    clock: Clock
    has_delivered: bool
    """Whether any bot has ever delivered a message of this program to these users."""
    limit: int | None = None
    any_time: bool = False

    def must_stop(self) -> bool:
        """Whether the pass is stopping; stops it when its hours have ended."""
        closed = self.campaign.closed_reason(self.clock.now(), any_time=self.any_time)
        if closed:
            self.stop.set(Incomplete(f"the hours ended: {closed}"))
        return bool(self.stop)
