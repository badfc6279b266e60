"""Settings: what each variable may be, and what is said about it when it is not."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from ozh_notify.config.load import load
from ozh_notify.config.settings import Settings, database, variables
from ozh_notify.errors import ConfigError
from tests.conftest import API_KEY, PASSWORD, TOKEN

URI = f"mongodb://user:{PASSWORD}@127.0.0.1:27017/bot"
NEEDED = {"MONGO_URI": URI, "TELEGRAM_BOT_TOKEN": TOKEN}
PATH = "expected a field path"
NUMBER = "expected a number"
WHOLE = "expected a whole number"
HTTP = "expected an address that begins with http:// or https://"
ANYTHING = None, ""

# name: (attribute, default, a valid text, what it becomes, a wrong text, what is said about it)
KNOWN: dict[str, tuple[str, Any, str, Any, str | None, str]] = {
    "MONGO_URI": ("mongo_uri", ..., URI, URI, f"mysql://user:{PASSWORD}@h/bot", "mongodb://"),
    "MONGO_DB_NAME": ("mongo_db_name", None, "bot_2", "bot_2", "bot 2", "a database name"),
    "TELEGRAM_BOT_TOKEN": ("token", None, TOKEN, TOKEN, TOKEN.replace(":", ";"), "a bot token"),
    "LOGGING_ENABLED": ("logging_enabled", True, "FALSE", False, "maybe", "True or False"),
    "API_URL": ("api_url", None, "https://api.example", "https://api.example", *ANYTHING),
    "API_KEY": ("api_key", None, API_KEY, API_KEY, *ANYTHING),
    "OZH_USERS_COLLECTION": ("users_collection", "users", "people", "people", "$x", "collection"),
    "OZH_FIELD_CHAT_ID": ("field_chat_id", "telegram_id", "_id", "_id", "a..b", PATH),
    "OZH_FIELD_FIRST_NAME": ("field_first_name", "first_name", "a.b", "a.b", ".a", PATH),
    "OZH_FIELD_LANGUAGE": ("field_language", "language_code", "lang", "lang", "a.", PATH),
    "OZH_FIELD_USERNAME": ("field_username", None, "nick", "nick", "a..b", PATH),
    "OZH_FIELD_BLOCKED": ("field_blocked", None, "is_blocked", "is_blocked", "$b", PATH),
    "OZH_FIELD_BLOCKED_AT": ("field_blocked_at", None, "b.at", "b.at", "b..at", PATH),
    "OZH_FIELD_REVENUE": ("field_revenue", None, "paid.total", "paid.total", "paid.", PATH),
    "OZH_JOURNAL_COLLECTION": (
        *("journal_collection", "ozh_notify_journal", "Off", None, "$x", "a collection name"),
    ),
    "OZH_JOURNAL_DAYS": ("journal_days", 400, "30", 30, "1", "of at least 2"),
    "OZH_MIN_GAP_HOURS": ("min_gap_hours", None, "4", 4, "0", f"{NUMBER} above 0"),
    "OZH_DISCOUNT_HOLDOUT": ("discount_holdout", None, "10", 10, "91", "of at most 90"),
    "OZH_DISCOUNT_EXPERIMENT": (
        *("discount_experiment", None, "winter-1", "winter-1", "Winter", "out of a-z, 0-9 and -"),
    ),
    "OZH_DISCOUNT_EXPERIMENT_UNTIL": (
        *("discount_experiment_until", None, "2026-12-31", date(2026, 12, 31), "31.12.2026"),
        "a day such as",
    ),
    "OZH_DISCOUNT_GOAL_DAYS": ("discount_goal_days", 7, "14", 14, "0", "of at least 1"),
    "OZH_DAILY_BONUS_HOLDOUT": ("daily_bonus_holdout", None, "50", 50, "0", "of at least 1"),
    "OZH_DAILY_BONUS_EXPERIMENT": (
        *("daily_bonus_experiment", None, "a" * 40, "a" * 40, "a" * 41, "1 to 40 characters"),
    ),
    "OZH_DAILY_BONUS_EXPERIMENT_UNTIL": (
        *("daily_bonus_experiment_until", None, "2026-12-31", date(2026, 12, 31), "2026-02-30"),
        "a day such as",
    ),
    "OZH_DAILY_BONUS_GOAL_DAYS": ("daily_bonus_goal_days", 3, "1", 1, "1.5", WHOLE),
    "OZH_FIELD_REGISTERED_AT": ("field_registered_at", "registered_at", "r", "r", "$r", PATH),
    "OZH_FIELD_GENERATIONS": ("field_generations", "generations_count", "g", "g", "a.$b", PATH),
    "OZH_FIELD_FIRST_GENERATION_AT": (
        *("field_first_generation_at", "first_generation_at", "f", "f"),
        *("..", PATH),
    ),
    "OZH_FIELD_BALANCE": ("field_balance", "balance", "wallet.left", "wallet.left", "$", PATH),
    "OZH_FIELD_DISCOUNT_OFFERED": (
        *("field_discount_offered", "discount_offered", "offers.first", "offers.first"),
        *("offers..first", PATH),
    ),
    "OZH_FIELD_DAILY_BONUS_CLAIMED": (
        *("field_daily_bonus_claimed", "daily_bonus_claimed_today", "claimed", "claimed"),
        *("$claimed", PATH),
    ),
    "OZH_STATE_FIELD": ("state_field", "ozh_notify", "delivery", "delivery", "a.b", "top-level"),
    "OZH_EXTRA_FILTER": (
        *("extra_filter", None, '{"banned": {"$ne": true}}', {"banned": {"$ne": True}}),
        *("[1]", "a JSON object"),
    ),
    "OZH_TIMEZONE": (
        *("timezone", None, "Europe/Moscow", ZoneInfo("Europe/Moscow"), "Mars/Olympus"),
        "an IANA time zone",
    ),
    "OZH_DISCOUNT_DELAY_HOURS": ("discount_delay_hours", 24, "0.5", 0.5, "a day", NUMBER),
    "OZH_DISCOUNT_MAX_AGE_DAYS": ("discount_max_age_days", None, "90", 90, "0", f"{NUMBER} above"),
    "OZH_DAILY_BONUS_DAYS": ("daily_bonus_days", 3, "7", 7, "-1", f"{NUMBER} above 0"),
    "OZH_DAILY_BONUS_NOT_BEFORE": (
        *("daily_bonus_not_before", time(11), "9:30", time(9, 30), "24:00", "a time of day"),
    ),
    "OZH_QUIET_HOURS": (
        *("quiet_hours", None, "22:00-09:00", (time(22), time(9)), "22:00", "two different times"),
    ),
    "OZH_DISCOUNT_PACK": ("discount_pack", None, "10 оживашек", "10 оживашек", *ANYTHING),
    "OZH_DISCOUNT_PRICE": ("discount_price", None, "149 ₽", "149 ₽", *ANYTHING),
    "OZH_DISCOUNT_OLD_PRICE": ("discount_old_price", None, "249 ₽", "249 ₽", *ANYTHING),
    "OZH_DISCOUNT_BUTTON_TEXT": ("discount_button_text", None, "Взять", "Взять", *ANYTHING),
    "OZH_DISCOUNT_BUTTON": (
        *("discount_button", None, "https://t.me/x?start=1", "https://t.me/x?start=1"),
        *("ж" * 33, "callback data of 1 to 64 bytes"),
    ),
    "OZH_DAILY_BONUS_BUTTON_TEXT": ("daily_bonus_button_text", None, "Да", "Да", *ANYTHING),
    "OZH_DAILY_BONUS_BUTTON": (
        *("daily_bonus_button", None, "bonus:claim", "bonus:claim", "b" * 65, "callback data"),
    ),
    "OZH_TEMPLATES_DIR": (
        "templates_dir",
        None,
        "/",
        Path("/"),
        "/no/such",
        "is not a folder",
    ),
    "OZH_CAMPAIGNS_DIR": ("campaigns_dir", None, "/", Path("/"), "/no/such", "is not a folder"),
    "OZH_RATE_LIMIT": ("rate_limit", 20, "12.5", 12.5, "0", f"{NUMBER} above 0"),
    "OZH_PAID_BROADCAST": ("paid_broadcast", False, "yes", True, "2", "True or False"),
    "OZH_MAX_RECIPIENTS": ("max_recipients", 5000, "0", 0, "1.5", WHOLE),
    "OZH_FLOOD_BUDGET_SECONDS": ("flood_budget_seconds", 120, "0", 0, "-1", "of at least 0"),
    "OZH_TELEGRAM_API_URL": (
        *("telegram_api_url", "https://api.telegram.org", "http://h:1/x/", "http://h:1/x"),
        *("api.telegram.org", HTTP),
    ),
    "OZH_TELEGRAM_PROXY": (
        *("telegram_proxy", None, f"socks5://u:{PASSWORD}@h:1", f"socks5://u:{PASSWORD}@h:1"),
        *(f"ftp://u:{PASSWORD}@h", "socks5://"),
    ),
    "OZH_LOG_FORMAT": ("log_format", "auto", "json", "json", "xml", "'auto', 'text' or 'json'"),
    "OZH_SHARDS": ("shards", None, "4", 4, "0", f"{NUMBER} of at least 1"),
    "JOB_COMPLETION_INDEX": ("shard_index", None, "0", 0, "first", WHOLE),
    "OZH_METRICS_FILE": (
        "metrics_file",
        None,
        "/m/{campaign}.prom",
        "/m/{campaign}.prom",
        "/m/ozh.prom",
        "a path with {campaign} in it",
    ),
    "OZH_PUSHGATEWAY_URL": ("pushgateway_url", None, "http://p:9091", "http://p:9091", "p", HTTP),
    "OZH_PING_URL": ("ping_url", None, "https://hc.example/u", "https://hc.example/u", "u", HTTP),
    "OZH_ADMIN_CHAT_ID": ("admin_chat_id", None, "-100123", -100123, "@admin", "a Telegram chat"),
    "OZH_ADMIN_DIGEST": ("admin_digest", "trouble", "all", "all", "none", "'trouble' or 'all'"),
}


class Says(str):
    """A part of the message, where a text is refused."""

    __slots__ = ()


SRV = "mongodb+srv://u:p@h/bot"
SCHEME = Says("expected an address that begins with https://, http:// or tg://")
FILTER = Says('expected a MongoDB filter as JSON such as {"banned": {"$ne": true}}')
FURTHER: list[tuple[str, str, Any]] = [
    *(("LOGGING_ENABLED", word, False) for word in ("False", "false", "0", "no", "off")),
    *(("LOGGING_ENABLED", word, True) for word in ("True", "TRUE", "1", "yes", "on")),
    ("MONGO_URI", SRV, SRV),
    ("MONGO_URI", f"mongodb://777,{PASSWORD}/x@127.0.0.1:1/bot", Says("percent-encode")),
    ("MONGO_URI", f"mongodb://{PASSWORD}?x@127.0.0.1:1/bot", Says("? is %3F")),
    ("TELEGRAM_BOT_TOKEN", f"bot{TOKEN.replace(':', ' ')}", Says("digits, a colon, letters")),
    ("OZH_JOURNAL_COLLECTION", "journal", "journal"),
    ("OZH_EXTRA_FILTER", "{banned: true}", FILTER),
    ("OZH_EXTRA_FILTER", '{"at": {"$gt": {"$date": "2026-01-01T00:00:00Z"}}}', ...),
    ("OZH_EXTRA_FILTER", '{"$where": "true"}', Says("$where works in some queries only")),
    ("OZH_EXTRA_FILTER", '{"$or": [{"place": {"$near": [0, 0]}}]}', Says("$near works in some")),
    ("OZH_EXTRA_FILTER", '{"a": {"$not": {"$nearSphere": [0, 0]}}}', Says("$nearSphere works")),
    ("OZH_EXTRA_FILTER", '{"$text": {"$search": "x"}}', Says("$text works in some queries only")),
    ("OZH_EXTRA_FILTER", '{"name": "$where"}', {"name": "$where"}),
    ("OZH_TIMEZONE", "MSK-3", Says("an IANA time zone such as Europe/Moscow")),
    ("OZH_QUIET_HOURS", "22-9", Says("two times of day such as 22:00-09:00")),
    ("OZH_QUIET_HOURS", "9:00-9:00", Says("two different times of day")),
    ("OZH_DAILY_BONUS_NOT_BEFORE", "11.00", Says("a time of day such as 11:00")),
    ("OZH_RATE_LIMIT", "20/s", Says(NUMBER)),
    ("OZH_RATE_LIMIT", "nan", Says(NUMBER)),
    ("OZH_FIELD_BALANCE", "wallet..left", Says(PATH)),
    ("OZH_DISCOUNT_EXPERIMENT_UNTIL", "tomorrow", Says("a day such as 2026-12-31")),
    ("OZH_TELEGRAM_API_URL", "http://h:1/bot", "http://h:1"),
    ("OZH_TELEGRAM_API_URL", "http://h:1/bot/", "http://h:1"),
    ("OZH_TELEGRAM_API_URL", "http://h:1/robot", "http://h:1/robot"),
    ("OZH_TELEGRAM_API_URL", f"http://h:1/bot{TOKEN}", Says("without /bot and the token")),
    ("OZH_TELEGRAM_PROXY", "socks5h://h:1", "socks5h://h:1"),
    ("OZH_DISCOUNT_BUTTON", "discount:buy", "discount:buy"),
    ("OZH_DISCOUNT_BUTTON", "discount.buy", "discount.buy"),
    ("OZH_DISCOUNT_BUTTON", "HTTPS://Shop.example/X", "https://Shop.example/X"),
    ("OZH_DISCOUNT_BUTTON", "TG://resolve?domain=x", "tg://resolve?domain=x"),
    ("OZH_DISCOUNT_BUTTON", "t.me/ozh_bot?start=1", "https://t.me/ozh_bot?start=1"),
    ("OZH_DISCOUNT_BUTTON", "T.me/ozh_bot", "https://T.me/ozh_bot"),
    ("OZH_DISCOUNT_BUTTON", "telegram.me/ozh_bot", "https://telegram.me/ozh_bot"),
    ("OZH_DISCOUNT_BUTTON", "www.example.org", "https://www.example.org"),
    ("OZH_DISCOUNT_BUTTON", "//example.org/x", "https://example.org/x"),
    ("OZH_DISCOUNT_BUTTON", "shop.example/buy", "https://shop.example/buy"),
    ("OZH_DISCOUNT_BUTTON", "example.com", "https://example.com"),
    ("OZH_DISCOUNT_BUTTON", "@ozh_bot", "https://t.me/ozh_bot"),
    ("OZH_DISCOUNT_BUTTON", "ftp://example.com", SCHEME),
    ("OZH_DISCOUNT_BUTTON", "https://", SCHEME),
    ("OZH_DISCOUNT_BUTTON", "ж" * 32 + "x", Says("callback data of 1 to 64 bytes")),
]
"""Further texts of a variable, each with its value, or with what is said about it."""

WRONG = {name: wrong for name, (_, _, _, _, wrong, _) in KNOWN.items() if wrong}
BUTTONS = {"OZH_DISCOUNT_BUTTON", "OZH_DAILY_BONUS_BUTTON"}


@pytest.fixture
def no_file(tmp_path: Path) -> Path:
    """An empty ``.env``, so that none of this machine is read."""
    path = tmp_path / "empty.env"
    path.touch()
    return path


def problems(env_file: Path, environ: dict[str, str], **options: Any) -> str:
    """What `load` says is wrong."""
    with pytest.raises(ConfigError) as caught:
        load(env_file, environ, **options)
    return str(caught.value)


def plain(value: Any) -> Any:
    """A secret as what it holds."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def partner(name: str) -> dict[str, str]:
    """The variables without which a variable is a problem."""
    if "BUTTON" in name:
        return {f"{name.removesuffix('_TEXT')}_TEXT": "Да", name.removesuffix("_TEXT"): "x"}
    if name.endswith("_HOLDOUT"):
        experiment = name.replace("HOLDOUT", "EXPERIMENT")
        return {experiment: "winter-1", f"{experiment}_UNTIL": "2026-12-31"}
    return {"OZH_FIELD_BLOCKED": "is_blocked"} if name == "OZH_FIELD_BLOCKED_AT" else {}


