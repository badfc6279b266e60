"""Rules: which requests go wrong, and how.

A rule is a JSON object; the first one that fires decides. Its keys:

``do``           what happens, one of `FAULTS`
``chat_id``      a number, a list of them, or null for all
``method``       ``sendMessage`` …, or null for every method that sends
``skip``         lets this many matching requests pass first
``every``        then takes only each K-th
``times``        fires at most this often
``probability``  fires at random, in the same way for the same ``seed`` of the server
``seconds``, ``retry_after``, ``code``, ``description``, ``migrate_to_chat_id``
                 what the fault asks for
``status``       an HTTP status other than the error's code, as some relays answer
``reset``        a cut connection ends with a TCP reset instead of an end of stream
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .faults import FAULTS, Fault, Params

SENDING = frozenset({"sendmessage", "sendphoto", "sendanimation", "sendvideo"})

_KEYS = {"do", "chat_id", "method", "skip", "every", "times", "probability"}
_PARAMS = {
    *("seconds", "retry_after", "code", "status", "description", "migrate_to_chat_id", "reset")
}


@dataclass
class Rule:
    """One rule, with how many requests matched it and how many it took."""

    kind: Fault
    chats: frozenset[int] | None
    methods: frozenset[str]
    skip: int
    every: int
    times: int | None
    probability: float
    params: Params
    met: int = 0
    fired: int = 0

    @property
    def seconds(self) -> float:
        return float(self.params.get("seconds", 0))

    def matches(self, method: str, chat_id: int | None) -> bool:
        return method in self.methods and (self.chats is None or chat_id in self.chats)

    def fires(self, chance: random.Random) -> bool:
        """Counts one matching request; says whether the rule takes it."""
        self.met += 1
        turn = self.met - self.skip
        if turn <= 0 or turn % self.every or (self.times is not None and self.fired >= self.times):
            return False
        if self.probability < 1 and chance.random() >= self.probability:
            return False
        self.fired += 1
        return True


def read_rules(items: object) -> list[Rule]:
    """Rules from JSON; raises a ValueError that says what is wrong."""
    if not isinstance(items, list):
        raise ValueError("rules are a list")
    return [_read(item) for item in items]


def pick(
    rules: Iterable[Rule], method: str, chat_id: int | None, chance: random.Random
) -> Rule | None:
    """The first rule that fires for this request."""
    for rule in rules:
        if rule.matches(method, chat_id) and rule.fires(chance):
            return rule
    return None


def _read(item: Any) -> Rule:
    if not isinstance(item, dict) or item.get("do") not in FAULTS:
        raise ValueError(f"a rule needs a known 'do': {item!r}")
    if unknown := item.keys() - _KEYS - _PARAMS:
        raise ValueError(f"unknown in a rule: {', '.join(sorted(unknown))}")
    chats, method, times = item.get("chat_id"), item.get("method"), item.get("times")
    return Rule(
        kind=FAULTS[item["do"]],
        chats=None if chats is None else frozenset(chats if isinstance(chats, list) else [chats]),
        methods=SENDING if method is None else frozenset({str(method).lower()}),
        skip=int(item.get("skip") or 0),
        every=max(1, int(item.get("every") or 1)),
        times=None if times is None else int(times),
        probability=float(item.get("probability", 1)),
        params={key: item[key] for key in item.keys() & _PARAMS},
    )
