"""The pure parts of ``ozh-notify check``: rights, fields, hints, and what settings leave unsaid."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
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
    installation,
    monitoring,
    offer,
    privileges,
    verdict,
)
from ozh_notify.operator.check import (
    settings as settings_checks,
)
from ozh_notify.operator.check.result import (
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
    [line] = [line for line in lines if line.subject == name]
    return line


def shown(line: CheckResult) -> tuple[str, str]:
    """Verdict and words of a line."""
    return line.verdict.value, f"{line.finding} → {line.remedy}"


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
JOURNAL: Document = {"db": "bot", "collection": "journal"}
WHOLE: Document = {"db": "bot", "collection": ""}
KEEPS = (JOURNAL, ["find", "insert", "update"])


def signed_in(*privileges: tuple[Document, list[str]]) -> Document:
    """``authInfo`` as MongoDB's manual shows it for ``connectionStatus``."""
    return {
        "authenticatedUsers": [{"user": "ozh", "db": "bot"}],
        "authenticatedUserPrivileges": [{"resource": r, "actions": a} for r, a in privileges],
    }


@pytest.mark.parametrize(
    ("who", "expected", "words"),
    [
        (signed_in((PLACE, ["find", "update", "listIndexes"]), KEEPS), "ok", "nothing that does"),
        (signed_in((WHOLE, ["find"]), (PLACE, ["update"]), KEEPS), "ok", "ozh@bot may find and"),
        (
            signed_in((PLACE, ["find", "update"])),
            "problem",
            "find or insert or update in bot.",
        ),
        (signed_in((WHOLE, ["find", "update"])), "problem", "may not insert in bot.journal"),
        (signed_in((WHOLE, ["find"])), "problem", "update in bot.users, nor insert or update in"),
        (signed_in(({"db": "other", "collection": ""}, ["find"])), "problem", "not find or update"),
        (signed_in(({"cluster": True}, ["update"])), "problem", "may not find or update"),
        (
            signed_in((WHOLE, ["find", "update", "insert", "remove"])),
            *("warning", "has more rights than needed in bot.users: insert, remove"),
        ),
        (
            signed_in(({"anyResource": True}, ["find", "insert", "update", "dropDatabase"])),
            *("warning", "insert, dropDatabase"),
        ),
        (signed_in(), "ok", "ozh@bot; its rights cannot be seen from here"),
        ({}, "ok", "cannot be seen from here"),
    ],
)
def test_an_account_is_judged_by_what_it_may_do(who: Document, expected: str, words: str) -> None:
    """Too little is a problem, more than is needed a warning, what cannot be seen neither."""
    [line] = privileges.privileges_results(who, "bot", "users", "journal", signed_in=True)
    assert line.verdict.value == expected
    assert words in line.finding


def test_without_the_journal_no_rights_on_it_are_needed() -> None:
    """`OZH_JOURNAL_COLLECTION=off` works with the account of before."""
    who = signed_in((PLACE, ["find", "update"]))
    [line] = privileges.privileges_results(who, "bot", "users", None, signed_in=True)
    assert line.verdict.value == "ok"


def test_only_a_server_without_users_is_said_to_ask_for_no_password() -> None:
    """Some servers tell nothing about an account that has just signed in."""
    [line] = privileges.privileges_results({}, "bot", "users", "journal", signed_in=False)
    assert (line.verdict.value, "asks for no password" in line.finding) == ("warning", True)


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
    found = fields.field_results(sample, both, NOON)
    refused = any(field_mapping.check_mapping(sample, campaign, NOON).errors for campaign in both)
    warned = any(field_mapping.check_mapping(sample, campaign, NOON).warnings for campaign in both)
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
        ({"first_name": ...}, "first_name", "warning", "the messages use no names"),
        ({"balance": ...}, "balance", "warning", "name the right field in OZH_FIELD_BALANCE"),
        ({"discount_offered": ...}, "discount_offered", "problem", "set the variable if that is"),
        (
            {"registered_at": NOON + timedelta(hours=3)},
            *("registered_at", "warning", "120 of 120 dates in 'registered_at' are in the future"),
        ),
        (
            {"registered_at": NOON + timedelta(hours=3)},
            *("registered_at", "warning", "by up to 3.0 hours → MongoDB keeps dates in UTC"),
        ),
        ({"ozh_notify": "mine"}, "ozh_notify", "warning", "not an object in 120 users"),
        ({"ozh_notify": None}, "ozh_notify", "ok", "in 120 of 120 users: null"),
    ],
)
def test_a_field_in_doubt_comes_with_what_to_do(
    changed: Document, name: str, verdict_: str, words: str, file: Path
) -> None:
    """The likelier field where there is one, by its name and by what it holds."""
    line = about(fields.field_results(crowd(**changed), campaigns(file), NOON), f"field {name}")
    assert line.verdict.value == verdict_
    assert words in f"{line.finding} → {line.remedy}"


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
    line = about(fields.field_results(crowd(**changed), campaigns(file), NOON), f"field {missing}")
    assert line.remedy.startswith("name the right field")


