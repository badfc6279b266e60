"""What the breaker makes of refusals that are meant for the bot; pure."""

from __future__ import annotations

from datetime import datetime, timezone

from ozh_notify.errors import ConfigError
from ozh_notify.passes.breaker import Breaker
from ozh_notify.users.delivery_state import FailureCause, Outcome, State
from ozh_notify.users.recipient import Recipient


def recipient(number: int) -> Recipient:
    """A claimed user."""
    at = datetime(2026, 11, 28, tzinfo=timezone.utc)
    return Recipient(
        id=number, chat_id=number, first_name="", language="", claim="c", claimed_at=at,
        claimed_monotonic=0, attempts=1,
    )  # fmt: skip


def refused(text: str) -> Outcome:
    """A refusal that names no single user's fault."""
    return Outcome(State.REJECTED, error=text, cause=FailureCause.BOT)


def test_a_number_that_changes_does_not_hide_that_the_refusals_are_the_same() -> None:
    """Ten of them stop the pass, and all are given back."""
    breaker = Breaker("bot", has_delivered=True)
    settled = [
        one
        for n in range(10)
        for one in breaker.observe_and_settle(recipient(n), refused(f"FLOOD_WAIT_{n}"))
    ]
    assert isinstance(breaker.tripped, ConfigError)
    assert [outcome.state for _, outcome in settled] == [State.RETRY] * 10


def test_an_outage_after_refusals_meant_for_the_bot_charges_no_user() -> None:
    """As where a Bot API server is moved: logged out first, then away."""
    breaker = Breaker("bot", has_delivered=True)
    for n in range(3):
        assert breaker.observe_and_settle(recipient(n), refused("Logged out")) == []
    away = Outcome(State.RETRY, error="refused", cause=FailureCause.SERVICE)
    for n in range(3, 13):
        breaker.observe_and_settle(recipient(n), away)
    assert breaker.tripped
    assert [outcome.state for _, outcome in breaker.end()] == [State.RETRY] * 3
