"""Compares what the chats received with what the database says; knows none of the program's code.

It reads the documents of DESIGN §6 and CONTRACT §4 as anybody could: with a driver and its eyes.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.torture.report import Report

Document = Mapping[str, Any]
Received = Mapping[str, Any]

IN_DOUBT = {"sending", "unknown"}
SURELY_NOT = {"retry", "unreachable", "rejected", None}
KNOWN = IN_DOUBT | SURELY_NOT | {"sent"}
FAR = (9999, 12, 31)


def received(url: str, after: int = 0) -> list[dict[str, Any]]:
    """Every message that reached a chat, in order."""
    with urllib.request.urlopen(f"{url}/control/messages?after={after}", timeout=30) as answer:  # noqa: S310
        return list(json.load(answer))


def judge(
    report: Report,
    documents: Sequence[Document],
    messages: Sequence[Received],
    key: str,
    eligible: Collection[int],
    *,
    ended: bool = True,
    flag: bool = True,
    excused: Collection[int] = (),
) -> Counter[str]:
    """Look at every user of one campaign and one period; breaches go to the report.

    ``ended``: a pass has run to its end since, so everybody eligible is accounted for.
    ``flag``: ``discount_offered`` must stand beside `sent`.
    ``excused``: chats a person has asked to be messaged again.
    """
    got: dict[int, list[Received]] = defaultdict(list)
    for message in messages:
        got[message["chat_id"]].append(message)
    states: Counter[str] = Counter()
    for user in documents:
        chat = user["telegram_id"]
        delivery = (user.get("ozh_notify") or {}).get(key) or {}
        states[str(delivery.get("state"))] += 1
        mine = got.pop(chat, [])
        twice = len(mine) - 1 if chat not in excused else 0
        if twice > 0:
            report.twice += twice
            report.breaches.append(f"{key} {chat}: {len(mine)} messages, state {delivery}")
        for lie in lies(delivery, mine, key, flag=bool(user.get("discount_offered")) or not flag):
            report.breaches.append(f"{key} {chat}: {lie}: {delivery}")
        if mine and chat not in eligible:
            report.breaches.append(f"{key} {chat}: messaged, but never eligible")
        state = delivery.get("state")
        if chat in eligible and not mine and (state in {"retry", None} if ended else False):
            report.lost += 1
            report.breaches.append(f"{key} {chat}: lost: {delivery}")
    for chat in got:
        report.breaches.append(f"{key} {chat}: messaged, but no such user")
    return states


def lies(delivery: Document, mine: Sequence[Received], key: str, *, flag: bool) -> list[str]:
    """What a user's delivery state says that is not so."""
    state, found = delivery.get("state"), []
    if state not in KNOWN:
        found.append("no such state")
    if state == "sent":
        if delivery.get("message_id") not in {message["message_id"] for message in mine}:
            found.append("says sent, but this message did not arrive")
        if key == "discount" and not flag:
            found.append("sent, but discount_offered is not set")
    if state in SURELY_NOT and mine:
        found.append("a message arrived, but the state says none did")
    if (state in IN_DOUBT) != ("claim" in delivery):
        found.append("a claim where none belongs, or none where one does")
    hold = delivery.get("hold_until")
    if key == "discount" and state in {"sent", "unknown"}:
        if hold is None or (hold.year, hold.month, hold.day) != FAR:
            found.append("not held for good")
    elif (state in {None, "retry"}) != (hold is None):
        found.append("held where it should not be, or the other way round")
    return found
