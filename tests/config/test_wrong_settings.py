"""Wrong settings of many kinds, by the installed command: one clear message each, and no secret.

What each variable accepts is in ``test_settings.py``; here is what an operator gets to read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import PASSWORD, TOKEN, Ozh
from tests.helpers.users import discount_user

Users = Collection[dict[str, Any]]
INFO = re.compile(r"\d{4}-\d\d-\d\d \S+ INFO ")


@dataclass(frozen=True)
class Wrong:
    """What is wrong, what the pass ends with, and what must stand in its message."""

    code: int
    words: tuple[str, ...]
    variables: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Files of the working directory, which ``{folder}`` in a variable stands for."""
    line: str = "discount --limit 1"


def uri(rest: str, scheme: str = "mongodb") -> dict[str, Any]:
    """A MongoDB address with a password."""
    return {"MONGO_URI": f"{scheme}://user:{PASSWORD}@{rest}", "MONGO_DB_NAME": None}


def template(text: str) -> dict[str, Any]:
    """An operator's own text of the discount."""
    return {
        "variables": {"OZH_TEMPLATES_DIR": "{folder}"},
        "files": {"discount.html": text},
    }


def setting(name: str, value: str, *words: str, **more: Any) -> Wrong:
    """A variable with a value it does not take."""
    return Wrong(78, (name, *words), {name: value, **more})


