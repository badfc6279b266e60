"""The first pass with a journal over a database that a version without one has left in mid-life."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import FAR, chats, clock_shows, deliveries
from tests.helpers.users import Users, ago, bonus_user, discount_user, now

RUN = "20261101T110500-0a1b2c3d"
CLAIM = f"{RUN}-1"


def left_behind(later: datetime, for_good: datetime) -> dict[str, dict[str, Any]]:
    """The delivery states of an earlier version, by what they are; none has ``journal: true``."""
    over = ago(minutes=5)
    return {
        "sent": {"state": "sent", "hold_until": for_good, "message_id": 7},
        "lease over": {"state": "sending", "hold_until": over, "claim": CLAIM},
        "lease not over": {"state": "sending", "hold_until": later, "claim": CLAIM},
        "unknown": {"state": "unknown", "hold_until": for_good, "claim": CLAIM, "error": "timeout"},
        "retry": {"state": "retry", "error": "connection refused"},
        "unreachable, held": {"state": "unreachable", "hold_until": later, "error": "blocked"},
        "unreachable": {"state": "unreachable", "hold_until": over, "error": "blocked"},
        "rejected": {"state": "rejected", "hold_until": over, "error": "refused"},
    }


@pytest.mark.parametrize("command", ["discount", "daily-bonus"])
def test_an_upgrade_in_mid_life_messages_nobody_twice(
    command: str, ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """Each state means what it meant: only what did not hold is sent, and gets its entry.

    A lapsed claim does not say that an entry was to be taken, so it is in doubt; no migration is
    needed. Later passes send nothing, and a person settles what is in doubt.
    """
    ozh.environment.update(clock_shows(tmp_path, "12:00:00"))  # two hours ago is today
    key, make = command.replace("-", "_"), {"discount": discount_user}.get(command, bonus_user)
    later = now() + timedelta(minutes=20)
    common = {"run": RUN, "at": ago(hours=2), "attempts": 1}
    found = left_behind(later, FAR if command == "discount" else later)
    who = {name: make(ozh_notify={key: {**common, **state}}) for name, state in found.items()}
    who["never messaged"] = make()
    who["sent"]["discount_offered"] = True
    if command == "discount":  # a backend has saved the flag over
        reset = {"state": "sent", "hold_until": FAR, "message_id": 8, **common}
        who["sent, flag reset"] = make(ozh_notify={key: reset})
    users.insert_many(who.values())
    chat = {name: user["telegram_id"] for name, user in who.items()}
    before = deliveries(users, key)

    result = ozh(command, "--json")
    assert result.code == 0, result.err
    free = ["retry", "unreachable", "rejected", "never messaged"]
    assert sorted(chats(bot_api)) == sorted(chat[name] for name in free)
    after = deliveries(users, key)
    assert {name: after[chat[name]]["state"] for name in free} == dict.fromkeys(free, "sent")
    swept = after[chat["lease over"]]
    assert (swept["state"], swept["claim"]) == ("unknown", CLAIM)
    untouched = who.keys() - {*free, "lease over"}
    assert {n: after[chat[n]] for n in untouched} == {n: before[chat[n]] for n in untouched}
    assert (result.json()["sent"], result.json()["swept"]) == (4, 1)
    entries = list(
        users.database.ozh_notify_journal.find({"campaign": command, "chat_id": {"$gt": 0}})
    )
    assert {e["chat_id"]: e["state"] for e in entries} == {chat[n]: "sent" for n in free}

    assert ozh(command, "--json").json()["sent"] == 0
    settled = ozh("reconcile", command, "--mark-sent", "--yes", "--json")
    assert settled.json()["settled"] == 2, settled.err
    assert deliveries(users, key)[chat["unknown"]]["state"] == "sent"
    assert ozh(command, "--json").json()["sent"] == 0
    assert len(chats(bot_api)) == len(free)
