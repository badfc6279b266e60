"""The pure parts of ``ozh-notify check``: rights, fields, hints, and what settings leave unsaid."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.config.load import load
from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import Settings
from ozh_notify.errors import ConfigError, Incomplete, Unavailable
from ozh_notify.operator.check import (
    CheckResult,
    exit_code,
    fields,
    privileges,
    verdict,
)
from ozh_notify.operator.check import (
    settings as settings_checks,
)
from ozh_notify.operator.check.line import (
    failed,
    ok,
    problem,
    warning,
)
from ozh_notify.users import field_mapping
from tests.helpers.users import now, user

URI = "mongodb://127.0.0.1:1/bot"
NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
Document = dict[str, Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An empty ``.env``."""
    path = tmp_path / "empty.env"
    path.touch()
    return path


def settings(file: Path, **variables: str) -> Settings:
    """Settings under the given variables."""
    return load(file, {"MONGO_URI": URI, "OZH_TIMEZONE": "UTC", **variables})[0]


def campaigns(file: Path, **variables: str) -> list[Campaign]:
    """Both campaigns under the given variables."""
    return [kind(settings(file, **variables)) for kind in registry().values()]


def about(lines: list[CheckResult], name: str) -> CheckResult:
    """The one line about something."""
    [line] = [line for line in lines if line.about == name]
    return line


def shown(line: CheckResult) -> tuple[str, str]:
    """Verdict and words of a line."""
    return line.verdict.value, f"{line.found} → {line.do}"


# --- what all lines come to ---


@pytest.mark.parametrize(
    ("lines", "code", "worst"),
    [
        ([], 0, "ok"),
        ([ok("a", "")], 0, "ok"),
        ([warning("a", ""), ok("b", "")], 0, "warning"),
        ([failed("a", Unavailable("down")), warning("b", "")], 69, "problem"),
        ([failed("a", Unavailable("down")), problem("b", "")], 78, "problem"),
        ([failed("a", ConfigError("wrong"))], 78, "problem"),
        ([failed("a", Incomplete("wait"))], 0, "warning"),
    ],
)
def test_the_exit_code_is_that_of_what_does_not_pass_by_itself(
    lines: list[CheckResult], code: int, worst: str
) -> None:
    """78 before 69 before 0."""
    assert (exit_code(lines), verdict(lines).value) == (code, worst)


# --- what the account may do ---

PLACE: Document = {"db": "bot", "collection": "users"}
WHOLE: Document = {"db": "bot", "collection": ""}


def signed_in(*privileges: tuple[Document, list[str]], roles: tuple[str, ...] = ()) -> Document:
    """``authInfo`` as MongoDB's manual shows it for ``connectionStatus``."""
    return {
        "authenticatedUsers": [{"user": "ozh", "db": "bot"}],
        "authenticatedUserRoles": [{"role": role, "db": "bot"} for role in roles],
        "authenticatedUserPrivileges": [{"resource": r, "actions": a} for r, a in privileges],
    }


@pytest.mark.parametrize(
    ("who", "expected", "words"),
    [
        ({}, "warning", "asks for no password"),
        (signed_in((PLACE, ["find", "update", "listIndexes"])), "ok", "nothing that does harm"),
        (signed_in((WHOLE, ["find"]), (PLACE, ["update"])), "ok", "ozh@bot may find and update"),
        (signed_in(({"db": "", "collection": ""}, ["find", "update"])), "ok", "may find"),
        (signed_in((WHOLE, ["find"])), "problem", "may not update in bot.users"),
        (
            signed_in(({"db": "other", "collection": ""}, ["find", "update"])),
            *("problem", "may not find or update"),
        ),
        (signed_in(({"cluster": True}, ["update"])), "problem", "may not find or update"),
        (
            signed_in((WHOLE, ["find", "update", "insert", "remove"])),
            *("warning", "may more than is needed: insert, remove"),
        ),
        (signed_in(({"anyResource": True}, ["find", "update", "dropDatabase"])), "warning", "drop"),
        (signed_in(roles=("read",)), "problem", "may not update"),
        (signed_in(roles=("readWrite",)), "warning", "insert, remove, dropCollection"),
        (signed_in(roles=("read", "root")), "warning", "dropDatabase"),
        (signed_in(roles=("read", "own-role")), "ok", "cannot be seen"),
    ],
)
def test_an_account_is_judged_by_what_it_may_do_with_the_users(
    who: Document, expected: str, words: str
) -> None:
    """Too little is a problem, more than is needed a warning, what cannot be seen neither."""
    line = privileges.privileges_result(who, "bot", "users")
    assert line.verdict.value == expected
    assert words in line.found


