"""Why a user would or would not get a campaign's message; the server itself answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from ozh_notify.campaigns import FAR, Campaign, Kind
from ozh_notify.config.settings import Settings, local
from ozh_notify.users import audience, describe, journal_entry, recipient
from ozh_notify.users.audience import Filter, Query
from ozh_notify.users.field_mapping import type_name
from ozh_notify.users.recipient import at_path
from ozh_notify.users.restraints import restraints

Matches = Callable[[Filter], Awaitable[bool]]
"""Asks the server whether this one user matches a filter."""

DELIVERY_FIELDS = ("state", "hold_until", "claim", "run", "at", "attempts", "message_id", "error")


@dataclass(frozen=True)
class CriterionResult:
    """One criterion with the user's own value."""

    question: str
    value: str
    yes: bool
    """Whether the user meets it."""
    why: str = ""


@dataclass(frozen=True)
class Explanation:
    """All that decides whether one user gets one campaign's message."""

    campaign: str
    user: str
    chat_id: int | None
    first_name: str
    answers: list[CriterionResult]
    delivery: dict[str, Any] | None
    """The stored state, as it is."""
    eligible: bool
    """Whether a pass would claim this user now, if its hours allow it."""
    verdict: str
    next_at: datetime | None
    """When a pass may message this user, if nothing else changes; None when that is unknown."""

    def as_json(self) -> dict[str, Any]:
        """The object ``--json`` prints; moments are ISO 8601."""
        return asdict(self)


async def explain(
    campaign: Campaign,
    user: Mapping[str, Any],
    matches: Matches,
    now: datetime,
    entry: Mapping[str, Any] | None = None,
) -> Explanation:
    """Ask the server about each criterion, and about all of them together.

    ``entry`` is the journal's entry of this campaign, chat and period.
    """
    query = Query(campaign, now)
    answers = await _answers(query, user, matches)
    if campaign.settings.journal_collection:
        answers.append(entry_result(entry, campaign, now))
    may_get_it = answers[0].yes and answers[-1].yes
    eligible = await matches(audience.claimable(query)) and may_get_it
    next_at = await _next(query, user, matches) if may_get_it else None
    delivery = at_path(user, campaign.state_path)
    return Explanation(
        campaign=campaign.name,
        user=str(user["_id"]),
        chat_id=recipient.parse_chat_id(at_path(user, campaign.settings.field_chat_id)),
        first_name=recipient.clean_name(at_path(user, campaign.settings.field_first_name)),
        answers=answers,
        delivery={k: delivery[k] for k in DELIVERY_FIELDS if k in delivery}
        if isinstance(delivery, dict)
        else None,
        eligible=eligible,
        verdict=_verdict(campaign, answers, eligible, now, next_at),
        next_at=next_at,
    )


def entry_result(
    entry: Mapping[str, Any] | None, campaign: Campaign, now: datetime
) -> CriterionResult:
    """Whether the journal says that this chat has been dealt with in this period."""
    question = "no entry of the journal holds the chat"
    if entry is None or journal_entry.may_take_over(campaign, entry, now):
        return CriterionResult(question, "" if entry is None else str(entry["state"]), True)
    value = f"{entry['_id']}: {entry['state']}"
    why = f"the journal has {entry['_id']} as {entry['state']}, by run {entry['run']}"
    until = campaign.period_end(entry["claimed_at"])
    if until < FAR:
        why += f", until {describe.value(until, campaign.settings)}"
    return CriterionResult(question, value, False, why)


async def _answers(
    query: Query, user: Mapping[str, Any], matches: Matches
) -> list[CriterionResult]:
    """Chat id and state first, then criteria, hold, mute and extra filter."""
    campaign, settings = query.campaign, query.campaign.settings
    problem = recipient.why_invalid(user, campaign)
    chat = describe.value(at_path(user, settings.field_chat_id), settings)
    answers = [CriterionResult("can be written to", chat, problem is None, problem or "")]
    flagged = False
    for one in campaign.criteria(query.now):
        yes = await matches(audience.conditions(one))
        question = f"{one.field} {describe.condition(one.condition, settings)}"
        flagged |= one.kind is Kind.FLAG and not yes
        have = at_path(user, one.field)
        no_date = one.kind is Kind.DATE and type_name(have) != "date"
        why = f"no date in {one.field}" if no_date else one.excluded_as
        answers.append(
            CriterionResult(question, describe.value(have, settings), yes, "" if yes else why)
        )
    held = await _held(query, user, matches)
    if held.why == audience.REASON_FLAG_RESET and flagged:
        held = replace(held, why="already delivered")
    answers.append(held)
    for restraint in restraints(settings, query.now):
        yes = await matches(restraint.condition)
        have = describe.value(at_path(user, restraint.field), settings)
        why = "" if yes else restraint.excluded_as
        answers.append(CriterionResult(restraint.question, have, yes, why))
    muted = describe.value(at_path(user, f"{settings.state_field}.muted"), settings)
    yes = await matches(audience.not_muted(query))
    answers.append(CriterionResult("is not muted", muted, yes, "" if yes else "muted"))
    if settings.extra_filter:
        yes = await matches({"$and": [settings.extra_filter]})
        why = "" if yes else "kept out by OZH_EXTRA_FILTER"
        answers.append(CriterionResult("matches OZH_EXTRA_FILTER", "", yes, why))
    return answers


