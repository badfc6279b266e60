"""What a user reads: built-in texts, an operator's own, languages and buttons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.config.load import load
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.composer import SAMPLE_NAMES, Composer, Unrenderable
from ozh_notify.messaging.filters import plural
from ozh_notify.messaging.html import TEXT_LIMIT, parse
from ozh_notify.messaging.message import plain_text
from ozh_notify.messaging.template_files import (
    TemplateFile,
    UnreadFile,
    package_folder,
    unread_files,
)
from ozh_notify.sandbox.botapi.client import BotApiServer
from ozh_notify.users.recipient import clean_name, parse_language
from tests.conftest import Ozh
from tests.helpers.users import Users, bonus_user, discount_user

CAMPAIGNS = ("discount", "daily-bonus")
Compose = Callable[..., Composer]


@pytest.fixture
def composer(tmp_path: Path) -> Compose:
    """A campaign's composer under the given variables."""

    def make(campaign: str = "discount", **variables: str) -> Composer:
        file = tmp_path / "empty.env"
        file.touch()
        settings, _ = load(file, {"MONGO_URI": "mongodb://h/db", **variables})
        kind: type[Campaign] = registry()[campaign]
        return Composer(kind(settings))

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder of templates."""
    path = tmp_path / "texts"
    path.mkdir()
    return path


# --- the built-in texts ---

OFFERS: tuple[dict[str, str], ...] = (
    {},
    {"OZH_DISCOUNT_PACK": "10 оживашек"},
    {"OZH_DISCOUNT_PRICE": "149 ₽"},
    {"OZH_DISCOUNT_PRICE": "<149> & ₽", "OZH_DISCOUNT_OLD_PRICE": "</s>"},
    {"OZH_DAILY_BONUS_DAYS": "2.5"},
)
NAMES = (
    *SAMPLE_NAMES,
    *("<b>Анна</b>", "&lt;", '"><script>', "Анна & Ко", "{{ 1/0 }}", "👩‍👩‍👧‍👦", "Ivan O'Neill"),
    *("A\u202egnp.exe", "x" * 1000, "две\nстроки", "\u0000", "ё" * 64),
)


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_built_in_texts_are_valid_for_any_name(
    campaign: str, offer: dict[str, str], composer: Compose
) -> None:
    """Telegram accepts what they become, and shows a name as its owner wrote it."""
    texts = composer(campaign, **offer)
    for raw in NAMES:
        shown = clean_name(raw)
        message = texts.compose(shown, "ru")
        parsed = parse(message.html)
        assert 0 < parsed.length <= TEXT_LIMIT
        assert shown in parsed.text
        assert "None" not in parsed.text
        assert "{" not in parsed.text.replace(shown, "")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Анна", "Анна"),
        ("  Анна  Мария ", "Анна Мария"),
        ("две\nстроки\tи", "две строки и"),
        ("A\u202egnp.exe\u200f", "Agnp.exe"),
        ("\u2066\u200e", ""),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        ("x" * 1000, "x" * 64),
        ("a\u0000b\u0007c", "a b c"),
        ("\ud800x", "x"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u200d \u200c", ""),
        ("\u3164", ""),
        ("\u2800\u115f \uffa0", ""),
        ("\u0301\ufe0f", ""),
        ("\u3164Анна\u2800", "Анна"),
        ("None", ""),
        ("null", ""),
        ("Undefined", ""),
        ("Noneke", "Noneke"),
        ("...", "..."),
        ("👍", "👍"),
        (5, ""),
        (None, ""),
        (["Анна"], ""),
    ],
)
def test_a_name_is_made_fit_for_a_message(raw: object, shown: str) -> None:
    """No controls, no direction marks, no more than Telegram's own limit; emoji stay whole."""
    assert clean_name(raw) == shown


def test_a_user_without_a_name_is_addressed_all_the_same(composer: Compose) -> None:
    """No empty place where a name would be."""
    assert composer("discount").compose("", "").html.startswith("🎨 <b>Ваша картинка ожила")
    assert composer("daily-bonus").compose("", "").html.startswith("🎁 <b>Вас ждёт")


