"""Rates at which a claim is too old before its turn."""

from __future__ import annotations

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import chats, states
from tests.helpers.users import Users, discount_user


def test_a_rate_below_one_message_in_three_minutes_is_refused(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Each shard has its part of the rate; nobody is claimed at one that reaches nobody."""
    users.insert_one(discount_user())
    result = ozh("discount", "--json", "--shard", "0/4", OZH_RATE_LIMIT="0.02")
    assert result.code == 78, result.err
    assert "OZH_RATE_LIMIT: 0.005 messages per second" in result.json()["error"]
    assert (states(users), chats(bot_api)) == ([""], [])
    assert ozh("discount", "--json", "--shard", "0/2", OZH_RATE_LIMIT="0.02").code == 0
