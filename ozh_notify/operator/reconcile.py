"""Deliveries that only a person can settle: what a look at them shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ozh_notify.clock import Clock
from ozh_notify.mongo.reconcile_store import ReconcileStore
from ozh_notify.users.recipient import at_path
from ozh_notify.users.settlement import DeliveryFilter, SettleableState, StoredDelivery


@dataclass(frozen=True)
class Listing:
    """What was found, after a sweep."""

    entries: list[StoredDelivery]
    swept: int
    fresh: list[StoredDelivery]
    """Those that this very sweep made unknown, and no log names: a fast clock sweeps too early."""
    sending: int
    """Such deliveries that a pass still holds: they can be settled when its lease is over."""
    sending_until: datetime | None
    """When the last of these leases is over."""

    def as_json(self) -> dict[str, Any]:
        """The counts, and each delivery; moments are ISO 8601."""
        return {
            "swept": self.swept,
            "sending": self.sending,
            "sending_until": self.sending_until,
            "found": len(self.entries),
            "deliveries": [entry.as_json() for entry in self.entries],
        }


async def list_deliveries(
    deliveries: ReconcileStore, which: DeliveryFilter, now: datetime
) -> Listing:
    """Sweep, then read. It always sweeps, because a lapsed claim is unknown."""
    await deliveries.store.check_clock(Clock())
    swept = await deliveries.store.sweep(now)
    entries = await deliveries.entries(which, now)
    sending = [] if which.state is SettleableState.SENDING else await deliveries.sending(which)
    known = {repr(entry.id) for entry in entries}
    others = [user for user in sending if repr(user["_id"]) not in known]
    holds = [at_path(user, f"{deliveries.campaign.state_path}.hold_until") for user in others]
    until = max((hold for hold in holds if isinstance(hold, datetime)), default=None)
    fresh = [e for e in entries if swept and e.at == now and e.named not in which.claims]
    return Listing(entries, swept, fresh, len(others), until)
