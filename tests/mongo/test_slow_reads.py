"""A journal that is large and has no indexes: what a pass does, and what it says."""

from __future__ import annotations

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.mongo_proxy import Rule, proxy
from tests.helpers.passes import chats
from tests.helpers.users import Users, discount_user

JOURNAL = "ozh_notify_journal"
ABOUT = b"sending"
"""Tells the sweep's search for entries whose lease is over from other reads of the journal."""
OUT_OF_TIME = 50
"""MaxTimeMSExpired."""


@pytest.mark.long
@pytest.mark.parametrize("command", ["find", "aggregate"])
def test_a_search_that_the_server_gives_up_names_the_cause_and_the_remedy(
    command: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """69, nobody claimed, and `indexes --create`, not a server that cannot be reached."""
    users.insert_many([discount_user()])
    asks = {"find": ("discount",), "aggregate": ("status", "discount")}[command]
    with proxy(ozh.environment["MONGO_URI"]) as server:
        server.rules = [Rule(command, JOURNAL, "refuse", code=OUT_OF_TIME, about=ABOUT)]
        result = ozh(*asks, MONGO_URI=server.uri)
    assert server.rules[0].met
    assert result.code == 69, result.err
    assert "ozh-notify indexes --create" in result.err
    assert "cannot be reached" not in result.err
    assert chats(bot_api) == []


def test_a_search_that_reads_the_whole_journal_is_given_its_time(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """It may take longer than one try of a write; the pass goes on."""
    users.insert_many([discount_user()])
    with proxy(ozh.environment["MONGO_URI"]) as server:
        server.rules = [Rule("find", JOURNAL, "slow", seconds=4.5, about=ABOUT)]
        result = ozh("discount", "--json", MONGO_URI=server.uri)
    assert server.rules[0].met == 1, "it was repeated"
    assert result.code == 0, result.err
    assert result.json()["sent"] == 1
