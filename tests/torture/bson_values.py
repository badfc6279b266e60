"""Hypothesis strategies: values of any BSON type, and users who hold such values somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timezone
from typing import Any

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import strategies as st

from tests.helpers.users import ago, bonus_user, discount_user

Document = dict[str, Any]

keys = st.text(max_size=8).filter(lambda key: "\0" not in key and not key.startswith("$"))
moments = st.datetimes(timezones=st.just(timezone.utc)) | st.integers(-(2**63), 2**63 - 1).map(
    DatetimeMS
)
numbers = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(-2, 2)
    | st.integers(-2, 2).map(Int64)
    | st.floats()
    | st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e308])
    | st.sampled_from(["0", "-0", "0E+3", "1", "1.0", "NaN", "sNaN", "Infinity"]).map(Decimal128)
)
huge = st.text(min_size=1, max_size=4).map(lambda text: text * 20_000)
others = (
    st.binary(max_size=20)
    # Not subtype 255: PyMongo up to 4.18 at least cannot write it (a SystemError of its C code).
    | st.builds(Binary, st.binary(max_size=20), st.sampled_from([1, 5, 128, 254]))
    | st.builds(ObjectId, st.binary(min_size=12, max_size=12))
    | st.builds(Regex, st.sampled_from(["^a", "(", ""]), st.just(re.I))
    | st.builds(Code, st.text(max_size=9), st.none() | st.just({"a": 1}))
    | st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
    | st.builds(DBRef, st.just("users"), st.integers(0, 9))
    | st.sampled_from([MinKey(), MaxKey()])
)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=40) | huge | moments | others
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    [
        "<b>жирный</b>",
        "</b></b><i>",
        "<a href='tg://user?id=1'>",
        "&lt;&#0;&#x110000;&",
        "{{ 7 * 7 }}{% raw %}",
        "\u202eнаоборот\u202c",
        "\u2066\u200f\u061cعلي",
        "\0\x01\x1b[31m\x7f\u0085",
        "\u2028\u2029\r\n\t",
        "\u200b\u200c\u200d\u2060\ufeff",
        "e\u0301" * 3000,
        "👩‍👩‍👧‍👦" * 100,
        "\U000e0041\ufffe\uffff\ue000",
        "<" * 100_000,
        " ",
    ]
)
unusable: list[Any] = [
    *(0, -5, -0.0, 1.5, 2**52, 2**53 + 1, 2**63 - 1, 1e300, float("nan"), float("inf"), -(2**40)),
    *("", "12a", " 12", "-5", "１２３", "٣٤", "9" * 16, "9" * 400, "1e5", "0x10", "@name", "<b>"),
    *(True, [5], {"id": 5}, Decimal128("5")),
]
chats = st.sampled_from(unusable)
offsets: list[dict[str, Any]] = [
    *({"hours": 23}, {"hours": 25}, {"days": 2.9}, {"days": 3.1}, {"minutes": -2}, {"days": -1}),
]
times = st.sampled_from(offsets).map(lambda units: ago(**units))
odd_flags: list[Any] = [None, False, True, 0, 1, "", "false", "False", [False], [], {}, "yes"]
flags = st.sampled_from(odd_flags)
languages = st.sampled_from(
    ["EN", "en_US", "../../etc/passwd", "ru\0", "x" * 9999, "日本", "*", ""]
)
words = st.sampled_from(
    ["sending", "sent", "retry", "unreachable", "rejected", "unknown", "SENDING"]
)
holds = moments | st.just(ago(days=1)) | st.just(ago(days=-1)) | st.none()
slots = st.fixed_dictionaries(
    {},
    optional={
        "state": words | st.lists(words, max_size=2) | anything,
        "hold_until": holds | anything,
        "claim": st.text(max_size=9) | anything,
        "run": anything,
        "at": moments | anything,
        "attempts": numbers | anything,
        "error": anything,
    },
)
states = st.fixed_dictionaries(
    {},
    optional={
        "muted": flags | anything,
        "discount": slots | anything,
        "daily_bonus": slots | anything,
        "дальше": anything,
    },
)
# Not MinKey and MaxKey: of an `_id` that holds these, secantusd-rs says that an update altered it.
ids: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=9),
    st.integers(0, 2**63 - 1),
    moments,
    st.binary(max_size=9),
    st.floats(),
    st.sampled_from([None, True, Decimal128("7")]),
    st.dictionaries(
        keys, scalars.filter(lambda v: not isinstance(v, Regex | MinKey | MaxKey)), max_size=2
    ),
)

HOSTILE: Mapping[str, st.SearchStrategy[Any]] = {
    "_id": ids,
    "telegram_id": chats | anything,
    "first_name": names | huge | anything,
    "language_code": languages | anything,
    "registered_at": times | anything,
    "generations_count": numbers | anything,
    "balance": numbers | anything,
    "first_generation_at": times | anything,
    "discount_offered": flags | anything,
    "daily_bonus_claimed_today": flags | anything,
    "ozh_notify": states | anything,
}
FORMS: tuple[Callable[[int], Any], ...] = (int, Int64, float, str)
"""How a usable chat id may be stored."""


@st.composite
def hostile_users(draw: st.DrawFn) -> Document:
    """A user for a campaign, some of whose fields hold whatever there is; or lack it."""
    person: Document = draw(st.sampled_from([discount_user, bonus_user]))()
    if draw(st.booleans()):
        person["registered_at"] = ago(hours=5)
    person["telegram_id"] = draw(st.sampled_from(FORMS))(person["telegram_id"])
    if draw(st.booleans()):
        person["first_name"] = draw(names)
    for name in draw(st.lists(st.sampled_from(list(HOSTILE)), max_size=3, unique=True)):
        if draw(st.integers(0, 9)):
            person[name] = draw(HOSTILE[name])
        else:
            person.pop(name, None)
    return person
