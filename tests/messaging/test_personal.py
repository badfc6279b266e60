"""The user's own data in a message: fields, dates and numbers; a hostile document breaks none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, ObjectId

from ozh_notify.campaigns import registry
from ozh_notify.config.load import load
from ozh_notify.errors import ConfigError
from ozh_notify.messaging import filters
from ozh_notify.messaging.composer import Composer
from ozh_notify.messaging.html import TEXT_LIMIT, parse
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, discount_user

DAY = datetime(2026, 12, 5, 22, 30, tzinfo=timezone.utc)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder of templates."""
    path = tmp_path / "texts"
    path.mkdir()
    return path


@pytest.fixture
def composer(folder: Path) -> Callable[..., Composer]:
    """The composer of a campaign with this text, in Moscow."""

    def make(text: str, name: str = "discount.html") -> Composer:
        (folder / name).write_text(text)
        file = folder / "empty.env"
        file.touch()
        variables = {"MONGO_URI": "mongodb://h/db", "OZH_TEMPLATES_DIR": str(folder)}
        settings, _ = load(file, {**variables, "OZH_TIMEZONE": "Europe/Moscow"})
        return Composer(registry()["discount"](settings))

    return make


def rendered(made: Composer, document: dict[str, Any], language: str = "") -> str:
    """The text for a user with this document."""
    return made.compose("Анна", language, 5, made.fields_of(document)).html


def test_the_fields_are_found_in_the_template(composer: Callable[..., Composer]) -> None:
    """Each path once, as the claim is to read it; a method or an index is not part of it."""
    text = (
        "Hi {{ user.last.style }} {{ user['city'] }} {{ user.tags[0] }} "
        "{% if user.name %}{{ user.name.upper() }}{% endif %}"
        "{% if user.items %}{{ user.last.style|length }}{% endif %}"
    )
    assert composer(text).user_paths == ("city", "items", "last.style", "name", "tags")
    assert composer("Hi").user_paths == ()
    assert composer("Hi {{ user.a }}{{ user.a.b }}{{ user.ab }}").user_paths == ("a", "ab")


@pytest.mark.parametrize(
    "text", ["Hi {{ user }}", "Hi {{ user['$where'] }}", "Hi {{ user['a.b'] }}"]
)
def test_a_field_needs_a_name(text: str, composer: Callable[..., Composer], folder: Path) -> None:
    """The whole document is not a text."""
    with pytest.raises(ConfigError, match=r"discount\.html:2: 'user' stands for the user's doc"):
        composer(f"one\n{text}")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Мыши & <b>", "Мыши &amp; &lt;b&gt;"),
        ("two\nlines", "two\nlines"),
        ("\u202egnp.exe\x00", "gnp.exe"),
        ("\ud800x", "x"),
        (5, "5"),
        (5.0, "5"),
        (1234.5, "1\u00a0234,5"),
        (float("nan"), ""),
        (Decimal128("9.90"), "9,9"),
        (ObjectId("5f0000000000000000000001"), "5f0000000000000000000001"),
        (DAY, "6\u00a0декабря\u00a02026"),
        (None, ""),
        ({"a": 1}, ""),
        (b"bytes", ""),
    ],
    ids=repr,
)
def test_a_field_is_shown_as_a_reader_expects_it(
    value: object, shown: str, composer: Callable[..., Composer]
) -> None:
    """Escaped, without controls; dates and numbers as Russian writes them, in the bot's zone."""
    made = composer("[{{ user.x.y }}]")
    assert rendered(made, {"x": {"y": value}}) == f"[{shown}]"


def test_a_field_that_some_users_lack_cannot_be_needed(composer: Callable[..., Composer]) -> None:
    """It is found before the pass, with what to do."""
    with pytest.raises(ConfigError, match=r"discount\.html:1: 'name' is undefined; not every user"):
        composer("Hi {{ user.name.upper() }}")


def test_a_field_that_is_not_there_is_empty(composer: Callable[..., Composer]) -> None:
    """At any depth; a condition on it is false."""
    made = composer("Hi{{ user.a.b.c }}{% if user.a.b %}!{% endif %}")
    for document in ({}, {"a": 5}, {"a": None}, {"a": [1]}, {"a": {"b": ""}}):
        assert rendered(made, document) == "Hi"


def test_dates_and_numbers_can_be_written_as_wanted(composer: Callable[..., Composer]) -> None:
    """By filters; in the template of another language they are not Russian."""
    text = (
        "{{ user.at|date }} {{ user.at|date('%d.%m') }} {{ user.n|number }} {{ user.n|number(2) }}."
    )
    document = {"at": DAY, "n": 1234567.5}
    assert rendered(composer(text), document) == (
        "6\u00a0декабря\u00a02026 06.12 1\u00a0234\u00a0567,5 1\u00a0234\u00a0567,50."
    )
    english = composer(text, "discount.en.html")
    assert rendered(english, document, "en") == "2026-12-06 06.12 1,234,567.5 1,234,567.50."


