"""The handlers that docs/backend.md gives to the developer of the bot do what the page says."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ozh
from tests.helpers import markdown
from tests.helpers.users import Users, ago, user

RUNNER = Path(__file__).with_name("bot_handlers.py")
BENCH = markdown.ROOT / ".venv-bench/bin/python"
"""Where aiogram is: its versions of pydantic and pymongo are not those of the tests."""


def python_with(library: str) -> str:
    """A Python that has this library; skips where there is none."""
    if find_spec(library):
        return sys.executable
    if library == "aiogram" and BENCH.exists():
        return str(BENCH)
    pytest.skip(f"missing: {library} (`make bench` installs it in .venv-bench)")


def handlers(library: str) -> str:
    """The page's block of code for this library."""
    blocks = [code for kind, code in markdown.fences(PAGE) if kind == "python"]
    [block] = [code for code in blocks if f"from {library} import" in code]
    return block


PAGE = markdown.read(markdown.ROOT / "docs/backend.md")


def member(chat: int, status: str) -> dict[str, Any]:
    """What Telegram sends when a user blocks the bot (`kicked`) or comes back (`member`)."""
    person = {"id": chat, "is_bot": False, "first_name": "Анна"}
    bot = {"id": 987654321, "is_bot": True, "first_name": "Bot"}
    new: dict[str, Any] = {"user": bot, "status": status}
    if status == "kicked":
        new["until_date"] = 0
    changed = {
        "chat": {"id": chat, "type": "private", "first_name": "Анна"},
        "from": person,
        "date": 1795850000,
        "old_chat_member": {"user": bot, "status": "member"},
        "new_chat_member": new,
    }
    return {"update_id": chat, "my_chat_member": changed}


def press(chat: int, data: str) -> dict[str, Any]:
    """What Telegram sends when a user presses a button with callback data."""
    person = {"id": chat, "is_bot": False, "first_name": "Анна"}
    query = {"id": "1", "from": person, "chat_instance": "1", "data": data}
    return {"update_id": chat, "callback_query": query}


def feed(library: str, folder: Path, uri: str, users: Users, updates: list[Any]) -> None:
    """Hand updates to the page's handlers, in the library's own dispatcher."""
    code = folder / "handlers.py"
    code.write_text(handlers(library), encoding="utf-8")
    done = subprocess.run(
        [python_with(library), str(RUNNER), library, str(code), uri, users.database.name],
        input=json.dumps(updates),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("library", ["aiogram", "telegram"])
def test_the_handlers_of_the_page_remember_blocks_and_mute(
    library: str, ozh: Ozh, users: Users, mongo_uri: str, tmp_path: Path
) -> None:
    """A pass leaves alone users who blocked the bot or pressed the button, and only them."""
    due = {"generations_count": 1, "balance": 0, "first_generation_at": ago(days=2)}
    for chat in (1, 2, 3, 4):
        users.insert_one(user(telegram_id=chat, **due))
    users.update_one({"telegram_id": 3}, {"$set": {"ozh_notify": None}})
    updates = [
        *(member(1, "kicked"), member(2, "kicked"), member(2, "member")),
        *(press(3, "offers:stop"), press(4, "something else")),
    ]
    feed(library, tmp_path, mongo_uri, users, updates)
    found = {one["telegram_id"]: one for one in users.find()}
    assert [found[chat].get("blocked") for chat in (1, 2, 3, 4)] == [True, False, None, None]
    assert {type(found[chat]["blocked_at"]).__name__ for chat in (1, 2)} == {"datetime"}
    assert found[3]["ozh_notify"] == {"muted": True}
    assert "ozh_notify" not in found[4]
    ozh.environment.update(OZH_FIELD_BLOCKED="blocked", OZH_FIELD_BLOCKED_AT="blocked_at")
    result = ozh("discount", "--json")
    assert result.code == 0, result.err
    sent = users.find({"ozh_notify.discount.state": "sent"})
    assert sorted(one["telegram_id"] for one in sent) == [2, 4]