def test_the_variables_are_those_of_the_contract() -> None:
    """Names are only ever added: an operator may rely on each."""
    assert sorted(variables()) == sorted(KNOWN)


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "MONGO_URI"])
def test_every_variable_has_its_documented_default(name: str, no_file: Path) -> None:
    """A `.env` of three lines is enough."""
    attribute, default, *_ = KNOWN[name]
    settings, warnings = load(no_file, {"MONGO_URI": URI})
    assert getattr(settings, attribute) == default
    assert not settings.set_explicitly(name)
    assert warnings == []


@pytest.mark.parametrize("name", KNOWN)
def test_every_variable_is_understood(name: str, no_file: Path) -> None:
    """What the documentation shows as a value is taken as one, quoted and between blanks too."""
    attribute, _, text, value, *_ = KNOWN[name]
    environ = {**NEEDED, **partner(name)}
    for written in (text, f"  {text} ", f'"{text}"', f" ' {text} ' "):
        settings, warnings = load(no_file, {**environ, name: written})
        assert plain(getattr(settings, attribute)) == value
        assert settings.set_explicitly(name)
        assert warnings == []


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named_with_what_is_expected_and_without_the_value(
    name: str, no_file: Path
) -> None:
    """The error says which variable to correct, and shows no secret."""
    *_, wrong, expected = KNOWN[name]
    environ = {**NEEDED, **partner(name), name: str(wrong)}
    text = problems(no_file, environ)
    assert re.search(rf"^  - {name}\b.*{re.escape(expected)}", text, re.MULTILINE), text
    assert text.count("  - ") == 1
    assert PASSWORD not in text
    assert TOKEN.partition(":")[2] not in text


