"""The states of a delivery, and what each transition writes (``docs/states.md``). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.users.recipient import Recipient
from ozh_notify.users.state_update import Pipeline, sent_update, state_update

RETRY_UNREACHABLE_AFTER = timedelta(days=30)
"""How long a failure holds a user at most; the end of the campaign's period may come earlier."""

MAX_ERROR_TEXT = 200
"""Characters of an error kept in a user document."""


class State(str, Enum):
    """States of a delivery as stored."""

    SENDING = "sending"
    SENT = "sent"
    RETRY = "retry"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    HELD_OUT = "held_out"


class FailureCause(Enum):
    """What caused a message not to be delivered; the breaker counts by it.

    ``USER``: this user (blocked the bot, deactivated). ``CHAT``: the bot cannot write to this
    chat, perhaps because it is another bot's user. ``BOT``: a refusal that names no single
    user's fault (a frozen or logged out bot, an empty balance). ``CONTENT``: the text, the
    medium or a button. ``PICTURE``: the user's own picture; the text alone may go out.
    """

    NOBODY = "nobody"
    BOT = "bot"
    TOKEN = "token"  # noqa: S105
    CONTENT = "content"
    PICTURE = "picture"
    USER = "user"
    CHAT = "chat"
    SERVICE = "service"
    FLOOD = "flood"


@dataclass(frozen=True)
class Outcome:
    """What came of one claimed user."""

    state: State
    message_id: int | None = None
    error: str = ""
    cause: FailureCause = FailureCause.NOBODY
    retry_after: float = 0
    """Seconds Telegram asks to wait; with ``FailureCause.FLOOD`` only."""
    unsent: bool = False
    """Released without a send: no attempt is counted."""


@dataclass(frozen=True)
class OutcomeRecord:
    """One transition to write: the user, the outcome, when and by which pass."""

    recipient: Recipient
    outcome: Outcome
    run: str
    at: datetime


@dataclass(frozen=True)
class Confirmation:
    """What became of outcomes that were to be written; both empty when all went well."""

    unrecorded: Sequence[OutcomeRecord] = ()
    """Outcomes that are nowhere in the database, which was read again to be sure."""
    overwritten: Sequence[OutcomeRecord] = ()
    """Outcomes that the journal has; somebody replaced the user's document meanwhile."""
    error: Exception | None = None
    """Why a place could not be written to; the pass stops. Other than an `OzhError`, a bug."""


def was_messaged(state: Any) -> bool:
    """Whether a user document's state field tells of a delivered message of any campaign."""
    if not isinstance(state, Mapping):
        return False
    deliveries = [delivery for delivery in state.values() if isinstance(delivery, Mapping)]
    return "last_sent_at" in state or any(d.get("state") == State.SENT.value for d in deliveries)


def claim_update(
    campaign: Campaign, claim_id: str, run: str, now: datetime, is_free: Mapping[str, Any]
) -> Pipeline:
    """(a) none, or a hold that is over -> `sending`, until the lease ends.

    A user for which the expression ``is_free`` is false stays as it is, so the pass does not find
    it when it reads its claim back.
    """
    before = f"${campaign.state_path}"
    attempts: Any = {"$cond": [{"$isNumber": f"{before}.attempts"}, f"{before}.attempts", 0]}
    start = campaign.period_start(now)
    if start:
        # An outcome written today may belong to yesterday's claim; `hold_until` tells which day.
        is_held = {"$gt": [f"{before}.hold_until", now]}
        of_period = {"$gt": [f"{before}.at", start]}
        no_hold = {"$eq": [{"$ifNull": [f"{before}.hold_until", None]}, None]}
        same = {"$or": [is_held, {"$and": [no_hold, of_period]}]}
        attempts = {"$cond": [same, attempts, 0]}
    state: dict[str, Any] = {
        "state": State.SENDING.value,
        "hold_until": now + campaign.settings.lease,
        "claim": {"$literal": claim_id},
        "run": {"$literal": run},
        "at": now,
        "attempts": {"$add": [attempts, 1]},
    }
    if campaign.settings.journal_collection:
        state["journal"] = True
    [stage] = state_update(campaign, state)
    root = campaign.settings.state_field
    return [{"$set": {root: {"$cond": [is_free, stage["$set"][root], f"${root}"]}}}]


