"""Compares what the chats received with the journal and with every document of each chat.

A backend may have overwritten or erased the users' documents; then the journal alone says what
came of a chat. Like `checker`, this knows none of the program's code.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.torture.checker import IN_DOUBT, KNOWN, SURELY_NOT
from tests.torture.environment import CAMPAIGNS, TEXTS, Environment
from tests.torture.report import Report

Document = Mapping[str, Any]


def judge_journal(
    place: Environment,
    report: Report,
    key: str,
    chats: Collection[int],
    *,
    ended: bool = True,
    told: str = "",
) -> Counter[str]:
    """Look at each chat of one campaign and one period; returns the states of the entries.

    ``ended``: passes have run to their end since, without a backend, so everybody is accounted
    for. ``told``: stderr, which names what could be recorded nowhere.
    """
    got: dict[int, list[Document]] = defaultdict(list)
    for message in place.messages(TEXTS[key]):
        got[message["chat_id"]].append(message)
    documents: dict[int, list[Document]] = defaultdict(list)
    for user in place.users.find():
        documents[int(user["telegram_id"])].append(user)
    found = place.journal.find({"campaign": CAMPAIGNS[key]})
    entries = {entry["chat_id"]: entry for entry in found if "chat_id" in entry}
    for chat in chats:
        mine = got.pop(chat, [])
        twice = max(0, len(mine) - 1)
        report.twice += twice
        entry = entries.get(chat)
        problems = [f"{len(mine)} messages"] * bool(twice)
        problems += _of_entry(entry, mine)
        for one in documents[chat]:
            problems += _of_document(one, key, entry, mine, ended)
        if ended:
            lost = not mine and (entry is None or entry["state"] == "retry")
            report.lost += lost
            problems += ["lost"] * lost
        elif mine and not _is_recorded(entry, documents[chat], key):
            line = f"chat {chat}: sent message {mine[0]['message_id']}"
            is_told = any("not recorded" in t and line in t for t in told.splitlines())
            report.notes["told on stderr"] += is_told
            problems += ["delivered, not recorded, and not told"] * (not is_told)
        for problem in problems:
            report.breaches.append(f"{key} {chat}: {problem}: {entry} {documents[chat]}")
    for chat in got:
        report.breaches.append(f"{key} {chat}: messaged, but never eligible")
    return Counter(str(entry["state"]) for entry in entries.values())


def _of_entry(entry: Document | None, mine: Sequence[Document]) -> list[str]:
    """What is wrong with the entry of one chat."""
    if entry is None:
        return ["a message without an entry"] * bool(mine)
    state, problems = entry["state"], []
    if state not in KNOWN:
        problems.append("no such state")
    if state == "sent" and entry.get("message_id") not in {m["message_id"] for m in mine}:
        problems.append("says sent, but this message did not arrive")
    if state in SURELY_NOT and mine:
        problems.append("a message arrived, but the journal says none did")
    return problems


def _of_document(
    user: Document, key: str, entry: Document | None, mine: Sequence[Document], ended: bool
) -> list[str]:
    """What is wrong with one document of a chat.

    Once all has ended it says what the entry says, unless what was erased cannot come back because
    the flag keeps its user out.
    """
    delivery = (user.get("ozh_notify") or {}).get(key) or {}
    state, flag = delivery.get("state"), key == "discount" and user.get("discount_offered")
    problems = []
    if state == "sent" and delivery.get("message_id") not in {m["message_id"] for m in mine}:
        problems.append("a document says sent, but this message did not arrive")
    if ended and entry is not None and state != entry["state"] and not flag:
        problems.append("a document says something else than its entry")
    if ended and state == "sending":
        problems.append("a document was not swept")
    return problems


def _is_recorded(entry: Document | None, documents: Sequence[Document], key: str) -> bool:
    """Whether the delivery stands somewhere; what is in doubt is told by its state."""
    states = [((user.get("ozh_notify") or {}).get(key) or {}).get("state") for user in documents]
    return "sent" in states or (
        entry is not None and entry["state"] in ({"sent"} | IN_DOUBT - {"sending"})
    )


def settle_journal(
    place: Environment, report: Report, key: str, chats: Collection[int]
) -> Counter[str]:
    """Normal passes without a backend: one beside what was left, and one after its lease."""
    for lapsed in (False, True):
        if lapsed:
            place.lapse(key)
        ended = place.run(CAMPAIGNS[key], "--rate", "1000")
        report.expect(ended.code == 0, f"a normal pass: exit {ended.code}: {ended.err}")
    states = judge_journal(place, report, key, chats)
    report.expect(not states["sending"], f"{states['sending']} entries were not swept")
    report.unknown += states["unknown"]
    return states