@pytest.mark.parametrize(("name", "text", "expected"), FURTHER)
def test_a_text_is_understood_or_refused_with_a_reason(
    name: str, text: str, expected: Any, no_file: Path
) -> None:
    """What looks right to an operator is right, and what cannot work is told before a pass."""
    environ = {**NEEDED, **partner(name), name: text}
    if isinstance(expected, Says):
        told = problems(no_file, environ)
        assert re.search(rf"^  - {name}: .*{re.escape(expected)}", told, re.MULTILINE), told
        assert told.count("  - ") == 1
        assert PASSWORD not in told
        assert TOKEN.partition(":")[2] not in told
    else:
        value = plain(getattr(load(no_file, environ)[0], KNOWN[name][0]))
        assert expected is ... or value == expected


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("MSK-3", 3),
        ("UTC+3", -3),
        ("UTC0", 0),
        ("<+05>-5", 5),
        ("EST5EDT,M3.2.0,M11.1.0", -4),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 2),
        (" 'Europe/Moscow' ", 3),
        (":Asia/Tokyo", 9),
        (str(files("tzdata") / "zoneinfo" / "Asia" / "Tokyo"), 9),
    ],
)
def test_the_zone_of_the_machine_may_be_a_name_or_a_posix_rule(
    text: str, hours: int, no_file: Path
) -> None:
    """Every `TZ` that the system understands says when 11:00 is."""
    settings, _ = load(no_file, {**NEEDED, "TZ": text})
    summer = datetime(2026, 7, 1, tzinfo=timezone.utc)
    assert summer.astimezone(settings.zone).utcoffset() == timedelta(hours=hours)
    assert settings.zone_name