def test_a_role_of_another_database_does_not_count() -> None:
    """But for those whose name says that they do."""
    who = signed_in()
    who["authenticatedUserRoles"] = [{"role": "readWrite", "db": "other"}]
    assert privileges.privileges_result(who, "bot", "users").verdict.value == "problem"
    who["authenticatedUserRoles"] = [{"role": "readWriteAnyDatabase", "db": "admin"}]
    assert privileges.privileges_result(who, "bot", "users").verdict.value == "warning"


# --- fields ---


def crowd(count: int = 120, **changed: Any) -> list[Document]:
    """Users with a field changed, or with none of it for the value ``...``."""
    one = {"_id": ObjectId(), **user(), **changed}
    return [{k: v for k, v in one.items() if v is not ...} for _ in range(count)]


@pytest.mark.parametrize("count", [5, 120])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"balance": "12"},
        {"balance": ...},
        {"discount_offered": ...},
        {"discount_offered": "no"},
        {"telegram_id": "@anna"},
        {"telegram_id": ...},
        {"registered_at": "2026-11-24"},
        {"registered_at": None},
    ],
    ids=str,
)
def test_a_field_is_a_problem_exactly_where_a_pass_would_refuse(
    changed: Document, count: int, file: Path
) -> None:
    """And a warning at least where a pass would warn."""
    sample, both = crowd(count, **changed), campaigns(file)
    found = fields.field_results(sample, both)
    refused = any(field_mapping.check_mapping(sample, campaign).errors for campaign in both)
    warned = any(field_mapping.check_mapping(sample, campaign).warnings for campaign in both)
    assert (verdict(found).value == "problem") is refused
    if warned and not refused:
        assert verdict(found).value == "warning"
    if not changed:
        assert verdict(found).value == "ok"


@pytest.mark.parametrize(
    ("changed", "name", "verdict_", "words"),
    [
        ({"balance": ..., "credits": 0}, "balance", "warning", "OZH_FIELD_BALANCE=credits ?"),
        (
            {"balance": "0", "wallet": {"coins": Decimal128("0")}},
            *("balance", "problem", "'wallet.coins' looks like a number: OZH_FIELD_BALANCE="),
        ),
        (
            {"generations_count": ..., "generationsCount": Int64(1)},
            *("generations_count", "warning", "OZH_FIELD_GENERATIONS=generationsCount ?"),
        ),
        (
            {"registered_at": "1.1.2026", "createdAt": NOON, "updated_at": NOON},
            *("registered_at", "problem", "'createdAt' looks like a date"),
        ),
        (
            {"first_generation_at": ..., "stats": {"first_generation": NOON}},
            *("first_generation_at", "warning", "=stats.first_generation ?"),
        ),
        (
            {"discount_offered": ..., "got_discount": False},
            *("discount_offered", "problem", "'got_discount' looks like true or false"),
        ),
        (
            {"daily_bonus_claimed_today": ..., "bonusClaimed": True},
            *("daily_bonus_claimed_today", "problem", "=bonusClaimed ?"),
        ),
        ({"telegram_id": ..., "chat_id": "77"}, "telegram_id", "problem", "=chat_id ?"),
        ({"telegram_id": ..., "_id": 77}, "telegram_id", "problem", "=_id ?"),
        ({"first_name": ..., "name": "Анна"}, "first_name", "warning", "=name ?"),
        ({"language_code": ..., "lang": "ru"}, "language_code", "warning", "=lang ?"),
        ({"language_code": ...}, "language_code", "ok", "all get the default text"),
        ({"first_name": ...}, "first_name", "warning", "no message names its reader"),
        ({"balance": ...}, "balance", "warning", "name the right field in OZH_FIELD_BALANCE"),
        ({"discount_offered": ...}, "discount_offered", "problem", "set the variable if that is"),
        ({"ozh_notify": "mine"}, "ozh_notify", "warning", "no object in 120 users"),
        ({"ozh_notify": None}, "ozh_notify", "ok", "in 120 of 120 users: null"),
    ],
)
def test_a_field_in_doubt_comes_with_what_to_do(
    changed: Document, name: str, verdict_: str, words: str, file: Path
) -> None:
    """The likelier field where there is one, by its name and by what it holds."""
    line = about(fields.field_results(crowd(**changed), campaigns(file)), f"field {name}")
    assert line.verdict.value == verdict_
    assert words in f"{line.found} → {line.do}"


