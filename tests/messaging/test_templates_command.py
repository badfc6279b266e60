"""``ozh-notify templates``, and what a pass and ``check`` say of an operator's own texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, discount_user

ALONE: dict[str, Any] = {"MONGO_URI": None, "MONGO_DB_NAME": None, "TELEGRAM_BOT_TOKEN": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder of templates."""
    path = tmp_path / "texts"
    path.mkdir()
    return path


def test_each_text_is_shown_with_the_file_it_comes_from(ozh: Ozh, folder: Path) -> None:
    """Without MongoDB and without a token; a file that nothing reads is named."""
    (folder / "discount.en.html").write_text("<b>Hi {{ first_name }}</b>")
    (folder / "discont.html").write_text("Lost")
    result = ozh("templates", "--json", OZH_TEMPLATES_DIR=str(folder), **ALONE)
    assert result.code == 0, result.err
    said = result.json()
    texts = {(one["campaign"], one["language"]): one for one in said["texts"]}
    assert texts["discount", "en"]["file"] == str(folder / "discount.en.html")
    assert texts["discount", "en"]["text"] == "Hi Анна"
    assert texts["discount", None]["built_in"]
    assert texts["daily-bonus", None]["built_in"]
    [unread] = said["unread"]
    assert unread == {"file": str(folder / "discont.html"), "did_you_mean": "discount.html"}
    table = ozh("templates", OZH_TEMPLATES_DIR=str(folder), **ALONE).out
    assert "built in" in table
    assert f"{folder / 'discont.html'}: no campaign reads this file" in table


def test_a_wrong_text_is_told_and_the_others_are_shown(ozh: Ozh, folder: Path) -> None:
    """Exit 78, with file and line."""
    (folder / "discount.html").write_text("one\n<br>")
    result = ozh("templates", "--json", OZH_TEMPLATES_DIR=str(folder), **ALONE)
    assert result.code == 78
    [problem] = result.json()["problems"]
    assert f"{folder / 'discount.html'}:2: Telegram would refuse it" in problem
    assert [one["campaign"] for one in result.json()["texts"]] == ["daily-bonus"]


def test_the_built_in_texts_can_be_copied_to_be_edited(ozh: Ozh, tmp_path: Path) -> None:
    """Into a new folder; what is there already is not touched."""
    folder = tmp_path / "new" / "texts"
    result = ozh("templates", "--copy", str(folder), **ALONE)
    assert result.code == 0, result.err
    assert f"OZH_TEMPLATES_DIR={folder}" in result.out
    assert {path.name for path in folder.iterdir()} == {"discount.html", "daily_bonus.html"}
    (folder / "discount.html").write_text("Mine")
    again = ozh("templates", "--copy", str(folder), "--json", **ALONE).json()
    assert again["kept"] == [str(folder / "discount.html"), str(folder / "daily_bonus.html")]
    assert (folder / "discount.html").read_text() == "Mine"
    shown = ozh("templates", "--json", OZH_TEMPLATES_DIR=str(folder), **ALONE).json()
    assert not any(one["built_in"] for one in shown["texts"])


def test_a_folder_that_cannot_be_written_is_named(ozh: Ozh) -> None:
    """Exit 78 with the reason, not a traceback."""
    result = ozh("templates", "--copy", "/proc/texts", **ALONE)
    assert result.code == 78
    assert "/proc/texts cannot be written" in result.err


def test_a_pass_warns_of_a_file_that_no_campaign_reads(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """Otherwise the built-in text goes out and nobody knows."""
    users.insert_one(discount_user())
    (folder / "Discount.html").write_text("Mine")
    result = ozh("discount", "--json", OZH_TEMPLATES_DIR=str(folder))
    assert result.json()["sent"] == 1
    assert "no campaign reads this file: did you mean discount.html?" in result.err


def test_a_dry_run_says_which_text_each_user_gets(ozh: Ozh, users: Users, folder: Path) -> None:
    """So that a language which falls back to another text is seen."""
    (folder / "discount.en.html").write_text("Hi")
    users.insert_many(discount_user(language_code=code) for code in ("en-GB", "de"))
    result = ozh("discount", "--dry-run", "--json", OZH_TEMPLATES_DIR=str(folder))
    preview = result.json()["preview"]
    texts = {one["language"]: one["template"] for one in preview["recipients"]}
    assert texts == {"en-gb": str(folder / "discount.en.html"), "de": "built in"}
    assert preview["template"] in texts.values()


def test_check_names_the_file_of_each_text(ozh: Ozh, folder: Path) -> None:
    """A file that nothing reads is a problem, a text that is still built in a warning."""
    (folder / "discont.html").write_text("Lost")
    (folder / "daily_bonus.html").write_text("Mine")
    lines: dict[str, Any] = {
        line["subject"]: line
        for line in ozh("check", "--json", OZH_TEMPLATES_DIR=str(folder)).json()["results"]
    }
    assert lines["template daily_bonus"]["verdict"] == "ok"
    assert lines["template daily_bonus"]["finding"].startswith(str(folder / "daily_bonus.html"))
    assert lines["template discount"]["verdict"] == "warning"
    assert lines["template discount"]["finding"].startswith("built in")
    assert lines["template discont.html"]["verdict"] == "problem"
    assert "did you mean discount.html?" in lines["template discont.html"]["remedy"]


def test_a_sample_can_be_in_another_language(ozh: Ozh, bot_api: BotApiServer, folder: Path) -> None:
    """`--lang` chooses the text as a user's language would."""
    (folder / "discount.en.html").write_text("Hi {{ first_name }}")
    env: dict[str, Any] = {"OZH_TEMPLATES_DIR": str(folder)}
    assert ozh("discount", "--test-to", "5", "--lang", "en_GB", **env).code == 0
    assert [message.text for message in bot_api.control.messages()] == ["Hi Анна"]
    assert ozh("discount", "--lang", "en", **env).code == 2
    assert ozh("discount", "--test-to", "5", "--lang", "english!", **env).code == 2
