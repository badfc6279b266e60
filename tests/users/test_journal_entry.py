"""The journal's entries: their ids, what holds, and what each transition writes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.config.load import load
from ozh_notify.users import journal_entry
from ozh_notify.users.delivery_state import Outcome, OutcomeRecord, State
from ozh_notify.users.journal_period import entry_id
from ozh_notify.users.recipient import Recipient

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)


def campaign(name: str, zone: str = "Europe/Moscow") -> Campaign:
    """One of the campaigns, as a pass in that zone has it."""
    variables = {
        "MONGO_URI": "mongodb://127.0.0.1/x",
        "OZH_TIMEZONE": zone,
    }
    loaded, _ = load(None, variables)
    return registry()[name](loaded)


DISCOUNT = campaign("discount")


def recipient(**fields: Any) -> Recipient:
    """A claimed user."""
    values = {"id": "u", "chat_id": 100005, "first_name": "", "language": "", "claim": "r-1"}
    timed = {"claimed_at": NOON, "claimed_monotonic": 0.0, "attempts": 1}
    return Recipient(**{**values, **timed, **fields})


def test_an_entry_is_of_a_campaign_a_chat_and_the_local_day_of_the_claim() -> None:
    """Of a campaign that is sent once, of no day."""
    late = datetime(2026, 11, 28, 22, 30, tzinfo=timezone.utc)  # the 29th in Moscow
    assert entry_id(campaign("discount"), 100005, late) == "discount:100005"
    daily = entry_id(campaign("daily-bonus"), 100005, late)
    assert daily == "daily-bonus:100005:2026-11-29"
    elsewhere = entry_id(campaign("daily-bonus", "UTC"), 100005, late)
    assert elsewhere == "daily-bonus:100005:2026-11-28"


def test_only_entries_of_a_daily_campaign_expire() -> None:
    """Those sent once are kept for good."""
    assert "expires_at" not in journal_entry.new_entry(campaign("discount"), recipient(), "r")
    daily = journal_entry.new_entry(campaign("daily-bonus"), recipient(), "r")
    assert daily["expires_at"] == NOON + timedelta(days=400)


@pytest.mark.parametrize("state", ["sending", "sent", "unknown", "held_out", "", None])
def test_an_entry_that_holds_is_not_taken_over(state: str | None) -> None:
    """A state that nobody knows holds, too."""
    assert not journal_entry.may_take_over(DISCOUNT, {"state": state, "at": NOON}, NOON)


@pytest.mark.parametrize("state", ["retry", "unreachable", "rejected"])
def test_an_entry_whose_message_was_not_delivered_may_be_taken_over(state: str) -> None:
    """Nothing has reached the chat."""
    assert journal_entry.may_take_over(DISCOUNT, {"state": state}, NOON)


def test_again_takes_over_what_was_sent_before_the_pass_and_nothing_in_doubt() -> None:
    """What this very pass has sent holds."""
    earlier, later = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
    assert journal_entry.may_take_over(DISCOUNT, {"state": "sent", "at": earlier}, NOON, NOON)
    assert not journal_entry.may_take_over(DISCOUNT, {"state": "sent", "at": later}, NOON, NOON)
    assert not journal_entry.may_take_over(DISCOUNT, {"state": "sent"}, NOON, NOON)
    assert not journal_entry.may_take_over(
        DISCOUNT, {"state": "unknown", "at": earlier}, NOON, NOON
    )


def test_an_entry_is_ours_only_with_our_claim_and_our_user() -> None:
    """Two documents of one chat in one batch share the claim."""
    entry = journal_entry.new_entry(campaign("discount"), recipient(), "r")
    assert journal_entry.is_held_by(entry, recipient())
    assert not journal_entry.is_held_by(entry, recipient(id="another"))
    assert not journal_entry.is_held_by(entry, recipient(claim="r-2"))
    assert not journal_entry.is_held_by({**entry, "state": "unknown"}, recipient())


def test_what_again_and_resend_replace_is_remembered_at_most_ten_times() -> None:
    """The newest last; what was never delivered is not worth remembering."""
    sent = {"_id": "discount:1", "state": "sent", "claim": "r-1", "message_id": 7, "at": NOON}
    discount = campaign("discount")
    update = journal_entry.take_over_update(discount, recipient(claim="r-2"), "r", sent)
    pushed = update["$push"]["previous"]
    assert pushed["$slice"] == -10
    assert pushed["$each"] == [{"state": "sent", "claim": "r-1", "at": NOON, "message_id": 7}]
    assert journal_entry.requeue_update(sent, NOON)["$push"]["previous"] == pushed
    retry = {**sent, "state": "retry"}
    assert "$push" not in journal_entry.take_over_update(discount, recipient(), "r", retry)


def test_an_outcome_is_written_to_the_entry_of_its_claim_only() -> None:
    """And only while the entry still waits for one."""
    record = OutcomeRecord(recipient(), Outcome(State.SENT, 9), "r", NOON)
    assert journal_entry.confirm_filter(campaign("discount"), record) == {
        "_id": "discount:100005",
        "claim": "r-1",
        "state": {"$in": ["sending", "unknown"]},
    }


def test_an_error_is_kept_short_and_as_text_that_can_be_stored() -> None:
    """A half of a surrogate pair is not UTF-8."""
    outcome = Outcome(State.REJECTED, error="\ud83d" + "x" * 500)
    update = journal_entry.confirm_update(OutcomeRecord(recipient(), outcome, "r", NOON))
    assert update["$set"]["error"] == "?" + "x" * 199


def test_a_claim_given_back_unsent_is_not_an_attempt() -> None:
    """So the entry counts what the user's document counts."""
    outcome = Outcome(State.RETRY, error="given back", unsent=True)
    record = OutcomeRecord(recipient(attempts=3), outcome, "r", NOON)
    assert journal_entry.confirm_update(record)["$set"]["attempts"] == 2
