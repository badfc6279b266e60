"""What happened recently: users by state, the last runs, what is in doubt and what is due."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.mongo.client import Document
from ozh_notify.mongo.status_queries import StatusQueries
from ozh_notify.users import audience
from ozh_notify.users.audience import Query
from ozh_notify.users.delivery_state import State
from ozh_notify.users.settlement import StoredDelivery


@dataclass(frozen=True)
class Run:
    """A pass as the journal knows it.

    Without the journal it is as the user documents still show it: a later pass overwrites what
    it takes on.
    """

    id: str | None
    first: datetime | None
    last: datetime | None
    states: dict[str, int]
    status: str | None = None
    """How it ended; `running` while it goes on, and after a crash. None without the journal."""
    error: str | None = None


@dataclass(frozen=True)
class SendingRun:
    """A run that holds users in `sending`: it is under way, or it died."""

    run: str | None
    users: int
    until: datetime | None
    """When the last of its leases is over; the next pass settles them then."""


@dataclass(frozen=True)
class OldestUnknown:
    """The `unknown` delivery that waits longest."""

    user: str
    chat_id: int | None
    run: str | None
    at: datetime | None


@dataclass(frozen=True)
class Status:
    """What the data say of one campaign."""

    campaign: str
    due: int
    """Users that a pass would find now, those without a usable chat id included."""
    closed: str | None
    """Why a pass would not message them now."""
    states: dict[str, int]
    held: dict[str, int]
    """How many of them no pass may claim yet."""
    lapsed: int
    """In `sending`, and the lease is over: the next pass settles them."""
    sending: list[SendingRun]
    oldest_unknown: OldestUnknown | None
    runs: list[Run]
    earlier: int
    """Further runs that are not listed."""

    def as_json(self) -> dict[str, Any]:
        """The object ``--json`` prints; moments are ISO 8601."""
        return asdict(self)


async def read_status(
    queries: StatusQueries, campaign: Campaign, now: datetime, since: datetime | None = None
) -> Status:
    """Everything `status` tells of one campaign; ``since``: all runs that wrote later."""
    history = await queries.history(campaign, now, since)
    states = [s.value for s in State]
    found = {str(row["_id"]): row for row in history["states"]}
    order = [*(s for s in states if s in found), *(s for s in found if s not in states)]
    number = sum(row["runs"] for row in history["number"])
    oldest = await queries.oldest_unknown(campaign, now)
    return Status(
        campaign=campaign.name,
        due=await queries.count(audience.eligible(Query(campaign, now))),
        closed=campaign.closed_reason(now),
        states={s: found[s]["users"] for s in order},
        held={s: found[s]["held"] for s in order},
        lapsed=await queries.lapsed(campaign, now),
        sending=[_sending_run(row) for row in await queries.sending(campaign)],
        oldest_unknown=_oldest_unknown(oldest) if oldest else None,
        runs=[_run(row) for row in history["runs"]],
        earlier=number - len(history["runs"]),
    )


async def read_run(queries: StatusQueries, campaign: Campaign, run: str) -> list[StoredDelivery]:
    """Who got what from a run.

    Raises:
        ConfigError: no pass has this run id.
    """
    found = await queries.deliveries(campaign, run)
    if not found and not await queries.knows_run(run):
        raise ConfigError(
            f"no pass of {campaign.name} has the run id {run!r}. "
            f"ozh-notify status {campaign.name} lists runs"
        )
    return found


def _oldest_unknown(row: Document) -> OldestUnknown:
    chat = row["chat_id"]
    return OldestUnknown(str(row["user"]), chat, _text(row["run"]), _moment(row["at"]))


def _sending_run(row: Document) -> SendingRun:
    return SendingRun(_text(row["_id"]), int(row["users"]), _moment(row["until"]))


def _run(row: Document) -> Run:
    states = {str(s.get("state")): int(s["users"]) for s in row["states"]}
    first, last = _moment(row["first"]), _moment(row["last"])
    status, error = _text(row.get("status")), _text(row.get("error"))
    return Run(_text(row["_id"]), first, last, dict(sorted(states.items())), status, error)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None
