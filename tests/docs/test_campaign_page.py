"""The campaign without Python that docs/campaigns.md shows is one that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers import markdown
from tests.helpers.users import ago, user

PAGE = markdown.ROOT / "docs/campaigns.md"


def shown(name: str) -> str:
    """A file that the page shows."""
    block = rf"^`{re.escape(name)}`:\n\n```\w+\n(.*?)^```$"
    [text] = re.findall(block, markdown.read(PAGE), re.DOTALL | re.MULTILINE)
    return str(text)


@pytest.mark.long
def test_the_campaign_of_the_page_runs_as_it_is_written(
    ozh: Ozh, users: Collection[dict[str, Any]], bot_api: BotApiServer, tmp_path: Path
) -> None:
    """Two files in a folder make a command; users who are not meant are counted by reason."""
    for name in ("win_back.toml", "win_back.html"):
        (tmp_path / name).write_text(shown(name), encoding="utf-8")
    users.insert_many(
        [
            user(last_seen_at=ago(days=20)),
            user(last_seen_at=ago(days=3)),
            user(last_seen_at=ago(days=30), win_back_sent=True),
        ]
    )
    folder = str(tmp_path)
    dry = ozh("win-back", "--dry-run", "--json", OZH_CAMPAIGNS_DIR=folder)
    assert dry.json()["held"] == {"seen within two weeks": 1, "already invited": 1}, dry.err
    done = ozh("win-back", "--json", OZH_CAMPAIGNS_DIR=folder)
    assert done.json()["sent"] == 1, done.err
    [message] = bot_api.control.messages()
    assert "Вас не было 14 дней." in message.text
    assert users.count_documents({"win_back_sent": True}) == 2


def test_the_picture_and_the_button_of_the_page_go_into_the_same_file(
    ozh: Ozh, users: Collection[dict[str, Any]], bot_api: BotApiServer, tmp_path: Path
) -> None:
    """One part at the top, the other at the end, as the page says."""
    section = markdown.read(PAGE).partition("### Picture, buttons, languages")[2]
    top, end, *_ = (block for kind, block in markdown.fences(section) if kind == "toml")
    whole = "\n".join((top, shown("win_back.toml"), end))
    (tmp_path / "win_back.toml").write_text(whole, encoding="utf-8")
    (tmp_path / "win_back.html").write_text(shown("win_back.html"), encoding="utf-8")
    picture = "AgACAgIAAxkBAAIexampleexample"
    users.insert_one(user(last_seen_at=ago(days=20), last_picture={"file_id": picture}))
    done = ozh("win-back", "--json", OZH_CAMPAIGNS_DIR=str(tmp_path))
    assert done.json()["sent"] == 1, done.err
    [message] = bot_api.control.messages()
    assert (message.media, message.silent) == (picture, True)
    [[button]] = (message.reply_markup or {})["inline_keyboard"]
    assert button["url"].endswith(f"start=back-{done.json()['run_id']}")
