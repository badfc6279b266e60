"""``ozh-notify check``: one table of everything a pass relies on, by the installed command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pymongo
import pytest

from ozh_notify import __version__
from ozh_notify.campaigns import registry
from ozh_notify.config import load as load_module
from ozh_notify.operator.check import check, exit_code
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.cli.test_cli import on_a_terminal
from tests.conftest import PASSWORD, Finished, Ozh
from tests.helpers import watching
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    now,
    user,
)

NOWHERE = "mongodb://127.0.0.1:1/db"
NOBODY = "http://127.0.0.1:1"
OFFER: dict[str, Any] = {
    "OZH_DISCOUNT_PACK": "10 оживашек",
    "OZH_DISCOUNT_PRICE": "149 ₽",
    "OZH_DISCOUNT_OLD_PRICE": "249 ₽",
}


def crowd(count: int = 120, **fields: Any) -> list[dict[str, Any]]:
    """Enough users for a verdict that would stop a pass."""
    makers = (user, discount_user, bonus_user)
    return [makers[n % 3](**fields) for n in range(count)]


def renamed(documents: list[dict[str, Any]], **names: str | None) -> list[dict[str, Any]]:
    """The same users with other field names, or without a field."""
    kept = [{names.get(k, k): v for k, v in document.items()} for document in documents]
    return [{k: v for k, v in document.items() if k} for document in kept]


def line(result: Finished, about: str) -> dict[str, str]:
    """The one line about something."""
    [found] = [one for one in result.json()["results"] if one["subject"] == about]
    return dict(found)


def lines(result: Finished, verdict: str) -> dict[str, str]:
    """What all lines of a verdict say, by what they are about."""
    shown = [one for one in result.json()["results"] if one["verdict"] == verdict]
    return {one["subject"]: f"{one['finding']} → {one['remedy']}" for one in shown}


async def looked(ozh: Ozh, /, **extra: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The check without a process of its own: exit code, and verdict and words by line."""
    merged = {**ozh.environment, **extra}
    settings, problems, warnings = load_module.examine(None, merged, needs_token=True)
    campaigns = [kind(settings) for kind in registry().values()]
    found = await check(settings, campaigns, now(), problems=problems, warnings=warnings)
    ozh.outputs.append(repr(found))
    shown = {one.subject: (one.verdict.value, f"{one.finding} → {one.remedy}") for one in found}
    return exit_code(found), shown


# --- all is well ---


def test_where_all_is_well_every_line_is_ok_but_what_a_test_server_lacks(
    ozh: Ozh, users: Users
) -> None:
    """Settings, server, collection, each field, indexes, bot, texts, hours, rate and limit."""
    users.insert_many(crowd())
    assert ozh("indexes", "--create", "--json").code == 0
    result = ozh("check", "--json", **OFFER, OZH_RATE_LIMIT="20", OZH_QUIET_HOURS="22:00-09:00")
    assert result.code == 0, result.out
    shown = result.json()
    assert (shown["version"], shown["exit_code"]) == (__version__, 0)
    assert shown["verdict"] == "warning"
    warned = [name for name in lines(result, "warning") if name != "Python"]  # this machine's
    assert warned == ["account", "monitoring"]
    assert "asks for no password" in line(result, "account")["finding"]
    assert [one["subject"] for one in shown["results"] if one["subject"] != "Python"] == [
        *("settings", "MongoDB", "clock", "account", "collection"),
        *("field telegram_id", "field generations_count", "field balance"),
        *("field first_generation_at", "field discount_offered", "field registered_at"),
        *("field daily_bonus_claimed_today", "field first_name", "field language_code"),
        *("field ozh_notify", "chat ids", "indexes", "bot"),
        *("template discount", "offer", "template daily_bonus", "time zone"),
        *("hours of discount", "hours of daily-bonus", "quiet hours", "rate"),
        *("recipient limit", "gap between messages", "journal", "monitoring"),
    ]
    assert line(result, "field registered_at")["finding"] == "in 120 of 120 users: date"
    assert line(result, "bot")["finding"].startswith("@ozhivlyator_demo_bot at http://127.0.0.1")
    assert "Анна, ваша картинка ожила" in line(result, "template discount")["finding"]
    assert "UTC, where it is 20" in line(result, "time zone")["finding"]
    assert line(result, "MongoDB")["verdict"] == "ok"


