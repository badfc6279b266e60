"""Claims whose lease is over, settled by what the journal knows of them.

A crash leaves in doubt only what had its entry: a claim without one was never sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ozh_notify.mongo.client import Document
from ozh_notify.mongo.journal import MongoJournal
from ozh_notify.mongo.no_journal import NoJournal
from ozh_notify.mongo.pass_store import ClaimedDocument, MongoPassStore
from ozh_notify.users import delivery_state, journal_entry
from ozh_notify.users.delivery_state import State
from ozh_notify.users.journal_copy import copy_update
from ozh_notify.users.state_update import Pipeline

Journal = MongoJournal | NoJournal
OUTCOMES = frozenset(
    {State.SENT, State.RETRY, State.UNREACHABLE, State.REJECTED, State.UNKNOWN, State.HELD_OUT}
)


async def sweep(store: MongoPassStore, journal: Journal, now: datetime) -> int:
    """Settle lapsed claims in the users' documents and the journal; how many are unknown now."""
    lapsed = await store.lapsed(now)
    entries = await _expired_entries(journal, lapsed, now)
    unknown: list[tuple[ClaimedDocument, Pipeline]] = []
    settled: list[tuple[ClaimedDocument, Pipeline]] = []
    for user in lapsed:
        entry = _entry_of(user, entries)
        was_journalled = journal.is_kept and user.delivery.get("journal") is True
        if entry is None and was_journalled:  # it was never sent
            settled.append((user, delivery_state.release_update(store.campaign, now)))
        elif entry is None:
            unknown.append((user, delivery_state.expire_update(store.campaign, user.delivery, now)))
        elif entry["state"] != State.SENDING.value:
            is_unknown = entry["state"] == State.UNKNOWN.value
            update = copy_update(store.campaign, entry)
            (unknown if is_unknown else settled).append((user, update))
    await store.update_claimed(settled)
    return await store.update_claimed(unknown) + await _settle_entries(store, journal, now)


async def _expired_entries(
    journal: Journal, lapsed: Sequence[ClaimedDocument], now: datetime
) -> dict[str, list[Document]]:
    """The entries of lapsed claims by claim, those still in `sending` made `unknown` first."""
    claims = [user.delivery for user in lapsed if _names_claim(user.delivery)]
    found = await journal.entries_of_claims(claims) if claims else []
    by_claim = _by_claim(found)
    matched = [_entry_of(user, by_claim) for user in lapsed]
    still_sending = {
        str(entry["_id"]): entry for entry in matched if entry and entry["state"] == State.SENDING
    }
    if not still_sending:
        return by_claim
    update = journal_entry.expire_update(now)
    await journal.update_unchanged([(entry, update) for entry in still_sending.values()])
    return _by_claim(await journal.entries_of_claims(claims))


async def _settle_entries(store: MongoPassStore, journal: Journal, now: datetime) -> int:
    """Entries left in `sending`, though no document says so any more; how many are unknown now.

    A document that has the outcome of the same pass tells it, before the lease is over, too: the
    journal is written first, so it was out of reach. One that was overwritten does not.
    """
    open_entries = await journal.in_sending(now)
    users = [entry["user"] for entry in open_entries]
    deliveries = await store.deliveries(users) if users else {}
    lease_began = now - store.settings.lease
    told: list[tuple[Mapping[str, Any], Document]] = []
    unknown: list[tuple[Mapping[str, Any], Document]] = []
    for entry in open_entries:
        delivery = deliveries.get(repr(entry["user"]), {})
        if delivery.get("state") == State.SENDING and delivery.get("claim") == entry["claim"]:
            continue  # the lease of its pass is longer than ours
        same_run = delivery.get("run") == entry["run"] and delivery.get("state") in OUTCOMES
        if same_run and delivery.get("state") != State.UNKNOWN:
            told.append((entry, journal_entry.copy_outcome_update(delivery, now)))
        elif entry["claimed_at"] <= lease_began:
            unknown.append((entry, journal_entry.expire_update(now)))
    await journal.update_unchanged(told)
    return await journal.update_unchanged(unknown)


def _entry_of(user: ClaimedDocument, by_claim: Mapping[str, list[Document]]) -> Document | None:
    """The entry that this claim of this user, or of another document of the chat, holds."""
    claim = user.delivery.get("claim")
    entries = by_claim.get(claim, []) if isinstance(claim, str) else []
    own = [entry for entry in entries if repr(entry["user"]) == repr(user.id)]
    same_chat = [entry for entry in entries if entry["chat_id"] == user.chat_id]
    return next(iter([*own, *same_chat]), None)


def _by_claim(entries: Sequence[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for entry in entries:
        found.setdefault(entry["claim"], []).append(entry)
    return found


def _names_claim(delivery: Mapping[str, Any]) -> bool:
    return isinstance(delivery.get("claim"), str) and isinstance(delivery.get("run"), str)