@pytest.mark.parametrize("text", ["Europe/Moskow", "MSK", "/no/such", "UTC+99:99", "CET-1CEST"])
def test_a_zone_of_the_machine_that_does_not_exist_is_a_problem(text: str, no_file: Path) -> None:
    """The system would take UTC without a word, and messages would go out at night."""
    told = problems(no_file, {**NEEDED, "TZ": text})
    assert f"- OZH_TIMEZONE: not set, and TZ is {text!r}, which is not a time zone; set" in told
    settings, _ = load(no_file, {**NEEDED, "TZ": text, "OZH_TIMEZONE": "Asia/Tokyo"})
    assert settings.zone_name == "Asia/Tokyo"


def test_all_problems_are_reported_at_once(no_file: Path, tmp_path: Path) -> None:
    """The operator corrects all of them in one go."""
    file = {"API_KEY_FILE": str(tmp_path / "missing")}
    texts = {f"{name}_TEXT": "Да" for name in BUTTONS}
    text = problems(no_file, {**WRONG, **texts, **file}, needs_token=True)
    named = re.findall(r"^  - ([A-Z_]+)", text, re.MULTILINE)
    assert sorted(named) == sorted([*WRONG, "API_KEY_FILE"])
    for secret in (PASSWORD, TOKEN.partition(":")[2]):
        assert secret not in text