@pytest.mark.parametrize("value", ["x", None, True, float("inf"), 10**400, Decimal("NaN")])
def test_what_is_not_a_number_or_a_date_is_empty(value: object) -> None:
    """The filters never fail."""
    assert filters.number(value, russian=True) == ""
    assert filters.date(value, zone=timezone.utc, russian=True) == ""


def test_two_users_of_one_name_get_their_own_data(composer: Callable[..., Composer]) -> None:
    """Messages are kept by name only where they hold nothing else of the user."""
    made = composer("{{ first_name }}: {{ user.city }}, {{ chat_id }}")
    first = made.compose("Анна", "", 1, {"city": "Тверь"}).html
    second = made.compose("Анна", "", 2, {"city": "Омск"}).html
    assert (first, second) == ("Анна: Тверь, 1", "Анна: Омск, 2")


def test_a_huge_field_does_not_make_the_message_too_long(composer: Callable[..., Composer]) -> None:
    """It is cut: Telegram would refuse the message, and two in a row stop a pass."""
    made = composer("Hi {% for n in range(6) %}{{ user.x }} {% endfor %}")
    assert 300 < parse(rendered(made, {"x": "<" * 10**7})).length <= TEXT_LIMIT


def test_each_user_gets_their_own_fields(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """Read with the claim, of documents of any shape; nobody's message is broken."""
    text = "{{ first_name }}: {{ user.last.style }} {{ user.balance }} {{ user.last.at|date }}"
    (folder / "discount.html").write_text(text)
    odd: list[Any] = ["<b>Мультик", None, ["a", "b"], {"$x": 1}, "x" * 100_000, 5]
    users.insert_many(
        [
            *(discount_user(telegram_id=n, last={"style": one}) for n, one in enumerate(odd, 1)),
            discount_user(telegram_id=10, last=5),
            discount_user(telegram_id=11, last={"style": "Комикс", "at": DAY}),
        ]
    )
    variables: dict[str, Any] = {"OZH_TEMPLATES_DIR": str(folder)}
    result = ozh("discount", "--json", **variables)
    assert result.json()["sent"] == 8, result.err
    texts = {message.chat_id: message.text for message in bot_api.control.messages()}
    assert texts[1] == "Анна: <b>Мультик 0"
    assert texts[2] == "Анна:  0"
    assert texts[3] == "Анна: a, b 0"
    assert texts[5].startswith("Анна: xxxx")
    assert texts[11] == "Анна: Комикс 0 5\u00a0декабря\u00a02026"


def test_the_dry_run_and_a_sample_show_a_users_own_data(
    ozh: Ozh, users: Users, bot_api: BotApiServer, folder: Path
) -> None:
    """`--test-to CHAT --user CHAT_ID` sends that user's message to you."""
    (folder / "discount.html").write_text("{{ first_name }}: {{ user.last.style }}")
    users.insert_one(discount_user(telegram_id=7, first_name="Боб", last={"style": "Аниме"}))
    variables: dict[str, Any] = {"OZH_TEMPLATES_DIR": str(folder)}
    dry = ozh("discount", "--dry-run", "--json", **variables)
    assert dry.json()["preview"]["text"] == "Боб: Аниме"
    assert ozh("discount", "--test-to", "5", "--user", "7", **variables).code == 0
    assert [(m.chat_id, m.text) for m in bot_api.control.messages()] == [(5, "Боб: Аниме")]
    missing = ozh("discount", "--test-to", "5", "--user", "8", **variables)
    assert missing.code == 78
    assert ozh("discount", "--test-to", "5", "--user", "7", "--user", "8", **variables).code == 2


def test_check_says_how_many_users_have_a_field(ozh: Ozh, users: Users, folder: Path) -> None:
    """And of which types; a field that nobody has is a warning."""
    (folder / "discount.html").write_text("Hi {{ user.city }} {{ user.ctiy }}")
    users.insert_many([discount_user(city="Омск"), discount_user(city=5), discount_user()])
    variables: dict[str, Any] = {"OZH_TEMPLATES_DIR": str(folder)}
    found = {one["subject"]: one for one in ozh("check", "--json", **variables).json()["results"]}
    assert found["template discount: user.city"]["finding"] == "in 2 of 3 users: int, str"
    assert found["template discount: user.ctiy"]["verdict"] == "warning"