def test_the_discount_names_what_is_set_and_invents_nothing(composer: Compose) -> None:
    """Pack, price and old price are in the text only when the operator has set them."""
    pack, price, old = (
        {"OZH_DISCOUNT_PACK": "10 оживашек"},
        {"OZH_DISCOUNT_PRICE": "149 ₽"},
        {"OZH_DISCOUNT_OLD_PRICE": "249 ₽"},
    )

    def offer(**variables: str) -> str:
        text = plain_text(composer("discount", **variables).compose("Анна", ""))
        return text.splitlines()[2]

    assert offer() == "Для вас — пакет оживашек по специальной цене."
    assert offer(**pack) == "Для вас — 10 оживашек по специальной цене."
    assert offer(**price) == "Для вас — пакет оживашек по специальной цене: 149 ₽."
    whole = "Для вас — 10 оживашек по специальной цене: 149 ₽ вместо 249 ₽."
    assert offer(**pack, **price, **old) == whole
    assert offer(**old) == offer()


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("1", "только в первый 1 день после"),
        ("2", "только в первые 2 дня после"),
        ("3", "только в первые 3 дня после"),
        ("5", "только в первые 5 дней после"),
        ("2.5", "только в первые 2.5 дня после"),
        ("11", "только в первые 11 дней после"),
        ("21", "только в первый 21 день после"),
    ],
)
def test_the_daily_bonus_says_what_where_and_how_long(
    days: str, words: str, composer: Compose
) -> None:
    """+1 оживашка, in «Бонусы», in the first days; in grammatical Russian."""
    text = plain_text(composer("daily-bonus", OZH_DAILY_BONUS_DAYS=days).compose("Анна", "ru"))
    assert "Анна, вас ждёт +1 оживашка!" in text
    assert "разделе «Бонусы»" in text
    assert words in text


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (0, "дней"),
        (1, "день"),
        ("2", "дня"),
        (4, "дня"),
        (5, "дней"),
        (11, "дней"),
        (14, "дней"),
        (21, "день"),
        (22, "дня"),
        (111, "дней"),
        ("2.5", "дня"),
        ("3.0", "дня"),
    ],
)
def test_a_number_chooses_its_russian_form(number: object, word: str) -> None:
    """Templates say `days|plural("день", "дня", "дней")`."""
    assert plural(number, "день", "дня", "дней") == word


# --- an operator's own ---