def test_problems_of_several_variables_together_are_reported_with_the_others(
    no_file: Path,
) -> None:
    """Half a button and a shard too many do not wait until the rest is right."""
    environ = {
        "OZH_RATE_LIMIT": "fast",
        "OZH_DISCOUNT_BUTTON": "x",
        "OZH_DAILY_BONUS_BUTTON_TEXT": "x",
        "OZH_SHARDS": "2",
        "JOB_COMPLETION_INDEX": "2",
    }
    text = problems(no_file, environ, needs_token=True)
    assert "MONGO_URI: missing" in text
    assert "TELEGRAM_BOT_TOKEN: missing" in text
    assert "OZH_RATE_LIMIT: expected a number" in text
    assert "OZH_DISCOUNT_BUTTON_TEXT: missing" in text
    assert "OZH_DAILY_BONUS_BUTTON: missing" in text
    assert "JOB_COMPLETION_INDEX: expected a number below OZH_SHARDS" in text


@pytest.mark.parametrize("campaign", ["DISCOUNT", "DAILY_BONUS"])
def test_a_holdout_without_name_end_or_journal_is_a_problem(campaign: str, no_file: Path) -> None:
    """Nobody is held out of an experiment that cannot be read afterwards."""
    holdout = {**NEEDED, f"OZH_{campaign}_HOLDOUT": "10"}
    text = problems(no_file, {**holdout, "OZH_JOURNAL_COLLECTION": "off"})
    assert f"OZH_{campaign}_EXPERIMENT: missing" in text
    assert f"OZH_{campaign}_EXPERIMENT_UNTIL: missing" in text
    assert f"OZH_{campaign}_HOLDOUT: it needs the journal" in text
    named = {f"OZH_{campaign}_EXPERIMENT": "a", f"OZH_{campaign}_EXPERIMENT_UNTIL": "2026-12-31"}
    assert load(no_file, {**holdout, **named})[1] == []