def test_a_field_that_another_variable_has_taken_is_no_hint(file: Path) -> None:
    """It is in its right place already."""
    sample = crowd(registered_at=..., created_at=NOON)
    line = about(fields.field_results(sample, campaigns(file), NOON), "field registered_at")
    assert "OZH_FIELD_REGISTERED_AT=created_at ?" in line.remedy
    taken = campaigns(file, OZH_FIELD_FIRST_GENERATION_AT="created_at")
    line = about(fields.field_results(sample, taken, NOON), "field registered_at")
    assert "created_at" not in line.remedy


def test_a_few_odd_values_are_a_warning_that_counts_them(file: Path) -> None:
    """Types with how often each; nulls are no values of a date."""
    sample = [*crowd(90), *crowd(20, registered_at=None), *crowd(10, registered_at="1.1.2026")]
    line = about(fields.field_results(sample, campaigns(file), NOON), "field registered_at")
    assert shown(line) == (
        "warning",
        "in 120 of 120 users: date (90), null (20), string (10) → "
        "no campaign messages the 10 users where it is not a date",
    )
    chats = about(fields.field_results(crowd(9) + crowd(1, telegram_id=-5), campaigns(file), NOON),
                  "field telegram_id")  # fmt: skip
    assert shown(chats)[0] == "ok", "a group's chat or two is nothing to act on"
    assert "1 user has no usable chat id" in chats.finding
    many = about(fields.field_results(crowd(80) + crowd(20, telegram_id=-5), campaigns(file), NOON),
                 "field telegram_id")  # fmt: skip
    assert shown(many)[0] == "warning"


def test_a_flag_that_was_named_may_be_in_nobody(file: Path) -> None:
    """Many backends add it only when it becomes true: no warning that never ends."""
    named = campaigns(file, OZH_FIELD_DISCOUNT_OFFERED="discount_offered")
    line = about(fields.field_results(crowd(discount_offered=...), named, NOON),
                 "field discount_offered")  # fmt: skip
    assert shown(line)[0] == "ok"
    assert "in none of 120 users" in line.finding


@pytest.mark.parametrize(
    ("variable", "changed", "verdict_", "words"),
    [
        ("OZH_FIELD_USERNAME", {"username": "anna"}, "ok", "in 120 of 120 users: string"),
        ("OZH_FIELD_BLOCKED", {"is_blocked": False}, "warning", "'is_blocked' looks like true or"),
        ("OZH_FIELD_BLOCKED_AT", {"x": NOON}, "warning", "name the right field in OZH_FIELD_BL"),
        ("OZH_FIELD_REVENUE", {"paid_total": 1.5}, "warning", "OZH_FIELD_REVENUE=paid_total ?"),
    ],
)
def test_a_field_that_only_some_options_need_is_looked_at_where_it_is_named(
    variable: str, changed: Document, verdict_: str, words: str, file: Path
) -> None:
    """A mistyped one would silently have no effect."""
    mapped = {"OZH_FIELD_BLOCKED": "blokced", "OZH_FIELD_USERNAME": "username", variable: "nowhere"}
    if verdict_ == "ok":
        mapped[variable] = next(iter(changed))
    lines = fields.field_results(crowd(**changed), campaigns(file, **mapped), NOON)
    line = about(lines, f"field {mapped[variable]}")
    assert line.verdict.value == verdict_
    assert words in f"{line.finding} → {line.remedy}"


