"""User documents nobody would have thought of."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, Phase, given, seed, settings
from pymongo.errors import BulkWriteError, OperationFailure

from tests.torture import eligibility
from tests.torture.bson_values import HOSTILE, hostile_users
from tests.torture.environment import Environment
from tests.torture.report import Report

Stored = dict[str, bytes]
"""Documents as they lie in the database, by ``_id``."""

CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
NESTED = "profile"
DECEIVING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\0\x1b")
"""Characters of a name that would change how the rest of the message looks."""
CAMPAIGNS = {
    "discount": ("discount", eligibility.discount),
    "daily_bonus": ("daily-bonus", eligibility.daily_bonus),
}
FIELDS = [name for name in HOSTILE if name not in ("_id", "ozh_notify")]


def documents(place: Environment, report: Report, rounds: int, users: int) -> None:
    """Both campaigns over such users: each message is right, and nobody else is touched.

    In every second round the fields lie in an object, which may be anything as well.
    """
    for number in range(rounds):
        nested = bool(number % 2)
        fields = {name: f"{NESTED}.{name}" if nested else name for name in FIELDS}
        people = _drawn(users, place.rng.randrange(2**31), nested)
        _insert(place, report, people, fields)
        extra = {f"OZH_FIELD_{_variable(name)}": path for name, path in fields.items()}
        if nested:
            extra["OZH_TEMPLATES_DIR"] = ""  # the built-in texts
        for key in CAMPAIGNS:
            _pass(place, report, key, fields, extra)
        refused = place.api.control.requests()["by_status"].get("400", 0)
        report.expect(not refused, f"Telegram refused {refused} messages")
        report.rounds += 1


def _pass(
    place: Environment,
    report: Report,
    key: str,
    fields: Mapping[str, str],
    extra: dict[str, str],
) -> None:
    command, rule = CAMPAIGNS[key]
    before, now = _stored(place), int(time.time() * 1000)
    after_message = max((m["seq"] for m in place.messages()), default=0)
    ended = place.run(command, "--json", "--rate", "1000", **extra)
    report.expect(ended.code == 0, f"{key}: exit {ended.code}: {ended.err[-2000:]}")
    after, messages = _stored(place), place.messages(after=after_message)
    got = {message["chat_id"]: message for message in messages}
    report.twice += len(messages) - len(got)
    report.expect(len(messages) == len(got), f"{key}: a chat got two messages")
    report.expect(before.keys() == after.keys(), f"{key}: users came or went")
    for name, raw in before.items():
        was, now_is = bson.decode(raw, CODEC), bson.decode(after[name], CODEC)
        verdict = rule(was, fields, now)
        chat = eligibility.chat(eligibility.at(was, fields["telegram_id"]))
        mine = got.pop(chat, None) if chat else None
        _compare(report, f"{key} user {name[:80]}", verdict, mine)
        if mine is None:
            delivery = eligibility.at(now_is, f"ozh_notify.{key}")
            swept = (
                eligibility.lapsed(was, key, now) and eligibility.at(delivery, "state") == "unknown"
            )
            changed = f"{key} {name[:80]}: changed without a message: {was} -> {delivery}"
            report.expect(swept or raw == after[name], changed)
            report.notes[f"{key}: swept"] += swept
            continue
        report.notes[f"{key}: messaged"] += 1
        _look(report, key, was, now_is, mine, fields["discount_offered"])
    report.expect(not got, f"{key}: messages to nobody: {list(got)[:9]}")
    if ended.out:
        said = json.loads(ended.out)
        report.notes[f"{key}: invalid"] += said["invalid"]
        right = said["sent"] == len(messages) and said["eligible"] == said["sent"]
        report.expect(right, f"{key}: {len(messages)} arrived, it says {ended.out[-900:]}")


def _compare(report: Report, who: str, verdict: bool | None, mine: Any) -> None:
    report.lost += verdict is True and mine is None
    report.expect(not (verdict is True and mine is None), f"{who}: eligible, but not messaged")
    report.expect(not (verdict is False and mine), f"{who}: messaged, but not eligible")


def _look(report: Report, key: str, was: Any, now_is: Any, message: Any, flag: str) -> None:
    """A message that arrived: its text, the state beside it, and all else as it was."""
    delivery = eligibility.at(now_is, f"ozh_notify.{key}")
    true = eligibility.at(delivery, "state") == "sent"
    true = true and eligibility.at(delivery, "message_id") == message["message_id"]
    if key == "discount":
        true = true and eligibility.at(now_is, flag) is True
    report.expect(true, f"{key} {message['chat_id']}: the state lies: {delivery}")
    deceiving = DECEIVING & set(message["text"])
    report.expect(not deceiving, f"{message['chat_id']}: {deceiving} in {message['text'][:99]!r}")
    same = _rest(was, key, flag) == _rest(now_is, key, flag)
    report.expect(same, f"{key} {message['chat_id']}: another field changed")


def _rest(user: dict[str, Any], key: str, flag: str) -> bytes:
    """A document without what the program may write."""
    rest = copy.deepcopy(user)
    root = rest.pop("ozh_notify", None) or {}
    if isinstance(root, dict):
        for name in (key, "last_sent_at", "unreachable_until"):
            root.pop(name, None)
    if key == "discount":
        *holder, name = flag.split(".")
        (eligibility.at(rest, holder[0]) if holder else rest).pop(name, None)
    return bson.encode({"rest": rest, "root": root}, codec_options=CODEC)


def _drawn(count: int, start: int, nested: bool) -> list[dict[str, Any]]:
    """So many examples of hypothesis, the same for the same start."""
    found: list[dict[str, Any]] = []

    @seed(start)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile_users())
    def collect(user: dict[str, Any]) -> None:
        found.append(_nest(user) if nested else user)

    collect()
    return found


def _nest(user: dict[str, Any]) -> dict[str, Any]:
    """The same fields inside an object; now and then in a list of them, or in none."""
    inner: Any = {name: user[name] for name in FIELDS if name in user}
    outer = {name: user[name] for name in user if name not in FIELDS}
    odd = len(repr(user)) % 20
    shapes = {0: [inner], 1: [inner, {}], 2: None, 3: "profile"}
    return {**outer, NESTED: shapes.get(odd, inner)}


def _insert(
    place: Environment,
    report: Report,
    people: list[dict[str, Any]],
    fields: Mapping[str, str],
) -> None:
    """Store them; two users of one chat would be two messages to it, so only one stays."""
    users = place.fresh()
    try:
        users.insert_many(people, ordered=False)
    except BulkWriteError as error:
        report.notes["not stored"] += len((error.details or {}).get("writeErrors", ()))
    except OperationFailure:  # secantusd-py takes no request with a date out of Python's range
        for person in people:
            try:
                users.insert_one(person)
            except OperationFailure:
                report.notes["not stored"] += 1
    seen: set[int] = set()
    for user in users.with_options(CODEC).find():
        chat = eligibility.chat(eligibility.at(user, fields["telegram_id"]))
        if chat in seen:
            users.delete_one({"_id": {"$eq": user["_id"]}})
        elif chat:
            seen.add(chat)
    report.tried += users.count_documents({})


def _stored(place: Environment) -> Stored:
    return {
        repr(bson.decode(document.raw, CODEC)["_id"]): bytes(document.raw)
        for document in place.users.with_options(RAW).find()
    }


def _variable(name: str) -> str:
    """``OZH_FIELD_…`` of a field."""
    names = {
        "telegram_id": "CHAT_ID",
        "language_code": "LANGUAGE",
        "generations_count": "GENERATIONS",
        "daily_bonus_claimed_today": "DAILY_BONUS_CLAIMED",
    }
    return names.get(name, name.upper())
