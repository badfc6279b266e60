"""A campaign without Python: a TOML file and a text in `OZH_CAMPAIGNS_DIR`."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.campaigns import Kind, registry
from ozh_notify.campaigns.registry import COMMANDS
from ozh_notify.campaigns.toml_file import KEYS, MESSAGE_KEYS, parse_campaign
from ozh_notify.cli import app, run
from ozh_notify.effect.arms import Arm, arm_of
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.message_options_file import FLAGS, MEDIA
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.campaign_files import campaign_folder
from tests.helpers.users import Users, ago, user

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)

WIN_BACK = """\
summary = "One pass of the win-back reminder, then exit."
described_as = "seen at any time"
once = "ever"
newest_by = "last_seen_at"

[[population]]
field = "last_seen_at"
older_than = "0 days"
reason = "seen in the future"

[[criteria]]
field = "last_seen_at"
older_than = "14 days"
reason = "seen recently"

[[criteria]]
field = "win_back_sent"
is = false
reason = "already invited"

[variables]
days = 14

[set_when_sent]
win_back_sent = true
win_back_offer = "$5"
"""
TEXT = "{{ first_name }}, вас не было {{ days }} {{ days|plural('день', 'дня', 'дней') }}!"


@pytest.fixture
def win_back(ozh: Ozh, tmp_path: Path) -> Ozh:
    """The command with a folder of campaigns that holds one, named in `.env`."""
    folder = campaign_folder(tmp_path, "win_back", WIN_BACK, TEXT)
    (ozh.folder / ".env").write_text(f"OZH_CAMPAIGNS_DIR='{folder}'\n")
    return ozh


def absent(days: float, **fields: Any) -> dict[str, Any]:
    """A user last seen so many days ago."""
    return user(last_seen_at=ago(days=days), **fields)


def test_a_toml_file_and_a_text_make_a_campaign(
    win_back: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A command of its own that messages each of its users exactly once, the newest first."""
    users.insert_many([absent(20), absent(40), absent(3), absent(30, win_back_sent=True)])
    dry = win_back("win-back", "--dry-run", "--json").json()
    assert dry["held"] == {"seen recently": 1, "already invited": 1}
    assert dry["preview"]["population"] == "seen at any time"
    assert dry["preview"]["template"].endswith("win_back.html")
    first = win_back("win-back", "--json")
    assert first.code == 0, first.err
    assert first.json()["sent"] == 2
    texts = {message.text for message in bot_api.control.messages()}
    assert texts == {"Анна, вас не было 14 дней!"}
    sent = {"ozh_notify.win_back.state": "sent"}
    set_too = {"win_back_sent": True, "win_back_offer": "$5"}
    assert users.count_documents({**sent, **set_too}) == 2
    users.update_many(sent, {"$set": {"win_back_sent": False}})
    assert win_back("win-back", "--json").json()["sent"] == 0


def test_every_command_knows_it(win_back: Ozh, users: Users) -> None:
    """Help, completion's names, `status`, `explain`, `check`, `indexes`."""
    one = absent(20)
    users.insert_one(one)
    assert "One pass of the win-back reminder" in win_back("--help").out
    assert "One of: discount, daily-bonus, win-back." in win_back("explain", "--help").out
    found = win_back("explain", "win-back", str(one["telegram_id"]), "--json").json()
    assert found["eligible"] is True
    names = [one["campaign"] for one in win_back("status", "--json").json()["campaigns"]]
    assert names == ["discount", "daily-bonus", "win-back"]
    assert "ozh_win_back" in win_back("indexes").out
    assert "win-back" in win_back("check", "--json").out