def test_the_table_says_the_same_to_people_and_fits_a_terminal(ozh: Ozh, users: Users) -> None:
    """What to do stands beside what was found; a narrow terminal folds, and loses nothing."""
    users.insert_many(crowd(5))
    table = ozh("check").out
    assert "is everything ready?" in table
    words = " ".join(table.replace("│", " ").split())
    assert "missing: ozh_discount, " in words
    assert "→ ozh-notify indexes --create" in words
    assert table.rstrip().splitlines()[-1].startswith("ready: ")
    code, narrow = on_a_terminal(ozh, "check", COLUMNS="80", NO_COLOR="1")
    assert code == 0
    assert "daily_bonus_claimed_today" in narrow
    assert max(len(row) for row in narrow.splitlines() if row.startswith("│")) <= 80


def test_help_tells_the_exit_codes_and_loads_no_driver(ozh: Ozh) -> None:
    """Which of two wins is said where one looks for it."""
    text = " ".join(ozh("check", "--help", COLUMNS="120").out.split())
    for words in ("Exit 0", "78:", "69:", "--json", "writes nothing"):
        assert words in text
    code = (
        "import sys; from ozh_notify.cli import run; run(['check', '--help']); "
        "sys.exit(any(m in sys.modules for m in ('motor', 'telegram', 'jinja2')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0


# --- settings ---


def test_wrong_settings_are_lines_and_the_rest_is_looked_at_all_the_same(
    ozh: Ozh, users: Users
) -> None:
    """All problems and unknown variables at once; and nothing is said from a wrong value."""
    users.insert_many(crowd(5))
    wrong: dict[str, Any] = {"OZH_RATE_LIMIT": "fast", "OZH_RATE_LIMT": "5"}
    result = ozh("check", "--json", **wrong, TELEGRAM_BOT_TOKEN=None)
    assert result.code == 78
    about = [one for one in result.json()["results"] if one["subject"] == "settings"]
    assert [(one["verdict"], one["finding"], one["remedy"]) for one in about] == [
        (
            *("problem", "TELEGRAM_BOT_TOKEN: missing"),
            "set it to the bot's token, from @BotFather, or name in TELEGRAM_BOT_TOKEN_FILE "
            "a file that holds it",
        ),
        ("problem", "OZH_RATE_LIMIT: expected a number", ""),
        (
            *("warning", "OZH_RATE_LIMT: not a known variable"),
            "did you mean OZH_RATE_LIMIT?",
        ),
        (
            *("warning", f"there is no .env in {ozh.folder}"),
            "run ozh-notify in the folder that has one, or name it with --env-file",
        ),
    ]
    assert line(result, "bot")["finding"] == "skipped"
    assert line(result, "MongoDB")["verdict"] == "ok"
    assert line(result, "field balance")["verdict"] == "ok"
    assert "rate" not in [one["subject"] for one in result.json()["results"]]


@pytest.mark.parametrize(
    ("extra", "skipped", "looked_at"),
    [
        ({"MONGO_URI": f"mysql://u:{PASSWORD}@h/db"}, ["MongoDB"], "bot"),
        ({"OZH_FIELD_BALANCE": "a..b", "OZH_TIMEZONE": "Mars"}, ["MongoDB"], "bot"),
        ({"TELEGRAM_BOT_TOKEN": f"bot {PASSWORD}"}, ["bot"], "MongoDB"),
        ({"OZH_TEMPLATES_DIR": "/no/such"}, ["templates"], "MongoDB"),
        ({"MONGO_URI_FILE": "/no/such"}, ["MongoDB"], "bot"),
    ],
)
async def test_what_a_wrong_setting_touches_is_not_looked_at(
    extra: dict[str, str], skipped: list[str], looked_at: str, ozh: Ozh
) -> None:
    """A default in its place would tell of a database or a bot that nobody meant."""
    code, lines = await looked(ozh, **extra)
    assert code == 78
    assert [about for about, (_, words) in lines.items() if "skipped" in words] == skipped
    assert lines[looked_at][0] in ("ok", "problem")
    assert ("time zone" in lines) is ("OZH_TIMEZONE" not in extra)


# --- servers ---


@pytest.mark.long
def test_an_outage_is_69_and_a_wrong_configuration_wins_over_it(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """An outage may pass by itself; and each leaves the other's lines."""
    users.insert_many(crowd(3))
    no_mongo = ozh("check", "--json", MONGO_URI=NOWHERE)
    assert no_mongo.code == 69
    assert "cannot be reached" in lines(no_mongo, "problem")["MongoDB"]
    assert line(no_mongo, "bot")["verdict"] == "ok"
    no_telegram = ozh("check", "--json", OZH_TELEGRAM_API_URL=NOBODY)
    assert no_telegram.code == 69
    assert "Telegram cannot be reached" in lines(no_telegram, "problem")["bot"]
    assert line(no_telegram, "field balance")["verdict"] == "ok"
    both = ozh("check", "--json", OZH_TELEGRAM_API_URL=NOBODY, OZH_SHARDS="0")
    assert (both.code, both.json()["exit_code"]) == (78, 78)
    assert {"settings", "bot"} <= lines(both, "problem").keys()
    bot_api.control.rules([{"do": "flood", "retry_after": 3, "method": "getMe"}])
    asked_to_wait = ozh("check", "--json")
    assert asked_to_wait.code == 0
    assert "try again later" in lines(asked_to_wait, "warning")["bot"]


def test_a_rejected_token_is_a_problem_of_the_configuration(ozh: Ozh) -> None:
    """With the variable's name, and without the token."""
    result = ozh("check", "--json", TELEGRAM_BOT_TOKEN="123456:" + "x" * 35)
    assert result.code == 78
    assert "TELEGRAM_BOT_TOKEN: Telegram rejects this token" in lines(result, "problem")["bot"]


# --- users ---


async def test_a_collection_that_is_not_there_is_a_problem_with_the_nearest_name(
    ozh: Ozh, users: Users
) -> None:
    """An empty one may be a new project's: a warning, as for a pass."""
    users.insert_one(user())
    users.database.orders.insert_one({})
    for extra, words in (
        ({"OZH_USERS_COLLECTION": "user"}, "OZH_USERS_COLLECTION=users ?"),
        ({"OZH_USERS_COLLECTION": "people"}, "has orders, users"),
        ({"MONGO_DB_NAME": f"{users.database.name}_2"}, "is MONGO_DB_NAME right?"),
    ):
        code, lines = await looked(ozh, **extra)
        assert (code, lines["collection"][0]) == (78, "problem")
        assert words in lines["collection"][1]
    users.delete_many({})
    code, lines = await looked(ozh)
    assert (code, lines["collection"][0]) == (0, "warning")
    assert "is empty" in lines["collection"][1]


def test_a_missing_field_is_named_with_the_likelier_one(ozh: Ozh, users: Users) -> None:
    """ "`created_at` looks like a date; `registered_at` is missing", and the variable to set."""
    users.insert_many(renamed(crowd(), registered_at="created_at", telegram_id="tg_id"))
    result = ozh("check", "--json")
    assert result.code == 78
    date = line(result, "field registered_at")
    assert (date["verdict"], date["finding"]) == ("warning", "in none of 120 users")
    assert date["remedy"] == (
        "'created_at' looks like a date: OZH_FIELD_REGISTERED_AT=created_at ?"
    )
    assert lines(result, "problem").keys() == {"field telegram_id"}
    assert "OZH_FIELD_CHAT_ID=tg_id ?" in lines(result, "problem")["field telegram_id"]
    right: dict[str, Any] = {"OZH_FIELD_REGISTERED_AT": "created_at", "OZH_FIELD_CHAT_ID": "tg_id"}
    assert ozh("check", "--json", **right).code == 0


IMPLICIT: dict[str, str | None] = {
    "OZH_FIELD_DISCOUNT_OFFERED": None,
    "OZH_FIELD_DAILY_BONUS_CLAIMED": None,
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("documents", "extra", "refused"),
    [
        (crowd(120, balance="12"), {}, True),
        (renamed(crowd(), discount_offered=None), IMPLICIT, True),
        (renamed(crowd(), balance=None), {}, False),
    ],
    ids=["strings for numbers", "no flag", "no balance"],
)
def test_the_verdict_on_a_field_is_that_of_a_pass(
    documents: list[dict[str, Any]], extra: dict[str, Any], refused: bool, ozh: Ozh, users: Users
) -> None:
    """A problem is what a pass refuses with 78; what it only warns of is a warning here."""
    users.insert_many(documents)
    passed = ozh("discount", "--dry-run", "--json", **extra)
    assert passed.code == (78 if refused else 0), passed.out
    checked = ozh("check", "--json", **extra)
    assert checked.code == passed.code, checked.out
    fields = [n for n in lines(checked, "problem") if n.startswith("field ")]
    assert bool(fields) is refused
    if not refused and "balance" not in documents[0]:
        assert "field balance" in lines(checked, "warning")


async def test_chat_ids_in_two_documents_are_a_warning_unless_an_index_forbids_them(
    ozh: Ozh, users: Users
) -> None:
    """The number and its digits are one chat."""
    users.insert_many([user(telegram_id=77), user(telegram_id="77"), user(), user()])
    code, lines = await looked(ozh)
    verdict, words = lines["chat ids"]
    assert (code, verdict) == (0, "warning")
    assert "1 chat id appears in more than one document among the newest 4 users: 77" in words
    assert "a unique index on telegram_id" in words
    users.delete_one({"telegram_id": "77"})
    assert "each in one document" in (await looked(ozh))[1]["chat ids"][1]
    users.create_index("telegram_id", unique=True)
    assert "a unique index" in (await looked(ozh))[1]["chat ids"][1]


async def test_the_extra_filter_is_tried_on_the_sample(ozh: Ozh, users: Users) -> None:
    """The server's refusal and a mistyped field are problems; nobody left is worth a look."""
    users.insert_many(crowd(6, banned=False))
    for extra, verdict, words in (
        ('{"balance": {"$nonsense": 1}}', "problem", "MongoDB refused"),
        ('{"balance": 77}', "warning", "leaves 0 of 6 users"),
        (
            '{"baned": {"$ne": true}}',
            "problem",
            "the field 'baned' is in none of 6 users →",
        ),
        ('{"$or": [{"banned": false}, {"nickname": null}]}', "problem", "'nickname' is in none"),
        ('{"balance": 2}', "ok", "leaves 4 of 6 users"),
    ):
        code, lines = await looked(ozh, OZH_EXTRA_FILTER=extra)
        assert code == (78 if verdict == "problem" else 0)
        assert lines["OZH_EXTRA_FILTER"][0] == verdict
        assert words in lines["OZH_EXTRA_FILTER"][1]


def test_a_mistyped_field_of_the_extra_filter_is_a_warning_of_every_pass(
    ozh: Ozh, users: Users
) -> None:
    """It keeps nobody out: the banned would be messaged without a word."""
    users.insert_many(crowd(6, banned=False))
    typo = ozh("discount", "--dry-run", OZH_EXTRA_FILTER='{"baned": {"$ne": true}}')
    assert "OZH_EXTRA_FILTER: the field 'baned' is in none of 6 users" in typo.err
    right = ozh("discount", "--dry-run", OZH_EXTRA_FILTER='{"banned": {"$ne": true}}')
    assert "OZH_EXTRA_FILTER" not in right.err


def test_dates_in_the_future_and_texts_among_dates_are_warnings_of_a_dry_run(
    ozh: Ozh, users: Users
) -> None:
    """A backend that stores local time as UTC shifts every hour of every campaign."""
    late = {"first_generation_at": ago(hours=-3)}
    text = {"first_generation_at": "2026-11-24 11:05"}
    users.insert_many([*crowd(10, **late), *crowd(30), *crowd(80, **text)])
    told = ozh("discount", "--dry-run").err
    assert "10 of 40 dates in 'first_generation_at' are in the future, by up to 3.0 hours" in told
    assert "80 of 120 values in 'first_generation_at' have a wrong type: string (80)" in told
    assert "nobody is messaged where it is not a date" in told


def test_suggested_lines_can_be_added_to_the_env_file(ozh: Ozh, users: Users) -> None:
    """`ozh-notify check --suggest >> .env` is all that a new operator has to type."""
    users.insert_many(renamed(crowd(), registered_at="created_at", telegram_id="tg_id"))
    result = ozh("check", "--suggest")
    assert result.code == 78
    assert result.out.splitlines() == [
        'OZH_FIELD_CHAT_ID="tg_id"',
        'OZH_FIELD_REGISTERED_AT="created_at"',
    ]
    (ozh.folder / ".env").write_text(result.out)
    again = ozh("check", "--suggest")
    assert (again.code, again.out) == (0, "")


async def test_the_chat_of_the_digest_is_looked_up(ozh: Ozh, users: Users) -> None:
    """A digest that never arrives would be noticed when it is needed."""
    users.insert_many(crowd(3))
    code, lines = await looked(ozh, OZH_ADMIN_CHAT_ID="77")
    assert (code, lines["OZH_ADMIN_CHAT_ID"][0]) == (0, "ok")
    assert "User 77 (77)" in lines["OZH_ADMIN_CHAT_ID"][1]
    code, lines = await looked(ozh, OZH_ADMIN_CHAT_ID="-100")
    assert (code, lines["OZH_ADMIN_CHAT_ID"][0]) == (0, "warning")
    assert "no digest can reach it: Bad Request: chat not found" in lines["OZH_ADMIN_CHAT_ID"][1]


def test_a_test_report_really_goes_out(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """What nobody has tried will not work on the day it is needed."""
    users.insert_many(crowd(3))
    with watching.receiver() as switch:
        result = ozh(
            *("check", "--report", "--json"),
            OZH_PING_URL=f"{switch.url}/key/{{campaign}}",
            OZH_PUSHGATEWAY_URL=f"{switch.url}/push",
            OZH_ADMIN_CHAT_ID="77",
        )
    sent = [one for one in result.json()["results"] if one["subject"].startswith("test report")]
    assert [one["finding"] for one in sent] == ["it arrived"] * 4, sent
    assert switch.paths[:2] == ["/key/daily-bonus/log", "/key/discount/log"]
    assert switch.paths[2].startswith("/push/metrics/job/ozh-notify/")
    [message] = bot_api.control.messages()
    assert message.chat_id == 77
    for words in (users.database.name, "@ozhivlyator_demo_bot"):
        assert words in message.text


def test_a_test_report_that_does_not_arrive_is_a_warning(ozh: Ozh, users: Users) -> None:
    """A pass never depends on its reports; and check says that nothing is set to report to."""
    users.insert_many(crowd(3))
    result = ozh("check", "--report", "--json", OZH_PING_URL=f"{NOBODY}/p", OZH_ADMIN_CHAT_ID="-1")
    warned = lines(result, "warning")
    assert result.code == 0
    assert "it did not arrive: Connection refused" in warned["test report to OZH_PING_URL"]
    assert "chat not found" in warned["test report to OZH_ADMIN_CHAT_ID"]
    assert "nothing to send" in lines(ozh("check", "--report", "--json"), "warning")["test report"]


# --- messages ---


async def test_templates_are_rendered_for_the_users_of_each_language(
    ozh: Ozh, users: Users, tmp_path: Path
) -> None:
    """A line a template, with how many of the sample get it; a mistake with file and line."""
    languages = ["ru"] * 3 + ["en", "en-gb", "pt"]
    users.insert_many([user(language_code=code) for code in languages])
    (tmp_path / "discount.en.html").write_text("Hello {{ first_name or 'you' }}!")
    (tmp_path / "discount.de.html").write_text("Hallo {{ first_name or 'du' }}!")
    variables = {
        "OZH_TEMPLATES_DIR": str(tmp_path),
        "OZH_DISCOUNT_BUTTON_TEXT": "Buy",
        "OZH_DISCOUNT_BUTTON": "buy",
    }
    code, lines = await looked(ozh, **variables)
    assert code == 0
    assert "for 4 users of the sample" in lines["template discount"][1]
    english = "rendered for 2 users of the sample: Hello Анна! [ Buy ]"
    assert lines["template discount.en"][1].startswith(f"{tmp_path}/discount.en.html: {english}")
    assert "discount.de.html: Hallo Анна! [ Buy ]" in lines["template discount.de"][1]
    (tmp_path / "discount.en.html").write_text("Hello\n{{ frist_name }}!")
    code, lines = await looked(ozh, **variables)
    assert (code, lines["template discount"][0]) == (78, "problem")
    assert (
        f"{tmp_path}/discount.en.html:2: 'frist_name' is not a variable"
        in (lines["template discount"][1])
    )
    assert lines["template daily_bonus"][0] == "warning", "the folder has no text of its own"


async def test_a_template_that_fails_for_one_user_names_that_user(
    ozh: Ozh, users: Users, tmp_path: Path
) -> None:
    """The sample finds what made-up names do not."""
    odd = user(first_name="Zoë")
    users.insert_many([user(), odd])
    (tmp_path / "discount.html").write_text(
        "{% if first_name == 'Zoë' %}{{ 1 // 0 }}{% endif %}Hello"
    )
    code, lines = await looked(ozh, OZH_TEMPLATES_DIR=str(tmp_path))
    assert (code, lines["template discount"][0]) == (78, "problem")
    assert f"fails for the user {odd['_id']}" in lines["template discount"][1]


def test_indexes_are_a_warning_until_they_are_created(
    ozh: Ozh, users: Users, mongo_client: pymongo.MongoClient[dict[str, Any]]
) -> None:
    """With the command that creates them; the check itself creates none."""
    users.insert_many(crowd(3))
    told = lines(ozh("check", "--json"), "warning")["indexes"]
    assert "missing: ozh_discount, ozh_discount_claim, ozh_daily_bonus, " in told
    assert "ozh-notify indexes --create" in told
    assert list(users.index_information()) == ["_id_"]