# --- what the settings say ---


def told(file: Path, at: datetime = NOON, **variables: str) -> list[CheckResult]:
    """Lines about the settings alone."""
    both = campaigns(file, **variables)
    s = both[0].settings
    return [
        *settings_checks.settings_results(s, both, at, never),
        *monitoring.monitoring_results(s, both, never),
    ]


def never(*_: str) -> bool:
    """No variable has a problem."""
    return False


@pytest.mark.parametrize(
    ("variables", "name", "expected", "words"),
    [
        ({}, "gap between messages", "ok", "may message one user in the same minute"),
        ({"OZH_MIN_GAP_HOURS": "4"}, "gap between messages", "ok", "within 4 hours"),
        ({}, "journal", "ok", "in ozh_notify_journal, kept for 400 days"),
        ({"OZH_JOURNAL_COLLECTION": "off"}, "journal", "ok", "off: a backend that saves"),
        (
            {
                **{"OZH_DISCOUNT_HOLDOUT": "10", "OZH_DISCOUNT_EXPERIMENT": "winter"},
                "OZH_DISCOUNT_EXPERIMENT_UNTIL": "2026-11-24",
            },
            *("experiment of discount", "ok", "winter holds out 10 % until the end of 2026-11-24"),
        ),
        (
            {
                **{"OZH_DAILY_BONUS_HOLDOUT": "10", "OZH_DAILY_BONUS_EXPERIMENT": "winter"},
                "OZH_DAILY_BONUS_EXPERIMENT_UNTIL": "2026-11-23",
            },
            *("experiment of daily-bonus", "warning", "unset OZH_DAILY_BONUS_HOLDOUT"),
        ),
        ({}, "quiet hours", "warning", "can arrive at 3 a.m."),
        ({"OZH_QUIET_HOURS": "22:00-09:00"}, "quiet hours", "ok", "from 22:00 to 09:00"),
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
            *("hours of daily-bonus", "problem", "there is no time of day"),
        ),
        ({"OZH_RATE_LIMIT": "31"}, "rate", "warning", "Telegram's limit is about 30 a second"),
        ({"OZH_RATE_LIMIT": "900", "OZH_PAID_BROADCAST": "1"}, "rate", "ok", "900 messages"),
        ({"OZH_SHARDS": "4"}, "rate", "ok", "20 messages a second, shared by 4 shards"),
        ({}, "recipient limit", "ok", "more than 5000"),
        ({"OZH_MAX_RECIPIENTS": "0"}, "recipient limit", "warning", "refuses every pass"),
        (
            {"OZH_METRICS_FILE": "/no/such/{campaign}.prom"},
            "OZH_METRICS_FILE",
            "warning",
            "/no/such is not",
        ),
        (
            {"OZH_METRICS_FILE": "/no/{campaign}/x"},
            "OZH_METRICS_FILE",
            "warning",
            "/no/daily_bonus",
        ),
        (
            {"OZH_METRICS_FILE": "./{campaign}{c}.prom"},
            "OZH_METRICS_FILE",
            "warning",
            "only {campaign}",
        ),
        ({"OZH_METRICS_FILE": "./{campaign}.txt"}, "OZH_METRICS_FILE", "warning", "end with .prom"),
        ({}, "monitoring", "warning", "not configured"),
        (
            {"OZH_PING_URL": "https://hc-ping.com/key", "OZH_ADMIN_CHAT_ID": "7"},
            *("monitoring", "ok", "OZH_PING_URL, OZH_ADMIN_CHAT_ID; try them"),
        ),
    ],
)
def test_what_the_settings_say_is_said_in_words(
    variables: dict[str, Any], name: str, expected: str, words: str, file: Path
) -> None:
    """And what they leave unsaid, where it matters."""
    line = about(told(file, **variables), name)
    assert line.verdict.value == expected
    assert words in f"{line.finding} → {line.remedy}"