@pytest.mark.long
def test_an_experiment_holds_out_a_part_of_its_users(
    win_back: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The same variables as for a built-in campaign; the verdict is read in the same way."""
    users.insert_many([absent(20 + n) for n in range(20)])
    until = (datetime.now(timezone.utc) + timedelta(days=9)).date().isoformat()
    with (win_back.folder / ".env").open("a") as file:
        file.write("OZH_WIN_BACK_HOLDOUT=50\nOZH_WIN_BACK_EXPERIMENT=spring\n")
        file.write(f"OZH_WIN_BACK_EXPERIMENT_UNTIL={until}\nOZH_WIN_BACK_GOALDAYS=3\n")
    chats = [int(chat) for chat in users.distinct("telegram_id")]
    held = {chat for chat in chats if arm_of("spring", "win-back", chat, 50) is Arm.CONTROL}
    assert 0 < len(held) < 20
    checked = win_back("check", "--json").out
    assert "did you mean OZH_WIN_BACK_GOAL_DAYS" in checked
    assert "spring holds out 50 %" in checked
    assert win_back("win-back", "--dry-run", "--json").json()["preview"]["held_out"] == len(held)
    said = win_back("win-back", "--json").json()
    assert (said["sent"], said["held_out"]) == (20 - len(held), len(held))
    assert not held & {message.chat_id for message in bot_api.control.messages()}
    [effect] = win_back("effect", "win-back", "--json").json()["experiments"]
    assert effect["arms"]["control"]["assigned"] == len(held)
    assert effect["verdict"] == "too early"
    changed = win_back("win-back", OZH_WIN_BACK_HOLDOUT="40")
    assert changed.code == 78
    assert "OZH_WIN_BACK_HOLDOUT (40 now, 50 before)" in changed.err


def test_what_is_wrong_is_told_with_file_and_line(win_back: Ozh, users: Users) -> None:
    """78 for its own command; every other campaign runs."""
    folder = win_back.folder.parent / "campaigns"
    wrong = WIN_BACK.replace('"14 days"', '"two weeks"')
    (folder / "win_back.toml").write_text(wrong, encoding="utf-8")
    broken = win_back("win-back", "--json")
    assert broken.code == 78
    assert "win_back.toml:13: older_than = 'two weeks': expected a text such as" in broken.err
    assert win_back("discount", "--json").code == 0
    missing = win_back("status", OZH_CAMPAIGNS_DIR="/nowhere")
    assert missing.code == 78
    assert "OZH_CAMPAIGNS_DIR: /nowhere is not a folder" in missing.err
    twice = win_back("status", OZH_TEMPLATES_DIR=str(folder))
    assert twice.code == 78
    assert "use two folders" in twice.err


FILE_ID = "AgACAgIAAxkBAAIBB2abcdef-_0123"
MESSAGE = f"""\
photo = "{FILE_ID}"
silent = true
"""
BUTTON = """\

[[button]]
text = "Вернуться"
url = "t.me/ozh_bot?start=back-{{ run }}"
"""
ENGLISH = """\
protect = true
[[button]]
text = "Come back, {{ first_name }}"
data = "back:{{ user.plan }}"
"""


@pytest.fixture
def folder(win_back: Ozh) -> Path:
    """The campaign's folder: the campaign has a picture and a button, and English files."""
    path = win_back.folder.parent / "campaigns"
    (path / "win_back.toml").write_text(MESSAGE + WIN_BACK + BUTTON, encoding="utf-8")
    (path / "win_back.en.html").write_text("{{ first_name }}, come back!")
    (path / "win_back.en.toml").write_text(ENGLISH)
    return path


def test_the_same_folder_has_pictures_buttons_and_languages(
    win_back: Ozh, folder: Path, users: Users, bot_api: BotApiServer
) -> None:
    """`win_back.toml` says who and what; `win_back.en.toml` what for users of that language."""
    users.insert_many([absent(20), absent(30, language_code="en", plan="pro")])
    done = win_back("win-back", "--json")
    assert (done.code, done.json()["sent"]) == (0, 2), done.err
    assert "no campaign reads" not in done.err
    russian, english = bot_api.control.messages()
    assert (russian.method, russian.media, russian.silent) == ("sendPhoto", FILE_ID, True)
    address = f"https://t.me/ozh_bot?start=back-{done.json()['run_id']}"
    assert russian.reply_markup == {"inline_keyboard": [[{"text": "Вернуться", "url": address}]]}
    assert (english.method, english.text, english.protect) == (
        "sendMessage",
        "Анна, come back!",
        True,
    )
    data = {"text": "Come back, Анна", "callback_data": "back:pro"}
    assert english.reply_markup == {"inline_keyboard": [[data]]}


def test_the_folder_of_templates_replaces_what_the_message_has(
    win_back: Ozh, folder: Path, tmp_path: Path
) -> None:
    """`templates` names each file of both folders, and what it adds to the text."""
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "win_back.toml").write_text('video = "https://a.example/b.mp4"')
    (folder / "win_bakc.en.html").write_text("Lost")
    shown = win_back("templates", "--json").json()
    assert shown["campaigns_folder"] == str(folder)
    options = {(one["campaign"], one["language"]): one for one in shown["options"]}
    assert options["win-back", None]["file"] == str(folder / "win_back.toml")
    assert options["win-back", None]["media"] == "photo"
    assert options["win-back", "en"]["buttons"] == 1
    files = [one["file"] for one in shown["texts"] if one["campaign"] == "win-back"]
    assert files == [str(folder / "win_back.html"), str(folder / "win_back.en.html")]
    lost = {"file": str(folder / "win_bakc.en.html"), "did_you_mean": "win_back.en.html"}
    assert shown["unread"] == [lost]
    own = win_back("templates", OZH_TEMPLATES_DIR=str(texts)).out
    assert "video" in own
    assert "1 button, protect" in own
    copied = win_back("templates", "--copy", str(tmp_path / "copies"), "--json").json()["copied"]
    assert [Path(path).name for path in copied] == ["discount.html", "daily_bonus.html"]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "win_back.toml",
            MESSAGE + WIN_BACK + '[[button]]\ntext = "A"\nurll = "b"',
            ":31: unknown",
        ),
        ("win_back.toml", 'photo = "x.png"\n' + WIN_BACK, ":1: expected a file_id"),
        ("win_back.en.toml", 'silent = true\nonce = "ever"', ":2: unknown key 'once'"),
        ("win_back.toml", f"{WIN_BACK}silent = true", ":27: 'silent' belongs above the first"),
        (
            "win_back.toml",
            WIN_BACK.replace("[var", "not_before = '11:00'\n[var"),
            ":21: 'not_before' belongs",
        ),
    ],
)
def test_what_is_wrong_with_the_message_is_told_with_its_line(
    win_back: Ozh, folder: Path, users: Users, file: str, text: str, words: str
) -> None:
    """78 before anybody is claimed; an option below a table would become something else."""
    (folder / file).write_text(text, encoding="utf-8")
    users.insert_one(absent(20))
    refused = win_back("win-back", "--json")
    assert refused.code == 78
    assert f"{folder / file}{words}" in refused.err
    assert "ozh_notify" not in (users.find_one() or {})