FAULTS: dict[str, tuple[bytes, int, str]] = {
    "syntax": ("Привет\n{% if first_name %}".encode(), 2, ""),
    "unknown variable": (b"a\nb\n{{ frist_name }}", 3, "'frist_name' is not a variable"),
    "unknown variable in a branch": (b"a\n{% if price %}{{ x }}{% endif %}", 2, "'x' is not a var"),
    "unsupported tag": (b"one\ntwo<br/>", 2, 'Unsupported start tag "br/"'),
    "unclosed tag": (b"one\n<b>two\nthree", 2, 'end tag corresponding to start tag "b"'),
    "wrong order": (b"<b>one\n<i>two</b></i>", 2, "Unmatched end tag"),
    "too long": (b"x" * (TEXT_LIMIT + 1), 1, "Telegram takes 4096"),
    "too long for a long name": (b"x" * (TEXT_LIMIT - 9) + b"{{ first_name }}", 1, "takes 4096"),
    "empty": (b" \n ", 1, "would be empty"),
    "empty without a name": (b"{{ first_name or '' }}", 1, "would be empty"),
    "not UTF-8": (b"one\ntwo\n" + "три".encode("cp1251"), 3, "not UTF-8"),
    "an expression that fails": (b"one\n{{ 1 / 0 }}", 2, "division by zero"),
    "an unknown filter": (b"one\n\n{{ first_name|shout }}", 3, "No filter named 'shout'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_template_is_found_with_file_and_line(
    fault: str, composer: Compose, folder: Path
) -> None:
    """Before anybody is claimed, and not by the users."""
    content, line, words = FAULTS[fault]
    file = folder / "discount.html"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        composer(OZH_TEMPLATES_DIR=str(folder))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--test-to", "5")])
def test_a_wrong_template_ends_the_command_before_anybody_is_claimed(
    options: tuple[str, ...], ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """Exit 78; nothing is written, Telegram is not even asked."""
    users.insert_one(discount_user())
    before = list(users.find())
    (folder / "discount.en.html").write_text("ok\n<h1>Hi</h1>")
    result = ozh("discount", "--json", *options, OZH_TEMPLATES_DIR=str(folder))
    assert result.code == 78
    assert f"{folder / 'discount.en.html'}:2: Telegram would refuse it" in result.json()["error"]
    assert list(users.find()) == before
    assert bot_api.control.messages() == []


def test_a_template_of_4096_characters_is_fine(composer: Compose, folder: Path) -> None:
    """The limit is Telegram's own, after the markup is gone."""
    (folder / "discount.html").write_text("<b>" + "x" * TEXT_LIMIT + "</b>")
    assert composer(OZH_TEMPLATES_DIR=str(folder)).compose("", "").html


def test_a_byte_order_mark_is_no_part_of_the_message(composer: Compose, folder: Path) -> None:
    """Some editors write one."""
    (folder / "discount.html").write_bytes("\ufeffПривет".encode())
    assert composer(OZH_TEMPLATES_DIR=str(folder)).compose("", "").html == "Привет"


def test_a_template_of_another_campaign_does_not_matter(composer: Compose, folder: Path) -> None:
    """What is not in the folder is built in."""
    (folder / "discount.html").write_text("<br>")
    text = composer("daily-bonus", OZH_TEMPLATES_DIR=str(folder)).compose("", "").html
    assert "оживашка" in text


def test_a_template_that_fails_for_one_user_only_is_that_users(
    composer: Compose, folder: Path
) -> None:
    """The samples cannot show everything: such a user is an outcome, not a bug."""
    text = "{% if first_name == 'Bob' %}{{ 1 / 0 }}{% endif %}Hi"
    (folder / "discount.html").write_text(text)
    texts = composer(OZH_TEMPLATES_DIR=str(folder))
    assert texts.compose("Anna", "").html == "Hi"
    with pytest.raises(Unrenderable, match=r"discount\.html: division by zero"):
        texts.compose("Bob", "")


def test_a_user_whose_template_fails_is_rejected_and_the_others_get_theirs(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """The fault of one user stops no other user."""
    text = "{% if first_name == 'Bob' %}{{ 1 / 0 }}{% endif %}Hi"
    (folder / "discount.html").write_text(text)
    users.insert_many([discount_user(first_name=n) for n in ("Ann", "Bob", "Cid")])
    result = ozh("discount", "--json", OZH_TEMPLATES_DIR=str(folder))
    assert result.code == 0, result.err
    assert (result.json()["sent"], result.json()["rejected"]) == (2, 1)
    bob = users.find_one({"first_name": "Bob"}) or {}
    assert bob["ozh_notify"]["discount"]["error"] == "template discount.html: division by zero"


# --- languages ---


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("pt-BR", "Oi"),
        ("zh-hans-cn", "你好"),
        ("zh_Hans", "你好"),
        ("zh-Hant-TW", "您好"),
        ("pt_br", "Oi"),
        ("pt-PT", "Olá"),
        ("pt", "Olá"),
        ("EN", "Hi"),
        ("en-US", "Hi"),
        ("de", "Привет"),
        ("", "Привет"),
        (None, "Привет"),
        ("../../etc", "Привет"),
    ],
)
def test_the_users_language_chooses_the_template(
    code: object, text: str, composer: Compose, folder: Path
) -> None:
    """First the exact language, then a shorter form of it, then the text without a language."""
    texts = {"": "Привет", ".pt": "Olá", ".pt-BR": "Oi", ".en": "Hi"}
    texts |= {".zh": "你好", ".zh-hant": "您好"}
    for suffix, content in texts.items():
        (folder / f"discount{suffix}.html").write_text(content)
    composed = composer(OZH_TEMPLATES_DIR=str(folder)).compose("", parse_language(code))
    assert composed.html == text


def test_a_language_alone_leaves_the_built_in_text_to_the_others(
    composer: Compose, folder: Path
) -> None:
    """Adding a translation replaces nothing."""
    (folder / "daily_bonus.en.html").write_text("Hi, {{ first_name or 'you' }}: {{ days }}")
    texts = composer("daily-bonus", OZH_TEMPLATES_DIR=str(folder))
    assert texts.languages == ("en",)
    assert texts.compose("Ann", "en-gb").html == "Hi, Ann: 3"
    assert "оживашка" in texts.compose("Анна", "ru").html


def test_a_file_that_names_no_language_is_an_error(composer: Compose, folder: Path) -> None:
    """A mistyped name would never be used."""
    (folder / "discount.english!.html").write_text("Hi")
    with pytest.raises(ConfigError, match=r"'english!' is not a language code"):
        composer(OZH_TEMPLATES_DIR=str(folder))


def test_two_files_for_one_language_are_an_error(composer: Compose, folder: Path) -> None:
    """One of them would never be used."""
    for code in ("pt-br", "pt_BR"):
        (folder / f"discount.{code}.html").write_text("Oi")
    with pytest.raises(ConfigError, match=r"pt-br\.html and .*pt_BR\.html are for one language"):
        composer(OZH_TEMPLATES_DIR=str(folder))


# --- which file is used, and which is not ---


def test_each_text_is_known_by_its_campaign_language_and_file(
    composer: Compose, folder: Path
) -> None:
    """What comes with the package is named as built in."""
    (folder / "discount.en.html").write_text("Hi")
    own, built_in = (
        folder / "discount.en.html",
        package_folder(registry()["discount"]) / "discount.html",
    )
    files = composer(OZH_TEMPLATES_DIR=str(folder)).files
    assert files[0] == TemplateFile("discount", "", built_in, built_in=True)
    assert files[1] == TemplateFile("discount", "en", own, built_in=False)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("discont.html", "discount.html"),
        ("Discount.html", "discount.html"),
        ("daily-bonus.html", "daily_bonus.html"),
        ("daily_bonus.en.htm", "daily_bonus.en.html"),
        ("discount.en.j2", "discount.en.html"),
        ("dicsount.TOML", "discount.toml"),
        ("welcome.html", None),
    ],
)
def test_a_file_that_no_campaign_reads_is_named(name: str, meant: str | None, folder: Path) -> None:
    """With the name that was probably meant: otherwise another text goes out unnoticed."""
    (folder / name).write_text("Hi")
    [unread] = unread_files(folder, ("discount", "daily_bonus"))
    assert unread == UnreadFile(folder / name, meant)
    assert (f"did you mean {meant}?" in str(unread)) is bool(meant)


