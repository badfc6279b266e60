"""``NAME.toml``: a picture, silent, buttons; what is wrong with it is told with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.campaigns import registry
from ozh_notify.config.load import load
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.composer import SAMPLE_RUN, Composer
from ozh_notify.messaging.message import Media, Message, MessageButton
from ozh_notify.sandbox.botapi.client import BotApiServer, ReceivedMessage
from tests.conftest import Ozh
from tests.helpers.users import Users, discount_user

FILE_ID = "AgACAgIAAxkBAAIBB2abcdef-_0123"
BUTTON = '[[button]]\ntext = "Открыть"\n'
Compose = Callable[..., Message]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder with a short text."""
    path = tmp_path / "texts"
    path.mkdir()
    (path / "discount.html").write_text("Hi {{ first_name }}")
    return path


@pytest.fixture
def compose(folder: Path) -> Compose:
    """The message of a user, with these options."""

    def make(toml: str, language: str = "", **fields: Any) -> Message:
        (folder / "discount.toml").write_text(toml)
        return composer_in(folder).compose("Анна", language, 5, fields)

    return make


def composer_in(folder: Path, **variables: str) -> Composer:
    """The discount's composer."""
    file = folder / "empty.env"
    file.touch()
    needed = {"MONGO_URI": "mongodb://h/db", "OZH_TEMPLATES_DIR": str(folder)}
    settings, _ = load(file, {**needed, **variables})
    return Composer(registry()["discount"](settings))


def env(folder: Path) -> dict[str, Any]:
    """Variables of a command that uses the folder."""
    return {"OZH_TEMPLATES_DIR": str(folder)}


# --- what a file says ---


def test_everything_a_message_can_have(compose: Compose) -> None:
    """Medium, flags, buttons with each action, a style, and two in one row."""
    message = compose(
        f'photo = "{FILE_ID}"\nsilent = true\nprotect = true\nlink_preview = true\n'
        '[[button]]\ntext = "A"\nurl = "https://t.me/ozh_bot?start=offer-{{ run }}"\n'
        'style = "primary"\nrow = 1\n'
        '[[button]]\ntext = "B"\ndata = "{{ campaign }}:{{ chat_id }}"\n'
        '[[button]]\ntext = "C {{ first_name }}"\nweb_app = "https://a.example"\nrow = 1\n'
        '[[button]]\ntext = "D"\ncopy = "КОД"\n'
    )
    assert message.media == Media("photo", FILE_ID)
    assert message.silent
    assert message.protect
    assert message.link_preview
    url = f"https://t.me/ozh_bot?start=offer-{SAMPLE_RUN}"
    assert message.keyboard == (
        (
            MessageButton("A", "url", url, "primary"),
            MessageButton("C Анна", "web_app", "https://a.example"),
        ),
        (MessageButton("B", "callback_data", "discount:5"),),
        (MessageButton("D", "copy_text", "КОД"),),
    )


def test_without_a_file_a_message_is_plain(folder: Path) -> None:
    """And has the one button of the variables; a file without buttons leaves it."""
    button = {"OZH_DISCOUNT_BUTTON_TEXT": "X", "OZH_DISCOUNT_BUTTON": "buy"}
    plain = composer_in(folder, **button).compose("", "")
    assert plain == Message("Hi", ((MessageButton("X", "callback_data", "buy"),),))
    (folder / "discount.toml").write_text("silent = true")
    assert composer_in(folder, **button).compose("", "").keyboard == plain.keyboard
    (folder / "discount.toml").write_text(f'{BUTTON}data = "mine"')
    assert composer_in(folder, **button).compose("", "").buttons[0].target == "mine"


def test_each_language_may_have_options_of_its_own(folder: Path) -> None:
    """Else those without a language hold, whatever the text's language is."""
    (folder / "discount.en.html").write_text("Hello")
    (folder / "discount.toml").write_text(f'{BUTTON}data = "ru"')
    (folder / "discount.en.toml").write_text(f'{BUTTON}data = "en"')
    composer = composer_in(folder)
    targets = {code: composer.compose("", code).buttons[0].target for code in ("", "de", "en-gb")}
    assert targets == {"": "ru", "de": "ru", "en-gb": "en"}


def test_what_the_user_does_not_have_is_left_out(compose: Compose) -> None:
    """A medium that is empty leaves a text, and a button without a target is not there."""
    toml = 'video = "{{ user.clip }}"\n' + BUTTON + 'url = "{{ user.page }}"'
    assert compose(toml) == Message("Hi Анна")
    message = compose(toml, clip=FILE_ID, page="t.me/x")
    assert message.media == Media("video", FILE_ID, is_own=True)
    assert message.buttons[0].target == "https://t.me/x"
    assert compose(toml, clip="/etc/passwd", page="ftp://x") == Message("Hi Анна")


