"""What holds a user back whichever campaign it is: a gap, unreachable, blocked and back again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import chats, deliveries
from tests.helpers.users import Users, ago, bonus_user, discount_user, now

BACK: dict[str, Any] = {"OZH_FIELD_BLOCKED": "blocked", "OZH_FIELD_BLOCKED_AT": "blocked_at"}


def both(**fields: Any) -> dict[str, Any]:
    """A user of both campaigns: a newcomer who has used up the first picture."""
    return discount_user(**{"registered_at": ago(hours=30), **fields})


def test_no_user_gets_a_message_within_the_gap_whichever_campaign_sent_it(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The funnel and `explain` say why, and when it ends; afterwards the user is due."""
    user = both()
    users.insert_one(user)
    assert ozh("daily-bonus", "--json").json()["sent"] == 1
    stored = users.find_one({}) or {}
    assert stored["ozh_notify"]["last_sent_at"] == stored["ozh_notify"]["daily_bonus"]["at"]
    gap: dict[str, Any] = {"OZH_MIN_GAP_HOURS": "4"}
    assert ozh("discount", "--json", **gap).json()["eligible"] == 0
    held = ozh("discount", "--dry-run", "--json", **gap).json()["held"]
    assert held == {"messaged within 4 hours": 1}
    told = ozh("explain", "discount", str(user["telegram_id"]), "--json", **gap).json()
    assert not told["eligible"]
    assert "messaged within 4 hours" in told["verdict"]
    assert (
        told["next_at"] == (stored["ozh_notify"]["last_sent_at"] + timedelta(hours=4)).isoformat()
    )
    users.update_one({}, {"$set": {"ozh_notify.last_sent_at": ago(hours=4, seconds=1)}})
    assert ozh("discount", "--json", **gap).json()["sent"] == 1


@pytest.mark.long
def test_the_gap_holds_between_two_passes_at_the_same_time(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A user that another campaign is just sending to is not claimed; a claim of a crash holds
    until its lease is over."""
    gap: dict[str, Any] = {"OZH_MIN_GAP_HOURS": "4"}
    sending = {"state": "sending", "claim": "c", "at": ago(minutes=1)}
    under_way = {"daily_bonus": {**sending, "hold_until": now() + timedelta(minutes=9)}}
    lapsed = {"daily_bonus": {**sending, "hold_until": ago(minutes=9)}}
    users.insert_many([both(ozh_notify=under_way), both(ozh_notify=lapsed)])
    said = ozh("discount", "--json", **gap).json()
    assert (said["sent"], said["skipped"]) == (1, 1)
    assert ozh("discount", "--json").json()["sent"] == 1


@pytest.mark.long
def test_without_a_gap_both_campaigns_may_message_at_once(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """As before."""
    users.insert_one(both())
    assert ozh("daily-bonus", "--json").json()["sent"] == 1
    assert ozh("discount", "--json").json()["sent"] == 1


@pytest.mark.long
def test_what_one_campaign_found_unreachable_no_other_tries(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """For thirty days, or until the bot takes the date away; a delivered message ends it."""
    user = both()
    users.insert_many([user, bonus_user()])
    bot_api.control.rules([{"do": "blocked", "chat_id": user["telegram_id"]}])
    assert ozh("daily-bonus", "--json").json()["unreachable"] == 1
    until = (users.find_one({"_id": user["_id"]}) or {})["ozh_notify"]["unreachable_until"]
    assert until > now() + timedelta(days=29)
    bot_api.control.rules([])
    assert ozh("discount", "--json").json()["eligible"] == 0
    assert ozh("discount", "--dry-run", "--json").json()["held"]["unreachable"] == 1
    users.update_one({"_id": user["_id"]}, {"$unset": {"ozh_notify.unreachable_until": ""}})
    assert ozh("discount", "--json").json()["sent"] == 1

    users.update_one({}, {"$set": {"ozh_notify.unreachable_until": ago(hours=1)}})
    users.update_one({}, {"$unset": {"ozh_notify.daily_bonus": ""}})
    users.database.ozh_notify_journal.delete_many({"campaign": "daily-bonus"})
    assert ozh("daily-bonus", "--json").json()["sent"] == 1
    assert "unreachable_until" not in (users.find_one({}) or {})["ozh_notify"]


@pytest.mark.long
def test_a_user_whom_the_bot_knows_to_be_blocked_gets_no_campaign(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Only `true` says so."""
    flags: list[Any] = [True, False, None, "yes", 0]
    users.insert_many(both(blocked=flag) for flag in flags)
    users.insert_one(both())
    known: dict[str, Any] = {"OZH_FIELD_BLOCKED": "blocked"}
    held = ozh("discount", "--dry-run", "--json", **known).json()["held"]
    assert held == {"blocked the bot": 1}
    assert ozh("discount", "--json", **known).json()["sent"] == 5
    user = users.find_one({"blocked": True}) or {}
    told = ozh("explain", "discount", str(user["telegram_id"]), "--json", **known).json()
    assert "blocked the bot" in told["verdict"]


@pytest.mark.long
@pytest.mark.parametrize("campaign", ["discount", "daily-bonus"])
def test_a_user_who_is_back_since_is_tried_again(
    campaign: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Both holds are older than the bot's `false`; one that is newer, or no date, does not help."""
    key = campaign.replace("-", "_")
    found = ago(hours=2)
    hold = {"state": "unreachable", "hold_until": now() + timedelta(hours=20), "at": found}
    state = {key: hold, "unreachable_until": found + timedelta(days=30)}
    others: list[dict[str, Any]] = [
        {"blocked": False, "blocked_at": ago(hours=3)},
        {"blocked": False, "blocked_at": "yesterday"},
        {"blocked": False},
        {"blocked": None, "blocked_at": ago(hours=1)},
        {"blocked": True, "blocked_at": ago(hours=1)},
    ]
    back = both(blocked=False, blocked_at=ago(hours=1), ozh_notify=state)
    users.insert_many([back, *(both(ozh_notify=state, **other) for other in others)])
    assert ozh(campaign, "--dry-run", "--json").json()["eligible"] == 0
    found_back = ozh(campaign, "--dry-run", "--json", **BACK)
    assert found_back.code == 0, found_back.err
    dry = found_back.json()
    assert (dry["eligible"], sum(dry["held"].values())) == (1, 5)
    told = ozh("explain", campaign, str(back["telegram_id"]), "--json", **BACK).json()
    assert told["eligible"], told
    assert ozh(campaign, "--json", **BACK).json()["sent"] == 1
    assert chats(bot_api) == [back["telegram_id"]]
    assert deliveries(users, key)[back["telegram_id"]]["state"] == "sent"


@pytest.mark.long
def test_odd_values_of_these_fields_stop_no_pass(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A backend wrote them; a field that is not a date holds nobody back."""
    odd: list[Any] = ["x", 5, None, [], {}, True, [ago(days=1)]]
    users.insert_many(
        both(
            blocked=value,
            blocked_at=value,
            ozh_notify={"last_sent_at": value, "unreachable_until": value},
        )
        for value in odd
    )
    result = ozh("discount", "--json", OZH_MIN_GAP_HOURS="4", **BACK)
    assert result.code == 0, result.err
    assert result.json()["sent"] == len(odd) - 1  # one of them is `true`
