"""Pure: what an entry of the journal is, and what each transition writes into it.

There is one entry per campaign, chat and period. Its unique ``_id`` is the right to send: a
message goes out only while the pass holds the user's document and the entry. The letters of the
transitions are those of ``docs/states.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.users.delivery_state import MAX_ERROR_TEXT, OutcomeRecord, State
from ozh_notify.users.journal_period import Document, Entry, entry_id, expiry, is_over, shares_entry
from ozh_notify.users.recipient import CONTROL, Recipient

MAX_PREVIOUS = 10
"""Earlier deliveries that an entry remembers, the newest last."""
TAKEABLE = (State.RETRY.value, State.UNREACHABLE.value, State.REJECTED.value)
"""States of an entry that do not hold: the next claim takes the entry over."""
OPEN = (State.SENDING.value, State.UNKNOWN.value)
"""States of an entry whose outcome a confirm may still write."""
IDENTITY = ("state", "claim", "at")
"""What tells one delivery of an entry from the next; a conditional write repeats what was read."""
REMEMBERED = (
    "state",
    "claim",
    "run",
    "user",
    "claimed_at",
    "at",
    "attempts",
    "message_id",
    "recalled_at",
)
"""What ``previous`` keeps of a delivery that was replaced."""
CRASHED = "the pass that claimed this user did not record an outcome"


def id_of(campaign: Campaign, who: Recipient) -> str:
    """The entry of a claimed user."""
    return entry_id(campaign, who.chat_id, who.claimed_at)


def new_entry(campaign: Campaign, who: Recipient, run: str) -> Document:
    """(a) what a pass inserts for a user it has claimed."""
    entry: Document = {
        "_id": id_of(campaign, who),
        "campaign": campaign.name,
        "chat_id": who.chat_id,
        **_claimed(who, run),
        **who.assignment,
    }
    return {**entry, **expiry(campaign, who.claimed_at)}


def may_take_over(
    campaign: Campaign, entry: Entry, now: datetime, again_before: datetime | None = None
) -> bool:
    """Whether an entry does not hold its chat at ``now``.

    With ``--again`` a `sent` one does not hold it either.
    """
    if entry.get("state") in TAKEABLE or may_begin_anew(campaign, entry, now):
        return True
    at = entry.get("at")
    meant = again_before is not None and isinstance(at, datetime) and at < again_before
    return meant and entry.get("state") == State.SENT.value


def may_begin_anew(campaign: Campaign, entry: Entry, now: datetime) -> bool:
    """Whether the next period of the chat may begin in this entry.

    One in `sending` is the sweep's, however old it is.
    """
    is_last = shares_entry(campaign) and is_over(campaign, entry, now)
    return is_last and entry.get("state") != State.SENDING.value


def is_held_by(entry: Entry, who: Recipient) -> bool:
    """Whether the entry is taken by this very claim of this very user document.

    Two documents of one chat in one batch have the same claim id, so the user decides.
    """
    same_user = repr(entry.get("user")) == repr(who.id)
    right = State.HELD_OUT if entry.get("arm") == CONTROL else State.SENDING
    taken = entry.get("state") == right.value and entry.get("claim") == who.claim
    return taken and same_user


def same_delivery(entry: Entry) -> Document:
    """The filter that matches an entry only while it is still as it was read."""
    same: Document = {"_id": entry["_id"]}
    for key in IDENTITY:
        same[key] = {"$eq": entry[key]} if key in entry else {"$exists": False}
    return same


def take_over_update(campaign: Campaign, who: Recipient, run: str, entry: Entry) -> Document:
    """(d), (j) an entry that does not hold -> `sending` by this claim, kept as long as it holds."""
    if "experiment" in entry:  # the written arm counts; a control is never taken over
        who = replace(who, assignment={})
    update: Document = {
        "$set": {**_claimed(who, run), **who.assignment, **expiry(campaign, who.claimed_at)},
        "$unset": dict.fromkeys(("message_id", "error", "recalled_at"), ""),
    }
    if entry.get("state") == State.SENT.value:
        update["$push"] = _remember(entry)
    return update


def confirm_filter(campaign: Campaign, record: OutcomeRecord) -> Document:
    """The entry that waits for this outcome; one that was settled since is left as it is."""
    who = record.recipient
    return {
        "_id": id_of(campaign, who),
        "claim": who.claim,
        "state": {"$in": list(OPEN)},
    }


def confirm_update(record: OutcomeRecord) -> Document:
    """(b), (c), (e), (f), (g), (l): the outcome of a claimed user."""
    outcome, who = record.outcome, record.recipient
    values: Document = {
        "state": outcome.state.value,
        "at": record.at,
        "attempts": max(0, who.attempts - outcome.unsent),
    }
    if outcome.message_id is not None:
        values["message_id"] = outcome.message_id
    if not outcome.error:
        return {"$set": values, "$unset": {"error": ""}}
    # A half of a surrogate pair, which JSON may hold, is not UTF-8.
    values["error"] = outcome.error[:MAX_ERROR_TEXT].encode(errors="replace").decode()
    return {"$set": values}


def has_outcome(entry: Entry | None, record: OutcomeRecord) -> bool:
    """Whether the stored entry is what this outcome was meant to write."""
    outcome = record.outcome
    return (
        entry is not None
        and entry.get("claim") == record.recipient.claim
        and entry.get("state") == outcome.state.value
        and entry.get("message_id") == outcome.message_id
    )


def expire_update(now: datetime) -> Document:
    """(g) a `sending` whose lease is over -> `unknown`; the claim stays for a late confirm."""
    return {"$set": {"state": State.UNKNOWN.value, "at": now, "error": CRASHED}}


def copy_outcome_update(delivery: Mapping[str, Any], now: datetime) -> Document:
    """The outcome that a pass could write to the user's document only."""
    at = delivery.get("at")
    values: Document = {"state": delivery["state"], "at": at if isinstance(at, datetime) else now}
    for key in ("attempts", "message_id", "error"):
        if key in delivery:
            values[key] = delivery[key]
    return {"$set": values}


def release_update(now: datetime) -> Document:
    """(c) a claim that the pass gave back before it knew which users it had taken -> `retry`."""
    values = {"state": State.RETRY.value, "at": now, "error": "given back unsent"}
    return {"$set": values, "$inc": {"attempts": -1}}


def requeue_update(entry: Entry, now: datetime) -> Document:
    """(h) `reconcile --resend` -> `retry`: the next pass takes the entry over."""
    return {"$set": {"state": State.RETRY.value, "at": now}, "$push": _remember(entry)}


def mark_sent_update(now: datetime) -> Document:
    """(i) `reconcile --mark-sent` -> `sent`."""
    return {"$set": {"state": State.SENT.value, "at": now}, "$unset": {"error": ""}}


def _claimed(who: Recipient, run: str) -> Document:
    return {
        "user": who.id,
        "state": (State.HELD_OUT if who.is_control else State.SENDING).value,
        "claim": who.claim,
        "run": run,
        "at": who.claimed_at,
        "claimed_at": who.claimed_at,
        "attempts": who.attempts,
    }


def _remember(entry: Entry) -> Document:
    kept = {key: entry[key] for key in REMEMBERED if key in entry}
    return {"previous": {"$each": [kept], "$slice": -MAX_PREVIOUS}}