def test_the_journal_is_not_the_users_collection_and_outlives_the_judgement(no_file: Path) -> None:
    """Entries among the users would be scanned as users; deleted ones cannot be judged."""
    journal = {**NEEDED, "OZH_JOURNAL_COLLECTION": "users"}
    assert "OZH_JOURNAL_COLLECTION: expected another name" in problems(no_file, journal)
    held = {"OZH_DAILY_BONUS_HOLDOUT": "9", **partner("OZH_DAILY_BONUS_HOLDOUT")}
    text = problems(no_file, {**NEEDED, **held, "OZH_JOURNAL_DAYS": "3"})
    assert "OZH_JOURNAL_DAYS: expected a number above OZH_DAILY_BONUS_GOAL_DAYS" in text


def test_the_date_of_a_block_needs_the_flag_of_the_block(no_file: Path) -> None:
    """A date alone does not say whether the user is blocked."""
    text = problems(no_file, {**NEEDED, "OZH_FIELD_BLOCKED_AT": "at"})
    assert "OZH_FIELD_BLOCKED: missing" in text


def test_a_mistyped_variable_is_named_beside_what_it_leaves_missing(no_file: Path) -> None:
    """It is most likely the reason."""
    environ = {**NEEDED, "OZH_DISCOUNT_BUTTON": "x", "OZH_DISCOUNT_BUTON_TEXT": "Да"}
    text = problems(no_file, environ)
    assert "OZH_DISCOUNT_BUTTON_TEXT: missing" in text
    assert "OZH_DISCOUNT_BUTON_TEXT: not a known variable; did you mean OZH_DISC" in text