@pytest.mark.parametrize(
    "changed",
    [
        {"balance": ..., "credits": "many"},
        {"balance": ..., "shoe_size": 43},
        {"balance": ..., "balance_history": [1, 2]},
        {"registered_at": ..., "created_at": "2026-11-24"},
    ],
    ids=str,
)
def test_no_field_is_named_that_only_sounds_or_only_looks_right(
    changed: Document, file: Path
) -> None:
    """A hint is worth something only if it is rarely wrong."""
    [missing] = [name for name, value in changed.items() if value is ...]
    line = about(fields.field_results(crowd(**changed), campaigns(file)), f"field {missing}")
    assert line.do.startswith("name the right field")


def test_a_field_that_another_variable_has_taken_is_no_hint(file: Path) -> None:
    """It is in its right place already."""
    sample = crowd(registered_at=..., created_at=NOON)
    line = about(fields.field_results(sample, campaigns(file)), "field registered_at")
    assert "OZH_FIELD_REGISTERED_AT=created_at ?" in line.do
    taken = campaigns(file, OZH_FIELD_FIRST_GENERATION_AT="created_at")
    line = about(fields.field_results(sample, taken), "field registered_at")
    assert "created_at" not in line.do


def test_a_few_odd_values_are_a_warning_that_counts_them(file: Path) -> None:
    """Types with how often each; nulls are no values of a date."""
    sample = [*crowd(90), *crowd(20, registered_at=None), *crowd(10, registered_at="1.1.2026")]
    line = about(fields.field_results(sample, campaigns(file)), "field registered_at")
    assert shown(line) == (
        "warning",
        "in 120 of 120 users: date (90), null (20), string (10) → "
        "no campaign messages the 10 users where it is not a date",
    )
    chats = about(fields.field_results(crowd(9) + crowd(1, telegram_id=-5), campaigns(file)),
                  "field telegram_id")  # fmt: skip
    assert "1 users have no usable chat id" in chats.found


# --- what the settings say ---


def told(file: Path, at: datetime = NOON, **variables: str) -> list[CheckResult]:
    """Lines about the settings alone."""
    both = campaigns(file, **variables)
    return list(settings_checks.settings_results(both[0].settings, both, at, ()))


