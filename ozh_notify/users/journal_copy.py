"""Pure: what the journal's entry says of a chat, written to the user's document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.users.delivery_state import State, hold_until, unreachable_until
from ozh_notify.users.state_update import Pipeline, sent_update, state_update


def copy_update(campaign: Campaign, entry: Mapping[str, Any]) -> Pipeline:
    """(n) what the journal's entry says of the chat, copied to the user's document.

    A copy of a `sending` entry has its claim, so that the next sweep copies what came of it.
    """
    state, claimed_at, at = State(entry["state"]), entry["claimed_at"], entry["at"]
    kept: dict[str, Any] = {
        key: {"$literal": entry[key]}
        for key in ("run", "attempts", "message_id", "error")
        if key in entry
    }
    kept.update(state=state.value, at=at)
    if state is State.SENDING:
        kept.update(hold_until=claimed_at + campaign.settings.lease, journal=True)
    elif until := hold_until(campaign, state, claimed_at, at):
        kept["hold_until"] = until
    if state in (State.SENDING, State.UNKNOWN):
        kept["claim"] = {"$literal": entry["claim"]}
    if state is State.SENT:
        return sent_update(campaign, kept, at, is_news=False)
    return state_update(campaign, kept, unreachable_until(state, at))