@pytest.mark.parametrize("blank", ["", "  ", "''", ' " " '])
def test_an_empty_value_counts_as_unset(blank: str, no_file: Path) -> None:
    """A manifest may leave a variable empty."""
    settings, _ = load(no_file, {**NEEDED, "OZH_RATE_LIMIT": blank, "API_KEY": blank})
    assert settings.rate_limit == 20
    assert settings.api_key is None
    assert "MONGO_URI: missing" in problems(no_file, {"MONGO_URI": blank})


def test_only_one_pair_of_quotes_is_stripped(no_file: Path) -> None:
    """A quote that is part of the value stays."""
    environ = {"MONGO_URI": URI, "OZH_DISCOUNT_PACK": "'\"10\" оживашек'", "API_KEY": "it's"}
    settings, _ = load(no_file, environ)
    assert settings.discount_pack == '"10" оживашек'
    assert plain(settings.api_key) == "it's"


# --- what is close to a variable ---


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("OZH_RATE_LIMT", "OZH_RATE_LIMIT"),
        ("OZH_FIELD_CHATID", "OZH_FIELD_CHAT_ID"),
        ("OZH_TELEGRAM_PROXY_FIL", "OZH_TELEGRAM_PROXY_FILE"),
        ("OZH_TIME_ZONE", "OZH_TIMEZONE"),
    ],
)
def test_an_unknown_variable_is_a_warning_with_the_nearest_name(
    name: str, near: str, no_file: Path
) -> None:
    """A typo does not stay silent; and it may be another program's, so it is no error."""
    _, [warning] = load(no_file, {**NEEDED, name: "1"})
    assert str(warning) == f"{name}: not a known variable; did you mean {near}?"


def test_a_declared_variable_of_another_package_is_no_warning(no_file: Path) -> None:
    """Campaigns of other packages have variables of their own."""
    environ = {**NEEDED, "OZH_LOYALTY_DAYS": " '5' "}
    settings, warnings = load(no_file, environ, declared=("OZH_LOYALTY_DAYS",))
    assert warnings == []
    assert settings.others == {"OZH_LOYALTY_DAYS": "5"}
    assert settings.set_explicitly("OZH_LOYALTY_DAYS")