@pytest.mark.parametrize(
    ("variables", "name", "expected", "words"),
    [
        ({}, "offer", "warning", "_PACK, OZH_DISCOUNT_PRICE, OZH_DISCOUNT_OLD_PRICE: unset"),
        ({"OZH_DISCOUNT_PACK": "10"}, "offer", "warning", "OZH_DISCOUNT_PRICE, OZH"),
        ({"OZH_TIMEZONE": "Asia/Tokyo"}, "time zone", "ok", "where it is 2026-11-24 21:00 now"),
        ({"OZH_TIMEZONE": ""}, "time zone", "warning", "this machine's own"),
        ({}, "hours of daily-bonus", "ok", "a pass may run now"),
        (
            {"OZH_DAILY_BONUS_NOT_BEFORE": "13:00"},
            *("hours of daily-bonus", "ok", "would message nobody: it is 12:00 in UTC, before"),
        ),
        ({"OZH_QUIET_HOURS": "11:00-13:00"}, "hours of discount", "ok", "in the quiet hours"),
        (
            {"OZH_QUIET_HOURS": "22:00-09:00", "OZH_DAILY_BONUS_NOT_BEFORE": "22:00"},
            *("hours of daily-bonus", "problem", "no time of day is left"),
        ),
        ({"OZH_RATE_LIMIT": "31"}, "rate", "warning", "Telegram's limit is about 30/s"),
        ({"OZH_RATE_LIMIT": "900", "OZH_PAID_BROADCAST": "1"}, "rate", "ok", "900 messages"),
        ({"OZH_SHARDS": "4"}, "rate", "ok", "20 messages a second, shared by 4 shards"),
        ({}, "fuse", "ok", "more than 5000"),
        ({"OZH_MAX_RECIPIENTS": "0"}, "fuse", "warning", "lets no pass message anybody"),
        ({"OZH_METRICS_FILE": "/no/such/x.prom"}, "OZH_METRICS_FILE", "warning", "/no/such is no"),
        (
            {"OZH_METRICS_FILE": "/no/{campaign}/x"},
            "OZH_METRICS_FILE",
            "warning",
            "/no/daily_bonus",
        ),
        ({"OZH_METRICS_FILE": "./{c}.prom"}, "OZH_METRICS_FILE", "warning", "only {campaign}"),
        ({"OZH_METRICS_FILE": "./x.txt"}, "OZH_METRICS_FILE", "warning", "end with .prom"),
        ({}, "watched", "warning", "by nobody"),
        (
            {"OZH_PING_URL": "https://hc-ping.com/key", "OZH_ADMIN_CHAT_ID": "7"},
            *("watched", "ok", "by OZH_PING_URL, OZH_ADMIN_CHAT_ID"),
        ),
    ],
)
def test_what_the_settings_say_is_said_in_words(
    variables: dict[str, Any], name: str, expected: str, words: str, file: Path
) -> None:
    """And what they leave unsaid, where it matters."""
    line = about(told(file, **variables), name)
    assert line.verdict.value == expected
    assert words in f"{line.found} → {line.do}"


def test_a_complete_offer_and_a_folder_for_metrics_are_ok(file: Path, tmp_path: Path) -> None:
    """The offer as it will stand in the message."""
    offer: dict[str, Any] = {"OZH_DISCOUNT_PACK": "10 оживашек", "OZH_DISCOUNT_PRICE": "149 ₽"}
    lines = told(
        file,
        **offer,
        OZH_DISCOUNT_OLD_PRICE="249 ₽",
        OZH_METRICS_FILE=f"{tmp_path}/{{campaign}}.prom",
    )
    assert shown(about(lines, "offer"))[1].startswith("10 оживашек, 149 ₽, 249 ₽")
    assert {line.verdict.value for line in lines} == {"ok"}
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_wrong_about_the_watchers_is_not_told_twice(file: Path) -> None:
    """Where a problem is listed, no line says that nobody watches."""
    both = campaigns(file)
    lines = settings_checks.settings_results(
        both[0].settings, both, NOON, [Problem("OZH_PING_URL", "expected an address")]
    )
    assert "watched" not in [line.about for line in lines]


def test_now_is_an_argument(file: Path) -> None:
    """The same settings at night: nobody is messaged, and that is no problem."""
    line = about(told(file, now().replace(hour=3)), "hours of daily-bonus")
    assert line.verdict.value == "ok"
    assert "before 11:00" in line.found


def test_old_servers_are_a_warning() -> None:
    """Claims need `$isNumber`, of MongoDB 4.4."""
    from ozh_notify.mongo.operator_queries import Server
    from ozh_notify.operator.check.database import _server

    assert shown(_server(Server("4.2.24", None, False)))[0] == "warning"
    assert shown(_server(Server("4.4.0", None, False)))[1].startswith("4.4.0, no replica set")
    assert shown(_server(Server("10.0", None, True)))[1].startswith("10.0, a sharded cluster")