FAULTS: dict[str, tuple[str, int, str]] = {
    "not TOML": ("silent = true\nphoto = x", 2, "Invalid value"),
    "unknown key": ('silent = true\nfoto = "x"', 2, "unknown key 'foto': did you mean photo?"),
    "two media": (f'photo = "{FILE_ID}"\nvideo = "{FILE_ID}"', 2, "one medium"),
    "not a text": ("photo = 5", 1, "expected a text"),
    "not a flag": ('silent = "yes"', 1, "expected true or false"),
    "an unknown word": ('photo = "{{ user.id }}"\n' + BUTTON + 'data = "{{ rnu }}"', 4, "'rnu'"),
    "a wrong template": ('photo = "{{ user.x"', 1, "end of"),
    "a file of this machine": ('photo = "/etc/passwd"', 1, "file_id or an address"),
    "a user's field that is no address": (f'{BUTTON}url = "x {{{{ user.x }}}}"', 3, "begins with"),
    "a short file id": ('photo = "picture.png"', 1, "file_id or an address"),
    "no text": ('[[button]]\ndata = "x"', 1, "needs a text"),
    "no action": (BUTTON, 1, "one of url, data, web_app, copy"),
    "two actions": (BUTTON + 'data = "x"\nurl = "https://x.example"', 1, "one of url, data"),
    "an unknown key of the second": (f'{BUTTON}data = "x"\n{BUTTON}dat = "x"', 6, "'dat': did"),
    "a wrong style": (f'{BUTTON}data = "x"\nstyle = "pink"', 4, "primary, success, danger"),
    "a wrong row": (f'{BUTTON}data = "x"\nrow = 0', 4, "from 1 on"),
    "long callback data": (f'{BUTTON}data = "{"ж" * 33}"', 3, "1 to 64 bytes"),
    "callback data that a run makes too long": (
        *(f'{BUTTON}data = "a-rather-longer-offer:{{{{ run }}}}:{{{{ chat_id }}}}:x"', 3),
        "1 to 64 bytes",
    ),
    "a web app without TLS": (f'{BUTTON}web_app = "http://x.example"', 3, "https://"),
    "another scheme": (f'{BUTTON}url = "ftp://x.example"', 3, "begins with"),
    "no address": (f'{BUTTON}url = "buy"', 3, "begins with"),
    "a long text to copy": (f'{BUTTON}copy = "{"x" * 257}"', 3, "1 to 256"),
    "an expression that fails": (f'{BUTTON}data = "{{{{ 1 / 0 }}}}"', 3, "division by zero"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_option_is_found_with_file_and_line(
    fault: str, compose: Compose, folder: Path
) -> None:
    """Before anybody is claimed."""
    toml, line, words = FAULTS[fault]
    with pytest.raises(ConfigError) as caught:
        compose(toml)
    assert str(caught.value).startswith(f"{folder / 'discount.toml'}:{line}: ")
    assert words in str(caught.value)


def test_a_text_that_is_too_long_for_a_caption_is_an_error(compose: Compose, folder: Path) -> None:
    """Not a cut: Telegram takes 1024 characters below a picture."""
    (folder / "discount.html").write_text("x" * 1025)
    with pytest.raises(
        ConfigError, match=r"discount\.html:1: 1025 characters; Telegram takes 1024"
    ):
        compose(f'photo = "{FILE_ID}"')
    assert compose("silent = true").silent


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--test-to", "5")])
def test_a_wrong_file_ends_the_command_before_anybody_is_claimed(
    options: tuple[str, ...], ozh: Ozh, users: Users, folder: Path
) -> None:
    """Exit 78; nothing is written."""
    users.insert_one(discount_user())
    before = list(users.find())
    (folder / "discount.toml").write_text('foto = "x"')
    result = ozh("discount", "--json", *options, **env(folder))
    assert result.code == 78
    assert f"{folder / 'discount.toml'}:1: unknown key" in result.json()["error"]
    assert list(users.find()) == before


# --- what arrives ---


@pytest.mark.parametrize(
    ("kind", "method"),
    [("photo", "sendPhoto"), ("animation", "sendAnimation"), ("video", "sendVideo")],
)
@pytest.mark.parametrize("file", [FILE_ID, "https://a.example/x.png"])
def test_a_medium_arrives_with_its_caption(
    kind: str, method: str, file: str, ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """By the method of its kind, silent and protected if asked; recorded like any message."""
    users.insert_one(discount_user(telegram_id=7))
    (folder / "discount.toml").write_text(f'{kind} = "{file}"\nsilent = true\nprotect = true\n')
    result = ozh("discount", "--json", **env(folder))
    assert result.json()["sent"] == 1, result.err
    [message] = bot_api.control.messages()
    assert (message.method, message.media, message.text) == (method, file, "Hi Анна")
    assert message.silent
    assert message.protect
    delivery = (users.find_one() or {})["ozh_notify"]["discount"]
    assert (delivery["state"], delivery["message_id"]) == ("sent", message.message_id)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_link_has_a_preview_only_where_it_is_wanted(
    wanted: bool, ozh: Ozh, bot_api: BotApiServer, folder: Path
) -> None:
    """Off by default."""
    if wanted:
        (folder / "discount.toml").write_text("link_preview = true")
    assert ozh("discount", "--test-to", "5", **env(folder)).code == 0
    [message] = bot_api.control.messages()
    assert message.link_preview is wanted


def test_buttons_arrive_as_they_were_meant(ozh: Ozh, bot_api: BotApiServer, folder: Path) -> None:
    """Each action under Telegram's name."""
    (folder / "discount.toml").write_text(
        '[[button]]\ntext = "A"\nurl = "@ozh_bot"\nrow = 1\nstyle = "success"\n'
        '[[button]]\ntext = "B"\nweb_app = "https://a.example"\nrow = 1\n'
        '[[button]]\ntext = "C"\ncopy = "КОД"\n[[button]]\ntext = "D"\ndata = "buy"\n'
    )
    result = ozh("discount", "--test-to", "5", **env(folder))
    assert result.code == 0, result.err
    [message] = bot_api.control.messages()
    assert message.reply_markup == {
        "inline_keyboard": [
            [
                {"text": "A", "url": "https://t.me/ozh_bot", "style": "success"},
                {"text": "B", "web_app": {"url": "https://a.example"}},
            ],
            [{"text": "C", "copy_text": {"text": "КОД"}}],
            [{"text": "D", "callback_data": "buy"}],
        ]
    }


# --- refusals ---


def by_chat(messages: list[ReceivedMessage]) -> dict[int, tuple[str, str | None]]:
    """What each chat got: the method and the medium."""
    return {message.chat_id: (message.method, message.media) for message in messages}


def test_a_medium_that_telegram_refuses_is_the_contents_fault(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """Two in a row stop the pass with Telegram's words; both users are given back."""
    users.insert_many([discount_user() for _ in range(5)])
    (folder / "discount.toml").write_text('photo = "https://a.invalid/x.png"')
    result = ozh("discount", "--json", **env(folder))
    assert result.code == 78, result.err
    assert "failed to get HTTP URL content" in result.json()["error"]
    assert bot_api.control.messages() == []
    assert bot_api.control.requests()["by_method"]["sendPhoto"] == 2
    states = [user.get("ozh_notify", {}).get("discount", {}).get("state") for user in users.find()]
    assert set(states) <= {"retry", None}


def test_a_users_own_picture_that_telegram_refuses_costs_them_no_message(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """The text goes out alone, once, and the log says how many; nobody else is concerned."""
    pictures = [FILE_ID, "https://a.invalid/x.png", "https://a.example/page.html", "", None]
    users.insert_many(
        discount_user(telegram_id=n, last={"file": one}) for n, one in enumerate(pictures, 1)
    )
    (folder / "discount.toml").write_text('photo = "{{ user.last.file }}"')
    result = ozh("discount", "--json", **env(folder))
    assert result.json()["sent"] == 5, result.err
    assert by_chat(bot_api.control.messages()) == {
        1: ("sendPhoto", FILE_ID),
        **dict.fromkeys((2, 3, 4, 5), ("sendMessage", None)),
    }
    assert bot_api.control.requests()["by_method"]["sendPhoto"] == 3
    assert "2 messages went out as text: Telegram refused the user's own picture" in result.err


def test_the_text_that_goes_out_instead_takes_a_turn_of_its_own(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """Two requests for each user, so half as many users a second: the rate is one of requests."""
    users.insert_many(discount_user(last="https://a.invalid/x.png") for _ in range(6))
    (folder / "discount.toml").write_text('photo = "{{ user.last }}"')
    result = ozh("discount", "--json", "--rate", "4", **env(folder))
    assert result.json()["sent"] == 6, result.err
    times = sorted(message.time for message in bot_api.control.messages())
    assert times[-1] - times[0] > 2
    assert {user["ozh_notify"]["discount"]["attempts"] for user in users.find()} == {1}


def test_the_dry_run_shows_medium_and_buttons(ozh: Ozh, users: Users, folder: Path) -> None:
    """As Telegram would, with the file named."""
    users.insert_one(discount_user(last={"file": FILE_ID}))
    (folder / "discount.toml").write_text(
        'photo = "{{ user.last.file }}"\n' + BUTTON + 'url = "t.me/x?start={{ chat_id }}"'
    )
    shown = ozh("discount", "--dry-run", "--json", **env(folder)).json()["preview"]
    chat = (users.find_one() or {})["telegram_id"]
    assert shown["media"] == f"photo {FILE_ID}"
    assert shown["buttons"] == [f"Открыть -> https://t.me/x?start={chat}"]
    table = ozh("discount", "--dry-run", **env(folder)).out
    assert f"photo {FILE_ID}" in table
    assert "[ Открыть -> https://t.me/x?start=" in table
