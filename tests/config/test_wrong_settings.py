"""Wrong settings by the installed command: one clear message each, and no secret in it.

What each variable accepts is in ``test_settings.py``; here is what an operator gets to read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.config.load import load
from ozh_notify.errors import ConfigError
from ozh_notify.mongo.client import connect
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import PASSWORD, TOKEN, Ozh
from tests.helpers.parameters import first_and_long
from tests.helpers.users import Users, discount_user

INFO = re.compile(r"\d{4}-\d\d-\d\d \S+ INFO ")


@dataclass(frozen=True)
class Wrong:
    """What is wrong, what the pass ends with, and what its message must have."""

    code: int
    words: tuple[str, ...]
    variables: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Files by name; ``{folder}`` in a variable stands for their folder."""
    line: str = "discount --limit 1"


KINDS: dict[str, Wrong] = {
    "variables of several kinds": Wrong(
        78,
        (
            *("MONGO_DB_NAME: expected a database name", "OZH_RATE_LIMIT: expected a number"),
            *("OZH_DISCOUNT_BUTTON_TEXT: missing", "API_KEY_FILE: {folder}/key is empty"),
            "OZH_RATE_LIMT: not a known variable; did you mean OZH_RATE_LIMIT?",
        ),
        {
            **{"MONGO_DB_NAME": "bot 2", "OZH_RATE_LIMIT": "20/s", "OZH_DISCOUNT_BUTTON": "buy"},
            **{"API_KEY": None, "API_KEY_FILE": "{folder}/key", "OZH_RATE_LIMT": "5"},
        },
        {"key": " \n"},
    ),
    "a zone of the machine that does not exist": Wrong(
        78,
        ("OZH_TIMEZONE: not set, and TZ is 'Europe/Moskow', which is not a time zone",),
        {"OZH_TIMEZONE": None, "TZ": "Europe/Moskow"},
    ),
    "a zone of the machine by its rule, which is right": Wrong(
        0, (), {"OZH_TIMEZONE": None, "TZ": "MSK-3"}
    ),
    "a line of the env file": Wrong(
        78,
        ("OZH_EXTRA_FILTER: line 1 of ../env cannot be read", "JSON in single quotes"),
        files={"env": 'OZH_EXTRA_FILTER="{"banned": true}"\n'},
        line="--env-file ../env discount --limit 1",
    ),
    "a service record that does not exist": Wrong(
        69,
        ("MongoDB cannot be reached",),
        {"MONGO_URI": f"mongodb+srv://u:{PASSWORD}@nowhere.invalid/bot"},
    ),
    "a token that Telegram rejects": Wrong(
        78,
        ("TELEGRAM_BOT_TOKEN", "Telegram rejects this token", "@BotFather"),
        {"TELEGRAM_BOT_TOKEN": f"1{TOKEN}"},
    ),
    "a Bot API that nobody serves": Wrong(
        69,
        ("Telegram cannot be reached at http://127.0.0.1:1",),
        {"OZH_TELEGRAM_API_URL": "http://127.0.0.1:1"},
    ),
    "a filter that MongoDB refuses": Wrong(
        78,
        ("MongoDB refused to", "$nonsense"),
        {"OZH_EXTRA_FILTER": '{"balance": {"$nonsense": 1}}'},
    ),
    "a field that no user has": Wrong(
        78,
        ("OZH_FIELD_CHAT_ID", "'tg_id'", "nobody was messaged", "Try: ozh-notify check"),
        {"OZH_FIELD_CHAT_ID": "tg_id"},
    ),
    "a variable in a template": Wrong(
        78,
        ("{folder}/discount.html:1: 'nmae' is not a variable", "first_name"),
        {"OZH_TEMPLATES_DIR": "{folder}"},
        {"discount.html": "Hi {{ nmae }}"},
    ),
    "a folder that a pass does not depend on": Wrong(
        0,
        ("OZH_METRICS_FILE", "No such file"),
        {"OZH_METRICS_FILE": "/no/such/{campaign}.prom"},
    ),
}


@pytest.mark.parametrize("kind", first_and_long(KINDS))
def test_a_wrong_setting_gives_one_clear_message(
    kind: str, ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """It names the variable, says what is expected, and messages nobody; it holds no secret.

    The fixture searches every output for the token, the password and the API key.
    """
    wrong = KINDS[kind]
    users.insert_many([discount_user() for _ in range(120)])
    for name, text in wrong.files.items():
        (tmp_path / name).write_text(text)
    variables = {
        name: value and value.replace("{folder}", str(tmp_path))
        for name, value in wrong.variables.items()
    }
    result = ozh(*wrong.line.split(), COLUMNS="300", **variables)
    assert result.code == wrong.code, result.err
    told = [row for row in result.err.splitlines() if not INFO.match(row) and row.strip()]
    text = "\n".join(told)
    for words in wrong.words:
        assert words.replace("{folder}", str(tmp_path)) in text
    assert "Traceback" not in text
    assert len(told) <= len(wrong.words) + 2, text
    assert len(bot_api.control.messages()) == (0 if wrong.code else 1)
    assert users.count_documents({"ozh_notify": {"$exists": True}}) == (0 if wrong.code else 1)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://user:zq3hide@127.0.0.1:port/db",
        "mongodb://user:zq3hide@127.0.0.1:99999/db",
        "mongodb://user:zq3@hide@127.0.0.1:1/db",
        "mongodb://user:zq3:hide@127.0.0.1:1/db",
        "mongodb://user:zq3/hide@127.0.0.1:1/db",
        "mongodb://user:zq3%hide@127.0.0.1:1/db",
        "mongodb://user:zq3hide@127.0.0.1:1/db?tls=true&tlsCAFile=/no/such",
        "mongodb://user:zq3hide@/db",
    ],
)
async def test_a_uri_the_driver_refuses_is_named_and_never_shown(uri: str, tmp_path: Path) -> None:
    """The driver's own errors quote the end of the password: they are not repeated."""
    (tmp_path / "empty.env").touch()
    with pytest.raises(ConfigError, match="MONGO_URI") as caught:
        connect(load(tmp_path / "empty.env", {"MONGO_URI": uri, "MONGO_DB_NAME": "db"})[0])
    for part in ("zq3", "hide"):
        assert part not in str(caught.value)


@pytest.mark.parametrize("option", ["readPreference=worst", "authMechanism=NONE"])
async def test_an_option_of_the_uri_that_the_driver_ignores_is_a_warning(
    option: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Other drivers may take it; the warning names the option, and neither value nor password."""
    (tmp_path / "empty.env").touch()
    uri = f"mongodb://user:zq3hide@127.0.0.1:1/db?{option}"
    connect(load(tmp_path / "empty.env", {"MONGO_URI": uri})[0]).close()
    assert f"does not use the option {option.partition('=')[0]}" in caplog.text
    assert "zq3hide" not in caplog.text
