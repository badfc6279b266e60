"""What comes of one message: each reply of the Bot API, and what is stored of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import TOKEN, Ozh
from tests.helpers.passes import (
    FAR,
    clock_shows,
    zone_of,
)
from tests.helpers.users import Users, ago, now, user

MONTH = timedelta(days=30)


def refusal(description: str, code: int = 400) -> dict[str, Any]:
    """A rule that answers as Telegram does, in words of its own."""
    return {"do": "error", "code": code, "description": description}


@dataclass(frozen=True)
class Reply:
    """A reply of the Bot API, and what must come of it."""

    rule: dict[str, Any]
    state: str
    error: str = ""
    delivered: bool = False
    """Whether the chat received the message, whatever the answer was."""


REPLIES = (
    Reply({"do": "blocked"}, "unreachable", "bot was blocked by the user"),
    Reply({"do": "error", "code": 500}, "unknown", "HTTP 500"),
    Reply(refusal("Bad Request: can't parse entities: no end tag"), "rejected", "parse entities"),
    Reply({"do": "deactivated"}, "unreachable", "user is deactivated"),
    Reply({"do": "html_error", "code": 502}, "unknown", "HTTP 502"),
    Reply({"do": "cannot_initiate"}, "unreachable", "can't initiate conversation"),
    Reply({"do": "html_error", "code": 403}, "unknown", "HTTP 403"),
    Reply({"do": "not_found"}, "unreachable", "chat not found"),
    Reply({"do": "garbage"}, "unknown", "Invalid server response", delivered=True),
    Reply({"do": "garbage_undelivered"}, "unknown", "Invalid server response"),
    Reply(refusal("Bad Request: message is too long"), "rejected", "message is too long"),
    Reply({"do": "no_result"}, "unknown", "senseless reply", delivered=True),
    Reply({"do": "migrated"}, "unreachable", "upgraded to a supergroup"),
    Reply({"do": "bad_result"}, "unknown", "without a message", delivered=True),
    Reply(refusal("Bad Request: not enough rights to send text messages"), "unreachable", "rights"),
    Reply({"do": "cut_before"}, "unknown", "Disconnected"),
    Reply({"do": "cut_after"}, "unknown", "Disconnected", delivered=True),
    Reply(refusal("Bad Request: BUTTON_DATA_INVALID"), "rejected", "BUTTON_DATA_INVALID"),
    Reply({"do": "cut_after", "reset": True}, "unknown", "Error", delivered=True),
    Reply({"do": "hang_after", "seconds": 0.2}, "unknown", "Disconnected", delivered=True),
    Reply(refusal("Bad Request: something new"), "rejected", "something new"),
    Reply(
        {"do": "error", "code": 403, "status": 200, "description": "Forbidden: bot was blocked"},
        *("unreachable", "bot was blocked"),
    ),
    Reply(refusal("Payment Required", 402), "rejected", "Payment Required"),
    Reply({"do": "slow", "seconds": 0.3}, "sent", delivered=True),
    Reply({"do": "slow_headers", "seconds": 0.2}, "sent", delivered=True),
    Reply({"do": "flood", "retry_after": 1, "times": 1}, "sent", delivered=True),
)


@dataclass
class Audience:
    """Users of a campaign, newest first, each with the reply to their message."""

    daily: bool
    people: list[dict[str, Any]] = field(default_factory=list)

    def add(self) -> int:
        """One more user, older than the last; returns the chat."""
        moment = ago(hours=30, minutes=len(self.people))
        if self.daily:
            who = user(registered_at=moment)
        else:
            who = user(generations_count=1, balance=0, first_generation_at=moment)
        self.people.append(who)
        return int(who["telegram_id"])


@pytest.mark.parametrize("campaign", ["discount", "daily-bonus"])
def test_every_reply_of_the_bot_api_is_stored_as_what_it_says(
    campaign: str, ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """State, hold, claim, attempts, message id, error and flag; nothing else in the document.

    Between any two replies stands a delivered message, so that no row of failures stops the pass.
    """
    daily = campaign == "daily-bonus"
    key, audience = campaign.replace("-", "_"), Audience(daily)
    chat_of = {}
    for reply in REPLIES:
        audience.add()
        chat_of[audience.add()] = reply
    users.insert_many(audience.people)
    bot_api.control.rules([{**reply.rule, "chat_id": chat} for chat, reply in chat_of.items()])
    zone = clock_shows(tmp_path, "12:00:00")
    local, began = zone_of(zone) if daily else None, now()
    ozh.environment.update(zone)
    result = ozh(campaign, "--json", "--rate", "50")
    assert result.code == 0, result.err
    said, delivered = result.json(), {m.chat_id: m.message_id for m in bot_api.control.messages()}
    for before in audience.people:
        chat = before["telegram_id"]
        reply = chat_of.get(chat, Reply({}, "sent", delivered=True))
        after = users.find_one({"_id": before["_id"]}) or {}
        delivery = after["ozh_notify"][key]
        seen = f"{reply.rule}: {delivery}"
        assert delivery["state"] == reply.state, seen
        assert delivery["hold_until"] == held_until(reply.state, delivery["at"], local), seen
        assert delivery["run"] == said["run_id"], seen
        assert began <= delivery["at"] <= now(), seen
        assert delivery["attempts"] == 1, seen
        assert ("claim" in delivery) is (reply.state == "unknown"), seen
        assert (chat in delivered) is reply.delivered, seen
        assert delivery.get("message_id") == (delivered[chat] if reply.state == "sent" else None), (
            seen
        )
        assert reply.error.lower() in delivery.get("error", "").lower(), seen
        assert ("error" in delivery) is (reply.state != "sent"), seen
        assert TOKEN.partition(":")[2].lower() not in delivery.get("error", "").lower(), seen
        offered = not daily and reply.state == "sent"
        # What holds for all campaigns has its own tests: when the last message went out, and
        # until when nobody tries.
        for name in ("last_sent_at", "unreachable_until"):
            after["ozh_notify"].pop(name, None)
        expected = {**before, "discount_offered": offered, "ozh_notify": {key: delivery}}
        assert after == expected
    count = [reply.state for reply in REPLIES]
    for state in ("unreachable", "rejected", "unknown"):
        assert said[state] == count.count(state)
    assert said["sent"] == len(REPLIES) + count.count("sent")
    assert said["claimed"] == said["eligible"] == len(audience.people)
    assert (said["retry"], said["remaining"], said["skipped"]) == (0, 0, 0)
    assert said["flood_wait_seconds"] == 1


def held_until(state: str, at: datetime, zone: ZoneInfo | None) -> datetime:
    """Until when the contract holds a user; the zone matters for a daily campaign only."""
    if zone:
        tomorrow = at.astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, datetime.min.time(), zone)
    return at + MONTH if state in ("unreachable", "rejected") else FAR