def test_a_further_campaign_has_the_variables_of_an_experiment(no_file: Path) -> None:
    """The same checks, the same words for a typo; no campaign, no such variable."""
    holdout = {
        **NEEDED,
        "OZH_WIN_BACK_HOLDOUT": "50",
        "OZH_WIN_BACK_EXPERIMENT": "a",
        "OZH_WIN_BACK_EXPERIMENT_UNTIL": "2026-12-31",
    }
    ever, day, week = {"win_back": "ever"}, {"win_back": "day"}, {"win_back": "7 days"}
    settings, warnings = load(no_file, holdout, periods=ever)
    assert warnings == []
    found: Any = settings  # its class is made for the campaigns
    assert found.win_back_holdout == 50
    assert found.win_back_experiment_until == date(2026, 12, 31)
    assert found.win_back_goal_days == 7
    assert settings.set_explicitly("OZH_WIN_BACK_HOLDOUT")
    assert not settings.others
    assert len(load(no_file, holdout)[1]) == 3
    _, [typo] = load(no_file, {**holdout, "OZH_WIN_BACK_GOALDAYS": "3"}, periods=ever)
    assert "did you mean OZH_WIN_BACK_GOAL_DAYS?" in str(typo)
    text = problems(no_file, {**NEEDED, "OZH_WIN_BACK_HOLDOUT": "91"}, periods=ever)
    assert "OZH_WIN_BACK_HOLDOUT: expected a number of at most 90" in text
    text = problems(no_file, {**NEEDED, "OZH_WIN_BACK_HOLDOUT": "9"}, periods=ever)
    assert "OZH_WIN_BACK_EXPERIMENT: missing" in text
    assert "OZH_WIN_BACK_EXPERIMENT_UNTIL: missing" in text
    for once, days in ((day, "3"), (week, "7")):
        text = problems(no_file, {**holdout, "OZH_JOURNAL_DAYS": days}, periods=once)
        assert "OZH_JOURNAL_DAYS: expected a number above OZH_WIN_BACK_GOAL_DAYS" in text


def test_settings_cannot_be_changed(no_file: Path) -> None:
    """What was checked is what is used."""
    settings, _ = load(no_file, dict(NEEDED))
    with pytest.raises(ValueError, match="frozen"):
        settings.rate_limit = 1000  # type: ignore[misc]


def test_the_representation_of_settings_holds_no_secret(no_file: Path) -> None:
    """A log line with the settings holds no secret."""
    proxy = {"API_KEY": API_KEY, "OZH_TELEGRAM_PROXY": f"http://u:{PASSWORD}@h:1"}
    settings, _ = load(no_file, {**NEEDED, **proxy})
    for secret in (PASSWORD, TOKEN.partition(":")[2], API_KEY):
        assert secret not in f"{settings!r} {settings}"
        assert secret in " ".join(settings.secrets)


# --- the database ---


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("mongodb://h/bot", "bot"),
        ("mongodb://h:1,i:2/bot?retryWrites=true", "bot"),
        ("mongodb+srv://u:p@h/bot", "bot"),
        ("mongodb://u:p%2Fw%40@h/bot%2Dtwo", "bot-two"),
    ],
)
def test_the_database_may_be_named_in_the_uri(uri: str, name: str, no_file: Path) -> None:
    """`MONGO_DB_NAME` may be left out; where it is set, it wins."""
    assert database(load(no_file, {"MONGO_URI": uri})[0]) == name
    both = {"MONGO_URI": uri, "MONGO_DB_NAME": "other"}
    assert database(load(no_file, both)[0]) == "other"


@pytest.mark.parametrize("uri", ["mongodb://h", "mongodb://h/", "mongodb://u:p%2F@h/?w=1"])
def test_a_database_must_be_named_somewhere(uri: str, no_file: Path) -> None:
    """Nothing is ever read from a database that nobody named."""
    assert "MONGO_DB_NAME: missing" in problems(no_file, {"MONGO_URI": uri})


def test_a_database_name_in_the_uri_is_checked(no_file: Path) -> None:
    """A name MongoDB cannot have is a problem of the settings, not a bug."""
    text = problems(no_file, {"MONGO_URI": "mongodb://h/my.bot"})
    assert "MONGO_URI: expected a database name" in text


def test_settings_are_built_by_load_alone() -> None:
    """The class reads no environment by itself."""
    with pytest.raises(ValueError, match="MONGO_URI"):
        Settings()  # type: ignore[call-arg]
