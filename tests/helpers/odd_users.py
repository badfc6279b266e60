"""Users of every kind, each with what a pass should do about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from ozh_notify.sandbox.botapi.client import ReceivedMessage
from tests.helpers.users import ago

NOWHERE = object()
"""Stands for a field that is missing."""

ARRAYS: tuple[list[Any], ...] = ([], [0], [1], [0, 1], [1, 9], [False], [None], [[1]], [{}])

FAR = datetime(9999, 12, 31, tzinfo=timezone.utc)

ODD = "odd date"
"""Marks what holds a date that MongoDB knows and Python does not."""
LONG_AGO, IN_AGES = DatetimeMS(-62_200_000_000_000), DatetimeMS(253_500_000_000_000)


def every_type() -> dict[str, Any]:
    """Values of every BSON type, several where one number, date or array is not like another."""
    return {
        **{"missing": NOWHERE, "null": None, "false": False, "true": True},
        **{"int 0": 0, "int 1": 1, "int 2": 2, "int -1": -1},
        **{"long 0": Int64(0), "long 1": Int64(1), "long 2**40": Int64(2**40)},
        **{"double 0": 0.0, "double -0": -0.0, "double 1": 1.0, "double 1.5": 1.5},
        **{"NaN": float("nan"), "infinity": float("inf")},
        **{f"decimal {text}": Decimal128(text) for text in ("0", "0.00", "1", "1.0", "2", "NaN")},
        **{f"string {text!r}": text for text in ("", "0", "1", "false", "true", "null")},
        **{"date: 25 hours ago": ago(hours=25), "date: an hour ago": ago(hours=1)},
        **{"date: in an hour": ago(hours=-1)},
        **{"odd date: 1 BC": LONG_AGO, "odd date: year 10000": IN_AGES},
        "string of a date": ago(hours=25).isoformat(),
        **{"object {}": {}, "object": {"0": 1, "a": False}},
        **{f"array {array}": array for array in ARRAYS},
        "array of a date": [ago(hours=25)],
        **{"binData": Binary(b"1"), "objectId": ObjectId("64b000000000000000000001")},
        **{"regex": Regex("1"), "javascript": Code("1"), "javascript with scope": Code("1", {})},
        "timestamp": Timestamp(int(ago(hours=25).timestamp()), 1),
        **{"minKey": MinKey(), "maxKey": MaxKey()},
    }


@dataclass(frozen=True)
class Someone:
    """A user, and whether the pass is to message them."""

    kind: str
    document: dict[str, Any]
    due: bool = False
    invalid: bool = False
    """Matches the scan, and is counted and left alone."""
    usable: int | None = None
    """The number a chat id of another form stands for."""

    @property
    def chat(self) -> int:
        """Where a message to this user arrives; 0 where there is no such chat."""
        return int(self.document["telegram_id"]) if self.usable is None else self.usable


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a document with a value at a dotted path, or without it for :data:`NOWHERE`."""
    head, _, rest = path.partition(".")
    copy = dict(document)
    if rest:
        copy[head] = put(copy.get(head, {}), rest, value)
    elif value is NOWHERE:
        copy.pop(head, None)
    else:
        copy[head] = value
    return copy


def insert(users: Collection[dict[str, Any]], people: Iterable[Someone]) -> list[Someone]:
    """Store them; returns those the server can store, which for one of them is no odd date."""
    people = list(people)
    try:
        users.insert_one({"_id": ODD, "at": LONG_AGO})
        users.delete_one({"_id": ODD})
    except OperationFailure:
        people = [one for one in people if ODD not in one.kind]
    users.insert_many([one.document for one in people])
    return people


def names(people: Iterable[Someone]) -> list[str]:
    """Their kinds, each once, in order."""
    return sorted({one.kind for one in people})


def check_reached(people: Sequence[Someone], messages: Sequence[ReceivedMessage]) -> None:
    """Everybody who is due got one message, and nobody else got any."""
    reached = [message.chat_id for message in messages]
    chats = {one.chat for one in people if one.chat}
    found = {
        "not messaged, but should be": names(p for p in people if p.due and p.chat not in reached),
        "messaged, but should not be": names(p for p in people if not p.due and p.chat in reached),
        "messages to nobody's chat": sorted(set(reached) - chats),
        "messaged twice": sorted({chat for chat in reached if reached.count(chat) > 1}),
    }
    wrong = "\n".join(f"{what}: {who}" for what, who in found.items() if who)
    assert not wrong, wrong