def outcome_update(campaign: Campaign, done: OutcomeRecord) -> Pipeline:
    """(b), (c), (e), (f), (g): the outcome of a claimed user."""
    outcome, at, who = done.outcome, done.at, done.recipient
    state: dict[str, Any] = {"state": outcome.state.value}
    until = hold_until(campaign, outcome.state, who.claimed_at, at)
    if until:
        state["hold_until"] = until
    if outcome.state is State.UNKNOWN:
        state["claim"] = {"$literal": who.claim}
    state.update(run={"$literal": done.run}, at=at)
    state["attempts"] = max(0, who.attempts - outcome.unsent)
    if outcome.message_id is not None:
        state["message_id"] = outcome.message_id
    if outcome.error:
        # A half of a surrogate pair, as JSON may hold one, is not valid UTF-8.
        text = outcome.error[:MAX_ERROR_TEXT].encode(errors="replace").decode()
        state["error"] = {"$literal": text}
    if outcome.state is State.SENT:
        return sent_update(campaign, state, at)
    return state_update(campaign, state, unreachable_until(outcome.state, at))


def release_update(campaign: Campaign, now: datetime) -> Pipeline:
    """(c) a claim that the pass could not read back -> `retry`: nothing was sent."""
    before = f"${campaign.state_path}"
    state = {
        "state": State.RETRY.value,
        "run": f"{before}.run",
        "at": now,
        "attempts": {"$subtract": [f"{before}.attempts", 1]},
        "error": "given back unsent",
    }
    return state_update(campaign, state)


def expire_update(campaign: Campaign, delivery: Mapping[str, Any], now: datetime) -> Pipeline:
    """(g) a `sending` whose lease is over -> `unknown`; the claim stays for a late confirm."""
    claimed_at = delivery.get("at")
    at = claimed_at if isinstance(claimed_at, datetime) else now
    state = {
        key: {"$literal": delivery[key]} for key in ("claim", "run", "attempts") if key in delivery
    }
    state["state"] = {"$literal": State.UNKNOWN.value}
    state["hold_until"] = {"$literal": campaign.period_end(at)}
    state["at"] = {"$literal": now}
    state["error"] = {"$literal": "the pass that claimed this user did not record an outcome"}
    return state_update(campaign, state)


def requeue_update(campaign: Campaign, delivery: Mapping[str, Any], now: datetime) -> Pipeline:
    """(h) `reconcile --resend` -> `retry`: no hold, so the next pass takes the user.

    The claim goes, so that a late confirm of the pass that held it finds nothing to overwrite.
    Where the user could not be reached, the hold of all campaigns goes, too.
    """
    kept = _kept_fields(delivery, State.RETRY, now, "run", "attempts", "error")
    update = state_update(campaign, kept)
    if delivery.get("state") == State.UNREACHABLE.value:
        update.append({"$unset": f"{campaign.settings.state_field}.unreachable_until"})
    return update


def mark_sent_update(campaign: Campaign, delivery: Mapping[str, Any], now: datetime) -> Pipeline:
    """(i) `reconcile --mark-sent` -> `sent`, until the end of the period of the claim."""
    state = _kept_fields(delivery, State.SENT, now, "run", "attempts", "message_id")
    held, at = delivery.get("hold_until"), delivery.get("at")
    until = campaign.period_end(at if isinstance(at, datetime) else now)
    if isinstance(held, datetime) and _holds_for_the_period(campaign, delivery.get("state")):
        until = held  # `at` may be of the day after the claim
    state["hold_until"] = {"$literal": until}
    return sent_update(campaign, state, at if isinstance(at, datetime) else now)


def unreachable_until(state: State, at: datetime) -> datetime | None:
    """Until when no campaign at all tries a user that one of them could not reach."""
    return at + RETRY_UNREACHABLE_AFTER if state is State.UNREACHABLE else None


def _holds_for_the_period(campaign: Campaign, state: Any) -> bool:
    """Whether `hold_until` is the end of the claim's period, and not of a lease or of 30 days."""
    days = campaign.period_days()
    if days is None or state == State.SENDING.value:
        return False
    return state == State.UNKNOWN.value or timedelta(days=days) <= RETRY_UNREACHABLE_AFTER


def _kept_fields(
    delivery: Mapping[str, Any], state: State, now: datetime, *kept: str
) -> dict[str, Any]:
    fields: dict[str, Any] = {key: {"$literal": delivery[key]} for key in kept if key in delivery}
    return {**fields, "state": {"$literal": state.value}, "at": {"$literal": now}}


def hold_until(
    campaign: Campaign, state: State, claimed_at: datetime, now: datetime
) -> datetime | None:
    """Until when an outcome holds the user; None for `retry`, which the next pass takes."""
    if state is State.RETRY:
        return None
    end = campaign.period_end(claimed_at)
    if state in (State.UNREACHABLE, State.REJECTED):
        return min(end, now + RETRY_UNREACHABLE_AFTER)
    return end


def has_outcome(delivery: Any, record: OutcomeRecord) -> bool:
    """Whether the stored delivery is the outcome that this pass meant to write."""
    return (
        isinstance(delivery, Mapping)
        and delivery.get("run") == record.run
        and delivery.get("state") == record.outcome.state.value
        and delivery.get("message_id") == record.outcome.message_id
    )