def test_a_file_that_is_read_is_not_named(folder: Path) -> None:
    """By a campaign or by another file; notes and parts are nobody's business."""
    (folder / "discount.pt-BR.html").write_text("Hi {% include 'footer.html' %}")
    for name in ("discount.html", "daily_bonus.toml", "footer.html", "_part.html", "README.md"):
        (folder / name).write_text("Hi")
    assert unread_files(folder, ("discount", "daily_bonus")) == ()


# --- what arrives ---


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("https://example.org/?a=1&b=2", "url"),
        ("tg://resolve?domain=ozh_bot", "url"),
        ("discount:buy", "callback_data"),
        ("ж" * 32, "callback_data"),
    ],
)
def test_the_button_arrives_as_it_was_meant(
    target: str, key: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """An address opens, anything else is callback data."""
    users.insert_one(discount_user())
    button: dict[str, Any] = {
        "OZH_DISCOUNT_BUTTON_TEXT": "Взять <b>",
        "OZH_DISCOUNT_BUTTON": target,
    }
    assert ozh("discount", **button).code == 0
    [message] = bot_api.control.messages()
    assert message.reply_markup == {"inline_keyboard": [[{"text": "Взять <b>", key: target}]]}


def test_what_arrives_is_what_was_meant(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """Names, languages and prices, by the installed command, as Telegram shows them."""
    (folder / "daily_bonus.en.html").write_text("<i>Hi {{ first_name }}</i>")
    users.insert_many(
        [
            bonus_user(telegram_id=1, first_name="<b>&amp;\u202e 👩‍👩‍👧‍👦", language_code="ru"),
            bonus_user(telegram_id=2, first_name="Ann", language_code="en-GB"),
            bonus_user(telegram_id=3, first_name=None, language_code=7),
            bonus_user(telegram_id=4, first_name="a\nb" + "c" * 999),
        ]
    )
    result = ozh("daily-bonus", "--json", OZH_TEMPLATES_DIR=str(folder))
    assert result.json()["sent"] == 4, result.err
    texts = {message.chat_id: message.text for message in bot_api.control.messages()}
    assert texts[1].startswith("🎁 <b>&amp; 👩‍👩‍👧‍👦, вас ждёт +1 оживашка!\n\nБонус можно")
    assert texts[2] == "Hi Ann"
    assert texts[3].startswith("🎁 Вас ждёт +1 оживашка!")
    assert texts[4].startswith(f"🎁 a b{'c' * 61}, вас ждёт")
    assert all(message.reply_markup is None for message in bot_api.control.messages())