async def _held(query: Query, user: Mapping[str, Any], matches: Matches) -> CriterionResult:
    """Whether a delivery of this campaign holds the user, and why."""
    state_path, settings = query.campaign.state_path, query.campaign.settings
    kept = at_path(user, f"{state_path}.state")
    state = kept if isinstance(kept, str) else describe.value(kept, settings)
    until = at_path(user, f"{state_path}.hold_until")
    if isinstance(until, datetime):
        state += " for good" if until >= FAR else f" until {describe.value(until, settings)}"
    for reason, held in audience.hold_reasons(query):
        if await matches(held):
            return CriterionResult("no delivery holds the user", state, False, reason)
    return CriterionResult("no delivery holds the user", state, True)


def _verdict(
    campaign: Campaign,
    answers: list[CriterionResult],
    eligible: bool,
    now: datetime,
    next_at: datetime | None,
) -> str:
    when = f"from {describe.value(next_at, campaign.settings)} on" if next_at else ""
    closed = campaign.closed_reason(now)
    if eligible and closed:
        return f"yes, {when or 'later'}: {closed}"
    if eligible:
        return "yes: the next pass messages this user"
    whys = dict.fromkeys(answer.why for answer in answers if not answer.yes)
    # The delivery that found the user unreachable holds in two places; both are in the table.
    reasons = "; ".join(why for why in whys if f"held: {why}" not in whys)
    rest = f"; if nothing else changes, {when}" if when else ""
    return f"no: {reasons or 'the delivery state cannot be written to'}{rest}{_advice(answers)}"


def _advice(answers: list[CriterionResult]) -> str:
    whys = {answer.why for answer in answers}
    if "held: unknown" in whys:
        return "; settle it with: ozh-notify reconcile"
    if audience.REASON_FLAG_RESET in whys:
        return "; --again says that the flag was reset on purpose"
    if "muted" in whys:
        return "; ozh-notify unmute takes the mute back"
    return ""


async def _next(query: Query, user: Mapping[str, Any], matches: Matches) -> datetime | None:
    """The first moment, inside the hours, at which the filter would let a pass claim this user."""
    for moment in sorted({query.now, *(turn for turn in _turns(query, user) if turn >= query.now)}):
        opens = _opens(query.campaign, moment)
        if opens and await matches(audience.claimable(Query(query.campaign, opens))):
            return opens
    return None


def _turns(query: Query, user: Mapping[str, Any]) -> Iterator[datetime]:
    """Later moments at which a hold ends or the answer to a criterion on a date may change."""
    hold = at_path(user, f"{query.campaign.state_path}.hold_until")
    if isinstance(hold, datetime) and query.now < hold < FAR:
        yield hold
    yield from _restraints_end(query.campaign.settings, user)
    for one in query.campaign.criteria(query.now):
        have = at_path(user, one.field)
        for limit in one.condition.values():
            if not (isinstance(limit, datetime) and isinstance(have, datetime)):
                continue
            # The limit moves with the clock; a millisecond more satisfies `$lt`.
            wait = have - limit + timedelta(milliseconds=1)
            if timedelta() < wait < timedelta(days=36_500):
                yield query.now + wait


def _restraints_end(settings: Settings, user: Mapping[str, Any]) -> Iterator[datetime]:
    until = at_path(user, f"{settings.state_field}.unreachable_until")
    if isinstance(until, datetime):
        yield until
    last = at_path(user, f"{settings.state_field}.last_sent_at")
    if settings.min_gap_hours and isinstance(last, datetime):
        yield last + timedelta(hours=settings.min_gap_hours)


def _opens(campaign: Campaign, moment: datetime) -> datetime | None:
    """The first moment from ``moment`` on at which a pass may message anybody."""
    settings = campaign.settings
    ends = [campaign.not_before(), settings.quiet_hours and settings.quiet_hours[1]]
    today = local(moment, settings)
    days: list[date] = [today.date() + timedelta(days=n) for n in range(3)]
    turns: list[time] = [time.min, *(end for end in ends if end)]
    later = sorted(datetime.combine(day, at, today.tzinfo) for day in days for at in turns)
    candidates = [moment, *(turn for turn in later if turn > moment)]
    return next((c for c in candidates if campaign.closed_reason(c) is None), None)
