"""The main job, end to end, by the installed command."""

from __future__ import annotations

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, bonus_user, discount_user, user


def test_the_discount_reaches_whom_it_is_for_and_is_remembered(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Each eligible user gets one message, then ``discount_offered`` is True."""
    users.insert_many([*(discount_user() for _ in range(30)), *(user() for _ in range(10))])
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    assert result.json()["sent"] == 30
    chats = [message.chat_id for message in bot_api.control.messages()]
    wanted = {u["telegram_id"] for u in users.find({"generations_count": 1})}
    assert sorted(chats) == sorted(wanted)
    assert users.count_documents({"discount_offered": True}) == 30


@pytest.mark.parametrize("campaign", ["discount", "daily-bonus"])
def test_a_second_pass_reaches_nobody(
    ozh: Ozh, users: Users, bot_api: BotApiServer, campaign: str
) -> None:
    """No user gets the same message twice."""
    users.insert_many([*(discount_user() for _ in range(5)), *(bonus_user() for _ in range(5))])
    first, second = ozh(campaign, "--json"), ozh(campaign, "--json")
    assert (first.json()["sent"], second.json()["sent"]) == (5, 0), second.err
    assert len(bot_api.control.messages()) == 5


def test_two_thousand_users_are_all_delivered_once_at_a_thousand_a_second(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """At Telegram's paid ceiling nobody is lost and nobody is messaged twice."""
    users.insert_many([discount_user() for _ in range(2000)])
    result = ozh("discount", "--json", "--rate", "1000")
    assert result.json()["sent"] == 2000, result.err
    chats = [message.chat_id for message in bot_api.control.messages()]
    assert len(chats) == len(set(chats)) == 2000
