"""Pure: the periods of a campaign in the journal: an entry's id, when it is over, when it may go.

Entries of a campaign that is sent once are never over. A daily campaign has an entry a day.
Periods of several days begin on any day, so they share one entry of the chat: once its period is
over, a claim keeps a copy of it under the day of its claim, and begins the next period in it. With
nothing but ids made of a day, two such periods could overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ozh_notify.campaigns import Campaign

Entry = Mapping[str, Any]
Document = dict[str, Any]


def kept_copy(campaign: Campaign, entry: Entry) -> Document:
    """An entry whose period is over, under an id with the local day of its claim."""
    day = entry["claimed_at"].astimezone(campaign.settings.zone).date()
    return {**entry, "_id": f"{entry['_id']}:{day.isoformat()}"}


def entry_id(campaign: Campaign, chat_id: int, claimed_at: datetime) -> str:
    """``discount:<chat>``; of a daily campaign ``daily-bonus:<chat>:<local day of the claim>``."""
    plain = f"{campaign.name}:{chat_id}"
    if campaign.once != "day":
        return plain
    return f"{plain}:{claimed_at.astimezone(campaign.settings.zone).date().isoformat()}"


def ids_of_chat(campaign: Campaign, chat_id: int) -> Document:
    """The filter of all entries of one chat; their ids begin alike, and `;` follows `:`."""
    plain = f"{campaign.name}:{chat_id}"
    of_days = {"_id": {"$gt": f"{plain}:", "$lt": f"{plain};"}}
    if campaign.once == "day":
        return of_days
    return {"$or": [{"_id": plain}, of_days]} if shares_entry(campaign) else {"_id": plain}


def of_period(campaign: Campaign, now: datetime) -> Document:
    """The filter of the entries whose period is not over: of a daily campaign, today's."""
    start = campaign.period_start(now)
    return {"claimed_at": {"$gte": start}} if start else {}


def is_over(campaign: Campaign, entry: Entry, now: datetime) -> bool:
    """Whether the period of an entry is over; of a campaign that is sent once it never is."""
    start, claimed_at = campaign.period_start(now), entry.get("claimed_at")
    return start is not None and isinstance(claimed_at, datetime) and claimed_at < start


def shares_entry(campaign: Campaign) -> bool:
    """Whether the periods of a chat share one entry, one after the other."""
    return campaign.once not in ("ever", "day")


def expires_at(at: datetime, days: int) -> datetime:
    """When an entry of a campaign with a period, or the document of a pass, may be deleted."""
    return at + timedelta(days=days)


def expiry(campaign: Campaign, claimed_at: datetime) -> Document:
    """An entry is kept at least as long as it holds its chat."""
    period = campaign.period_days()
    if period is None:
        return {}
    days = max(campaign.settings.journal_days, period + 1)
    return {"expires_at": expires_at(claimed_at, days)}