KINDS: dict[str, Wrong] = {
    # --- MongoDB ---
    "the scheme of the URI": Wrong(78, ("MONGO_URI", "mongodb://"), uri("h/bot", "mysql")),
    "an unknown host": Wrong(
        69, ("MongoDB cannot be reached", "nowhere.invalid:27017: "), uri("nowhere.invalid/bot")
    ),
    "a port nobody listens on": Wrong(
        69, ("MongoDB cannot be reached", "127.0.0.1:1: [Errno"), uri("127.0.0.1:1/bot")
    ),
    "a port that is no number": Wrong(78, ("MONGO_URI", "host, port"), uri("127.0.0.1:x/bot")),
    "a password that is not encoded": Wrong(
        78, ("MONGO_URI", "percent-encode"), uri(f"{PASSWORD}@127.0.0.1:1/bot")
    ),
    "a password with a slash": Wrong(
        78, ("MONGO_URI", "percent-encode", "%2F"), uri(f"777,{PASSWORD}/x@127.0.0.1:1/bot")
    ),
    "an option nobody knows": Wrong(78, ("MONGO_URI", "options"), uri("h/bot?nonsense=1")),
    "no URI": Wrong(78, ("MONGO_URI: missing",), {"MONGO_URI": None}),
    "no database": Wrong(78, ("MONGO_DB_NAME: missing",), uri("127.0.0.1:1/")),
    # --- the env file ---
    "a statement nobody can read": Wrong(
        78, ("OZH_EXTRA_FILTER: line 1 of ../env cannot be read", "JSON in single quotes"),
        files={"env": 'OZH_EXTRA_FILTER="{"banned": true}"\n'},
        line="--env-file ../env discount --limit 1",
    ),
    # --- Telegram ---
    "no token": Wrong(
        78, ("TELEGRAM_BOT_TOKEN: missing", "@BotFather"), {"TELEGRAM_BOT_TOKEN": None}
    ),
    "a token of another shape": setting(
        "TELEGRAM_BOT_TOKEN", f"bot{TOKEN.replace(':', ' ')}", "digits, a colon, letters"
    ),
    "a token Telegram rejects": setting(
        "TELEGRAM_BOT_TOKEN", f"1{TOKEN}", "Telegram rejects this token", "@BotFather"
    ),
    "a server that is no Bot API": Wrong(
        69, ("Telegram cannot be reached at http://127.0.0.1:1",),
        {"OZH_TELEGRAM_API_URL": "http://127.0.0.1:1"},
    ),
    "an address without a scheme": setting("OZH_TELEGRAM_API_URL", "api.telegram.org", "https://"),
    "a proxy of another kind": setting("OZH_TELEGRAM_PROXY", f"ftp://u:{PASSWORD}@h", "socks5://"),
    # --- secrets in files ---
    "a secret and its file": Wrong(
        78, ("TELEGRAM_BOT_TOKEN: TELEGRAM_BOT_TOKEN_FILE is set, too",),
        {"TELEGRAM_BOT_TOKEN_FILE": "{folder}/token"}, {"token": TOKEN},
    ),
    "a file that is not there": Wrong(
        78, ("API_KEY_FILE: {folder}/key cannot be read: No such file",),
        {"API_KEY_FILE": "{folder}/key", "API_KEY": None},
    ),
    "a file with nothing in it": Wrong(
        78, ("MONGO_URI_FILE: {folder}/uri is empty",),
        {"MONGO_URI_FILE": "{folder}/uri", "MONGO_URI": None}, {"uri": "\n"},
    ),
    "an env file that is not there": Wrong(
        2, ("--env-file", "does not exist"), line="--env-file nowhere.env discount"
    ),
    # --- values ---
    "a time zone": setting("OZH_TIMEZONE", "Europe/Moskow", "such as Europe/Moscow"),
    "a rate that is no number": setting("OZH_RATE_LIMIT", "20/s", "expected a number"),
    "a negative rate": setting("OZH_RATE_LIMIT", "-5", "above 0"),
    "quiet hours": setting("OZH_QUIET_HOURS", "22-9", "such as"),
    "an hour": setting("OZH_DAILY_BONUS_NOT_BEFORE", "11.00", "such as 11:00"),
    "a chat by its name": setting("OZH_ADMIN_CHAT_ID", "@admins", "number of a Telegram chat"),
    "a filter that is no JSON": setting("OZH_EXTRA_FILTER", "{banned: true}", "as JSON such as"),
    "a filter MongoDB refuses": Wrong(
        78, ("MongoDB refused to", "$nonsense"),
        {"OZH_EXTRA_FILTER": '{"balance": {"$nonsense": 1}}'},
    ),
    "a shard that is none": Wrong(
        2, ("--shard", "expected I/N with 0 <= I < N"), line="discount --shard 4"
    ),
    "a shard too many": Wrong(
        78, ("JOB_COMPLETION_INDEX", "below OZH_SHARDS"),
        {"OZH_SHARDS": "4", "JOB_COMPLETION_INDEX": "4"},
    ),
    # --- fields ---
    "a field path": setting("OZH_FIELD_BALANCE", "wallet..left", "field path"),
    "a chat id's field that nobody has": Wrong(
        78, ("OZH_FIELD_CHAT_ID", "'tg_id'", "nobody was messaged", "Try: ozh-notify check"),
        {"OZH_FIELD_CHAT_ID": "tg_id"},
    ),
    "a field of another type": Wrong(
        78, ("OZH_FIELD_BALANCE", "'first_name' holds string", "number is expected"),
        {"OZH_FIELD_BALANCE": "first_name"},
    ),
    "a state field that is a path": setting("OZH_STATE_FIELD", "a.b", "top-level field"),
    "a collection that is not there": Wrong(
        78, ("there is no", "OZH_USERS_COLLECTION=users ?"),
        {"OZH_USERS_COLLECTION": "user"}, line="check",
    ),
    # --- messages ---
    "a folder of templates that is not there": setting(
        "OZH_TEMPLATES_DIR", "/no/such", "is not a folder"
    ),
    "a template that does not parse": Wrong(
        78, ("{folder}/discount.html:2: ",), **template("Hi\n{% if %}")
    ),
    "a variable a template does not have": Wrong(
        78, ("{folder}/discount.html:1: 'nmae' is not a variable", "first_name"),
        **template("Hi {{ nmae }}"),
    ),
    "a tag Telegram does not know": Wrong(
        78, ("{folder}/discount.html:2: Telegram would refuse it", 'start tag "p"'),
        **template("Hi\n<p>you"),
    ),
    "a template with nothing in it": Wrong(
        78, ("{folder}/discount.html:1: the message would be empty",), **template(" \n")
    ),
    "a button without a text": Wrong(
        78, ("OZH_DISCOUNT_BUTTON_TEXT: missing", "both"), {"OZH_DISCOUNT_BUTTON": "buy"}
    ),
    "callback data of 65 bytes": setting(
        "OZH_DISCOUNT_BUTTON", "ж" * 32 + "x", "64 bytes", OZH_DISCOUNT_BUTTON_TEXT="Да"
    ),
    # --- what a pass does not depend on: said, and gone on ---
    "a variable that is none": Wrong(
        0, ("OZH_RATE_LIMT: not a known variable; did you mean OZH_RATE_LIMIT?",),
        {"OZH_RATE_LIMT": "5"},
    ),
    "a folder for metrics that is not there": Wrong(
        0, ("OZH_METRICS_FILE", "No such file"), {"OZH_METRICS_FILE": "/no/such/{campaign}.prom"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_setting_gives_one_clear_message(
    kind: str, ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """It names the variable, says what is expected, and messages nobody; no secret stands in it.

    The fixture looks through every output for the token, the password and the API key.
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
    if wrong.line == "check":
        told = [row for row in result.out.splitlines() if "problem " in row]
    else:
        told = [row for row in result.err.splitlines() if not INFO.match(row) and row.strip()]
    text = "\n".join(told)
    for words in wrong.words:
        assert words.replace("{folder}", str(tmp_path)) in text
    assert "Traceback" not in text
    assert len(told) <= 4, text
    assert text.count("  - ") <= 1, text
    assert len(bot_api.control.messages()) == (0 if wrong.code else 1)
    assert users.count_documents({"ozh_notify": {"$exists": True}}) == (0 if wrong.code else 1)


def test_the_list_is_of_many_kinds() -> None:
    """At least twenty, and no two of them the same."""
    assert len({repr(wrong) for wrong in KINDS.values()}) == len(KINDS) >= 20
