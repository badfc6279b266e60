"""Which arm of an experiment a chat is in."""

from __future__ import annotations

import hashlib
from enum import Enum


class Arm(str, Enum):
    """What an experiment does with a chat."""

    TREATED = "treated"
    """The chat gets the message."""
    CONTROL = "control"
    """The chat is held out: it gets no message."""


def arm_of(experiment: str, campaign: str, chat_id: int, share: float) -> Arm:
    """The arm of a chat, the same in every process and in every pass of an experiment.

    ``share`` is the percentage held out, 1 to 90. The hash has the experiment's name in it, so
    another experiment deals the chats anew. It has nothing in common with the hash of a shard.
    """
    key = f"{experiment}:{campaign}:{chat_id}".encode()
    number = int(hashlib.sha256(key).hexdigest()[:8], 16) % 10_000
    return Arm.CONTROL if number < 100 * share else Arm.TREATED
