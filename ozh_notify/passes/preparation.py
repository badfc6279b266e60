"""What a pass does before it delivers: look at a sample, sweep, scan, hold the recipient limit."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.config.problem import render
from ozh_notify.errors import ConfigError, Refused
from ozh_notify.passes.ports import PassStore
from ozh_notify.passes.result import PassOptions
from ozh_notify.users import field_mapping
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidates
from ozh_notify.wording import counted

log = logging.getLogger(__name__)


SLOWEST_RATE = 1 / 180
"""Messages per second of one process; at a lower rate a claim is too old before its turn."""


def refuse_slow_rate(rate: float) -> None:
    """Refuse a rate at which nobody could be sent to; ``rate`` is this process's share.

    Raises:
        ConfigError: the rate is below one message in three minutes.
    """
    if rate < SLOWEST_RATE:
        raise ConfigError(
            f"OZH_RATE_LIMIT: {rate:.2g} messages per second for each process is too slow: a claim "
            "would be too old before its turn; one message in three minutes is the least "
            f"({SLOWEST_RATE:.4f} for each shard)"
        )


def check_bot(known: Mapping[str, Any] | None, bot_id: int, username: str, new_bot: bool) -> None:
    """Another bot's messages would reach nobody, or the users of another bot.

    Raises:
        ConfigError: another bot has delivered so far, and ``--new-bot`` does not accept this one.
    """
    if known is None or known.get("bot_id") == bot_id or new_bot:
        return
    raise ConfigError(
        f"TELEGRAM_BOT_TOKEN is the token of @{username} (id {bot_id}), but @{known['username']} "
        f"(id {known['bot_id']}) has delivered to these users since {known['since']:%Y-%m-%d}. "
        "If the bot has changed on purpose, run the pass once with --new-bot"
    )


NAMED_CHATS = 5
"""Chats in several documents that a warning names."""


async def check_sample(store: PassStore, campaign: Campaign, now: datetime) -> bool:
    """Check the field mapping against the newest users; returns whether there are any users.

    Raises:
        ConfigError: the mapping looks wrong, and a pass could message the wrong users.
    """
    sample = await store.sample(field_mapping.SAMPLE_SIZE)
    findings = field_mapping.check_mapping(sample, campaign, now)
    for warning in findings.warnings:
        log.warning("%s", warning)
    if findings.errors:
        head = "the field mapping looks wrong, nobody was messaged:"
        raise ConfigError(f"{render(head, findings.errors)}\nTry: ozh-notify check")
    return bool(sample)


async def sweep(store: PassStore, now: datetime) -> int:
    """Move lapsed claims on; returns how many became `unknown`."""
    swept = await store.sweep(now)
    if swept:
        deliveries = counted(swept, "delivery", "deliveries")
        log.warning("%s of an earlier pass became unknown", deliveries)
    return swept


async def scan(store: PassStore, query: Query, limit: int | None) -> Candidates:
    """The users who may be messaged; as many ids are kept as a pass can need."""
    settings = query.campaign.settings
    found = await store.scan(query, max(settings.max_recipients, 2 * (limit or 0) + 1000))
    if found.invalid:
        log.warning("%s", invalid_warning(found, settings.field_chat_id))
    if shared := found.shared_chats():
        log.warning("%s", shared_chats_warning(shared, journal=bool(settings.journal_collection)))
    return found


def invalid_warning(found: Candidates, chat_field: str) -> str:
    """How many users cannot be messaged, the first of them with the reason, and what to do."""
    named = "; ".join(f"_id {user_id}: {reason}" for user_id, reason in found.first_invalid)
    more = found.invalid - len(found.first_invalid)
    rest = f"; and {more} more (-v names each)" if more else ""
    only_numbers = f'{{"{chat_field}": {{"$type": "number"}}}}'
    return (
        f"{counted(found.invalid, 'user is', 'users are')} left alone: {named}{rest}. Correct the "
        f"documents, or leave them out, for example by OZH_EXTRA_FILTER='{only_numbers}'"
    )


def shared_chats_warning(shared: Mapping[int, Sequence[Any]], *, journal: bool) -> str:
    """Which chats stand in several documents, and how many messages they get."""
    first = list(shared.items())[:NAMED_CHATS]
    named = "; ".join(f"chat {chat} (_id {', _id '.join(map(str, ids))})" for chat, ids in first)
    more = f"; and {len(shared) - len(first)} more" if len(shared) > len(first) else ""
    gets = "gets one message" if journal else "gets a message for each of its documents"
    chats = counted(len(shared), "chat id is", "chat ids are")
    return f"{chats} in more than one document: {named}{more}. Such a chat {gets}"


def refuse_too_many(found: Candidates, campaign: Campaign, options: PassOptions) -> None:
    """The recipient limit.

    Raises:
        Refused: the pass would message more users than `OZH_MAX_RECIPIENTS` allows.
    """
    allowed = campaign.settings.max_recipients
    would = found.valid if options.limit is None else min(found.valid, options.limit)
    if would <= allowed:
        return
    command = f"ozh-notify {campaign.name}{' --again' if options.again else ''}"
    raise Refused(
        f"this pass would message {would} users, more than OZH_MAX_RECIPIENTS={allowed}. "
        f"Look at them: {command} --dry-run. Then either --limit N for a part of them, "
        f"or --max-recipients {would} for all"
    )