@pytest.mark.parametrize(
    ("variables", "words", "expected", "found"),
    [
        ({}, {"pack", "price", "old_price"}, "warning", "_PACK, OZH_DISCOUNT_PRICE, OZH_DISCOUNT"),
        ({"OZH_DISCOUNT_PACK": "10"}, {"pack", "price"}, "warning", "OZH_DISCOUNT_PRICE: not set"),
        ({"OZH_DISCOUNT_PACK": "10"}, {"pack"}, "ok", "10"),
        ({}, set(), "ok", "the text in use names no price"),
        (
            {"OZH_DISCOUNT_PACK": "10 оживашек", "OZH_DISCOUNT_PRICE": "149 ₽"},
            *({"pack", "price"}, "ok", "10 оживашек, 149 ₽"),
        ),
    ],
)
def test_only_what_the_text_names_of_the_offer_is_asked_for(
    variables: dict[str, str], words: set[str], expected: str, found: str, file: Path
) -> None:
    """A text without prices needs none: no warning that never ends."""
    line = offer.offer_result(settings(file, **variables), words)
    assert line.verdict.value == expected
    assert found in line.finding


def test_a_folder_for_metrics_is_ok_and_nothing_is_written_there(
    file: Path, tmp_path: Path
) -> None:
    """A check writes nothing."""
    variables: dict[str, Any] = {
        "OZH_METRICS_FILE": f"{tmp_path}/{{campaign}}.prom",
        "OZH_QUIET_HOURS": "22:00-09:00",
    }
    assert {line.verdict.value for line in told(file, **variables)} == {"ok"}
    assert list(tmp_path.iterdir()) == [file]


def test_a_python_that_only_its_owner_may_run_is_a_warning(tmp_path: Path) -> None:
    """pyenv puts it into a home that cron's user may not enter."""
    open_folder, home = tmp_path / "opt", tmp_path / "home"
    for folder in (open_folder, home / "bin"):
        folder.mkdir(parents=True)
    python = home / "bin/python"
    python.touch(0o755)
    for part in (*tmp_path.parents[:-1], tmp_path):
        if not part.stat().st_mode & 0o001:
            part.chmod(part.stat().st_mode | 0o011)
    home.chmod(0o700)
    [line] = installation.closed_python(open_folder, python)
    assert (line.verdict.value, f"{home} is closed to other users" in line.finding) == (
        "warning",
        True,
    )
    assert f"/usr/bin/python3 -m venv --clear {open_folder}" in line.remedy
    assert installation.closed_python(home, python) == [], "both belong to one user, who runs it"
    home.chmod(0o755)
    assert installation.closed_python(open_folder, python) == []


def test_what_is_wrong_about_the_watchers_is_not_told_twice(file: Path) -> None:
    """Where a problem is listed, no line says that nobody watches."""
    both, wrong = campaigns(file), Problem("OZH_PING_URL", "expected an address")
    lines = monitoring.monitoring_results(both[0].settings, both, wrong.concerns)
    assert "monitoring" not in [line.subject for line in lines]


def test_now_is_an_argument(file: Path) -> None:
    """The same settings at night: nobody is messaged, which is as it should be."""
    line = about(told(file, now().replace(hour=3)), "hours of daily-bonus")
    assert line.verdict.value == "ok"
    assert "before 11:00" in line.finding


def test_old_servers_are_a_warning() -> None:
    """Claims need `$isNumber`, of MongoDB 4.4."""
    from ozh_notify.mongo.operator_queries import Server
    from ozh_notify.operator.check.database import _server

    assert shown(_server(Server("4.2.24", None, False)))[0] == "warning"
    assert shown(_server(Server("4.4.0", None, False)))[1].startswith("4.4.0, not a replica set")
    assert shown(_server(Server("10.0", None, True)))[1].startswith("10.0, a sharded cluster")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, []), (0, ["ok"]), (59, ["ok"]), (-90, ["warning"]), (300, ["problem"])],
)
def test_a_clock_that_differs_from_the_servers_is_told(
    seconds: int | None, expected: list[str]
) -> None:
    """A pass would be refused, too: it tells by the clock which claims are over."""
    from ozh_notify.operator.check.database import _clock

    ahead = None if seconds is None else timedelta(seconds=seconds)
    assert [line.verdict.value for line in _clock(ahead)] == expected
