"""The arm of a chat: stable, salted, and independent of the shard."""

from __future__ import annotations

import hashlib

import pytest

from ozh_notify.effect.arms import Arm, arm_of
from ozh_notify.users.candidates import shard_of

CHATS = range(100_000, 110_000)


@pytest.mark.parametrize("share", [1, 10, 50, 90])
def test_about_the_planned_share_is_held_out(share: int) -> None:
    """Within four standard deviations of ten thousand chats."""
    held = sum(arm_of("march", "discount", chat, share) is Arm.CONTROL for chat in CHATS)
    spread = (10_000 * share / 100 * (1 - share / 100)) ** 0.5
    assert abs(held - 100 * share) < 4 * spread


def test_the_arm_is_the_documented_hash() -> None:
    """Others can recompute it."""
    number = int(hashlib.sha256(b"march:discount:100005").hexdigest()[:8], 16) % 10_000
    for share in (1, 30, 60, 90):
        expected = Arm.CONTROL if number < 100 * share else Arm.TREATED
        assert arm_of("march", "discount", 100005, share) is expected


def test_another_experiment_and_another_campaign_deal_anew() -> None:
    """Half of the controls of one would be controls of the other only by chance."""
    for other in (("april", "discount"), ("march", "daily-bonus")):
        same = sum(
            arm_of("march", "discount", chat, 50) is arm_of(*other, chat, 50) for chat in CHATS
        )
        assert 4700 < same < 5300


def test_the_arm_has_nothing_to_do_with_the_shard() -> None:
    """Each of four shards holds about the same share of controls."""
    for shard in range(4):
        mine = [chat for chat in CHATS if shard_of(chat, 4) == shard]
        held = sum(arm_of("march", "discount", chat, 20) is Arm.CONTROL for chat in mine)
        assert 0.17 < held / len(mine) < 0.23