def test_both_readers_of_the_file_know_the_same_keys() -> None:
    """What one leaves to the other is not lost between them."""
    assert {*MEDIA, *FLAGS, "button"} == MESSAGE_KEYS
    assert not MESSAGE_KEYS & KEYS


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("once", "onec", "1.toml:3: 'onec' is not a known key"),
        ('"ever"', '"1 days"', '1.toml:3: once = \'1 days\': expected "ever", "day", or days'),
        ('"ever"', "7", "1.toml:3: once = 7: expected"),
        ('"ever"', '"9999 days"', "1.toml:3: once = '9999 days'"),
        ("newest_by", "# newest_by", "1.toml:1: newest_by: missing"),
        ('"last_seen_at"\n\n', '"$seen"\n\n', "1.toml:4: newest_by: '$seen' is not a field path"),
        ("[[population]]", "[[criteria]]", "1.toml:1: it has no [[population]]"),
        ("[[population]]", "[population]", "1.toml:6: write [[population]] with two brackets"),
        ("is = false", "is = 'no'", "1.toml:18: is = 'no': expected a number"),
        ("is = false", "older = 1", "1.toml:18: 'older' is not a known key"),
        ("is = false", "", "1.toml:17: 'win_back_sent' has no condition"),
        ("is = false", "is = 1\nolder_than = '1 day'", "a date and a value at once"),
        ('reason = "already', '# "already', "1.toml:16: reason: how is a user called"),
        ('"14 days"', '"99999 days"', "1.toml:13: older_than = '99999 days'"),
        ('"14 days"', '"14 days', "1.toml:13:"),
        ("days = 14", "days = [1]", "1.toml:22: variables.days: expected a text"),
        ("newest_by", "not_before = 11\nnewest_by", "1.toml:4: not_before: expected a time of day"),
    ],
)
def test_each_mistake_is_named_with_its_line(old: str, new: str, words: str) -> None:
    """The line where somebody has to look."""
    assert old in WIN_BACK
    with pytest.raises(ConfigError) as told:
        parse_campaign(WIN_BACK.replace(old, new, 1), "1.toml", "win-back")
    assert words in str(told.value)


def test_ages_and_values_become_conditions() -> None:
    """Ages count back from the moment a pass asks; a flag that was never set counts as false."""
    text = WIN_BACK + '[[criteria]]\nfield = "a.b"\nat_least = 2\nbelow = 5\nreason = "x"\n'
    text = text.replace('once = "ever"', 'once = "day"\nnot_before = "11:30"')
    file = parse_campaign(text, "1.toml", "win-back")
    assert (file.once, file.not_before) == ("day", time(11, 30))
    seen, sent, number = (spec.criterion(NOON) for spec in file.criteria)
    assert (seen.kind, seen.condition) == (Kind.DATE, {"$lt": NOON - timedelta(days=14)})
    assert (sent.kind, sent.condition) == (Kind.FLAG, {"$in": [False, None]})
    assert (number.kind, number.condition) == (Kind.NUMBER, {"$gte": 2, "$lt": 5})
    assert seen.variable == "1.toml:13"


def test_no_campaign_takes_the_name_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The list of those names is the list of commands."""
    assert run(["--version"]) == 0
    commands = {command.name for command in app.registered_commands} - registry().keys()
    assert commands <= COMMANDS
