"""Several processes share one audience: each user is messaged once, and nobody is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from bson import ObjectId

from ozh_notify.sandbox.botapi.client import BotApiServer
from ozh_notify.users.candidates import Candidates, shard_of
from tests.conftest import Finished, Ozh
from tests.helpers.users import Users, discount_user

SHARDS = 4
MANY = 160
RATE = 40
"""The rate of all shards together: slow enough that all are up before one is done."""


def together(ozh: Ozh, numbers: list[int]) -> list[Finished]:
    """The shards of these numbers at once, as an Indexed Job starts them."""
    started = [
        ozh.start(
            *("discount", "--json", "--rate", str(RATE)),
            JOB_COMPLETION_INDEX=str(number),
            OZH_SHARDS=str(SHARDS),
        )
        for number in numbers
    ]
    return [ozh.finished(one, *one.communicate(timeout=100)) for one in started]


def check_everybody_once(users: Users, bot_api: BotApiServer, results: list[Finished]) -> None:
    """Each user got exactly one message, and the shards' counts say the same."""
    assert [result.code for result in results] == [0] * len(results), results[0].err
    chats = [message.chat_id for message in bot_api.control.messages()]
    assert sorted(chats) == sorted(user["telegram_id"] for user in users.find())
    assert sum(result.json()["sent"] for result in results) == len(chats)
    assert users.count_documents({"ozh_notify.discount.state": "sent"}) == len(chats)


def test_four_shards_share_the_work_and_the_rate(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Each user once, shares about even, each at its part of the rate."""
    users.insert_many([discount_user() for _ in range(MANY)])
    results = together(ozh, list(range(SHARDS)))
    check_everybody_once(users, bot_api, results)
    for result in results:
        counts = result.json()
        assert counts["rate"] == RATE / SHARDS
        assert counts["eligible"] <= MANY
        assert MANY / SHARDS / 4 <= counts["sent"] <= MANY / SHARDS * 2
        assert counts["remaining"] == 0
        assert counts["eligible"] == counts["sent"] + counts["skipped"]
    runs = [result.json()["run_id"] for result in results]
    own = sum(
        user["ozh_notify"]["discount"]["run"] == runs[shard_of(user["_id"], SHARDS)]
        for user in users.find()
    )
    assert own > MANY / 2, "shards did not begin with their own share"
    times = sorted(message.time for message in bot_api.control.messages())
    assert times[-1] - times[0] > 0.8 * MANY / RATE, "all together were faster than the rate"


def test_a_shard_that_never_starts_loses_nobody(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The others take what it leaves."""
    users.insert_many([discount_user() for _ in range(MANY // 2)])
    results = together(ozh, [0, 1, 3])
    check_everybody_once(users, bot_api, results)
    rest = [user["_id"] for user in users.find() if shard_of(user["_id"], SHARDS) == 2]
    assert len(rest) > 5, "the missing shard had no share to speak of"


@pytest.mark.long
def test_an_option_wins_over_the_pods_number(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """And one of the two variables alone makes no shard."""
    users.insert_many([discount_user() for _ in range(3)])
    option = ozh("discount", "--json", "--shard", "1/2", OZH_SHARDS="4", JOB_COMPLETION_INDEX="0")
    assert (option.json()["rate"], option.json()["sent"]) == (250, 3)
    for alone in ({"OZH_SHARDS": "4"}, {"JOB_COMPLETION_INDEX": "7"}):
        variables: dict[str, Any] = alone
        assert ozh("discount", "--json", **variables).json()["rate"] == 500


def test_a_pod_beyond_the_number_of_shards_is_a_wrong_setting(ozh: Ozh, users: Users) -> None:
    """`completions` and `OZH_SHARDS` must agree."""
    result = ozh("discount", "--json", OZH_SHARDS="4", JOB_COMPLETION_INDEX="4")
    assert result.code == 78
    assert "JOB_COMPLETION_INDEX" in result.json()["error"]


# --- shares, looked at without a server ---


@pytest.mark.parametrize("count", [1, 2, 4, 7, 1000])
def test_shares_are_about_even_for_every_kind_of_id(count: int) -> None:
    """With every type that a backend may use as `_id`."""
    size = 20 * count
    kinds: dict[str, list[Any]] = {
        "numbers": list(range(size)),
        "texts": [f"user-{n}" for n in range(size)],
        "object ids": [ObjectId(f"{0x64B0 << 80 | n:024x}") for n in range(size)],
    }
    for kind, ids in kinds.items():
        shares = [0] * count
        for user_id in ids:
            shares[shard_of(user_id, count)] += 1
        assert max(shares) <= 60, kind
        assert sum(share == 0 for share in shares) <= count // 100, kind


def test_the_own_share_comes_first_newest_first_and_nobody_is_dropped() -> None:
    """Then the next shard's share, and so on, so that two finished shards do not meet at once."""
    found = Candidates(1000)
    for number in range(100):
        found.add(number, 1000 + number)
    found.own_share_first(2, SHARDS)
    order = list(found)
    assert sorted(order) == list(range(100))
    turns = [(shard_of(one, SHARDS) - 2) % SHARDS for one in order]
    assert turns == sorted(turns)
    assert order == sorted(order, key=lambda one: ((shard_of(one, SHARDS) - 2) % SHARDS, one))


def test_a_users_shard_is_the_same_in_every_process() -> None:
    """Python's own hash of a text is not."""
    code = (
        "from ozh_notify.users.candidates import shard_of; from bson import ObjectId; "
        "print([shard_of(i, 7) for i in ('anna', 12345, ObjectId('64b000000000000000000001'))])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
