"""Settings: what each variable may be, and what is said of it when it is not."""

from __future__ import annotations

import re
from datetime import date, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from ozh_notify.config import settings as settings_module
from ozh_notify.config.load import load
from ozh_notify.config.settings import Settings, database, variables
from ozh_notify.errors import ConfigError
from tests.conftest import API_KEY, PASSWORD, TOKEN, Ozh

URI = f"mongodb://user:{PASSWORD}@127.0.0.1:27017/bot"
NEEDED = {"MONGO_URI": URI, "TELEGRAM_BOT_TOKEN": TOKEN}
PATH = "expected a field path"
NUMBER = "expected a number"
WHOLE = "expected a whole number"
HTTP = "expected an address that begins with http:// or https://"
ANYTHING = None, ""

# name: (attribute, default, a valid text, what it becomes, a wrong text, what is said of it)
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
        *ANYTHING,
    ),
    "OZH_PUSHGATEWAY_URL": ("pushgateway_url", None, "http://p:9091", "http://p:9091", "p", HTTP),
    "OZH_PING_URL": ("ping_url", None, "https://hc.example/u", "https://hc.example/u", "u", HTTP),
    "OZH_ADMIN_CHAT_ID": ("admin_chat_id", None, "-100123", -100123, "@admin", "a Telegram chat"),
    "OZH_ADMIN_DIGEST": ("admin_digest", "trouble", "all", "all", "none", "'trouble' or 'all'"),
}
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
    """Names are only ever added: whoever has set one may rely on it."""
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
    """Whoever reads the error knows which variable to correct, and learns no secret."""
    *_, wrong, expected = KNOWN[name]
    environ = {**NEEDED, **partner(name), name: str(wrong)}
    text = problems(no_file, environ)
    assert re.search(rf"^  - {name}\b.*{re.escape(expected)}", text, re.MULTILINE), text
    assert text.count("  - ") == 1
    assert PASSWORD not in text
    assert TOKEN.partition(":")[2] not in text


def test_all_problems_are_reported_at_once(no_file: Path, tmp_path: Path) -> None:
    """Nobody corrects one variable only to learn of the next."""
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


# --- .env ---


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    tmp_path: Path,
) -> None:
    """One pass may be run differently without editing a file."""
    file = tmp_path / "env"
    file.write_text(f"MONGO_URI={URI}\nOZH_RATE_LIMIT=5\nOZH_MAX_RECIPIENTS=7\nOZH_SHARDS=3\n")
    environ = {"OZH_RATE_LIMIT": "6", "OZH_MAX_RECIPIENTS": "8"}
    options = {"OZH_RATE_LIMIT": 9.0, "OZH_MAX_RECIPIENTS": None}
    settings, _ = load(file, environ, options=options)
    assert (settings.rate_limit, settings.max_recipients, settings.shards) == (9, 8, 3)
    wrong = problems(file, environ, options={"OZH_RATE_LIMIT": -1})
    assert "OZH_RATE_LIMIT" in wrong


def test_the_original_services_file_works_unchanged(tmp_path: Path) -> None:
    """Who replaces the old service keeps its configuration."""
    file = tmp_path / ".env"
    file.write_text(
        f'MONGO_URI="mongodb://user:{PASSWORD}@host:27017/your_db_name"\n'
        'MONGO_DB_NAME="your_db_name"\n'
        f'TELEGRAM_BOT_TOKEN="{TOKEN}"\n'
        '# API_URL="https://api.example.com"\n'
        f'API_KEY="{API_KEY}"\n'
        'LOGGING_ENABLED="True"\n'
    )
    settings, warnings = load(file, {}, needs_token=True)
    assert warnings == []
    assert database(settings) == "your_db_name"
    assert plain(settings.token) == TOKEN
    assert plain(settings.api_key) == API_KEY
    assert settings.api_url is None
    assert settings.logging_enabled


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffMONGO_URI={URI}\n",
        f"MONGO_URI={URI}\r\nOZH_SHARDS=2\r\n",
        f"# a comment\n\nexport MONGO_URI='{URI}'\n",
    ],
    ids=["byte order mark", "line ends of Windows", "export"],
)
def test_a_file_may_come_from_any_editor(text: str, tmp_path: Path) -> None:
    """What looks right in an editor is right."""
    file = tmp_path / "env"
    file.write_bytes(text.encode())
    assert plain(load(file, {})[0].mongo_uri) == URI


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """Settings that were meant are never silently ignored."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00MONGO_URI")
    assert f"{binary} cannot be read: it is not UTF-8 text" in problems(binary, dict(NEEDED))
    assert f"{tmp_path} is not a file" in problems(tmp_path, dict(NEEDED))


def test_a_folder_that_may_not_be_looked_into_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when an account is lent a shell in another one's home; root may look anywhere."""

    def forbidden(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", forbidden)
    with pytest.raises(ConfigError, match=r"\.env cannot be read: Permission denied"):
        load(None, dict(NEEDED))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('OZH_EXTRA_FILTER="{"banned": {"$ne": true}}"', "OZH_EXTRA_FILTER: line 3"),
        ('export OZH_DISCOUNT_PRICE="149', "OZH_DISCOUNT_PRICE: line 3"),
        ("OZH_RATE_LIMIT: 5", "OZH_RATE_LIMIT: line 3"),
        ("  \n\t\n  OZH_RATE_LIMIT: 5", "OZH_RATE_LIMIT: line 5"),
        ("OZH_EXTRA_FILTER", "OZH_EXTRA_FILTER: line 3"),
        ("OZH_DISCOUNT_PRICE=\"149\nOZH_EXTRA_FILTER='{}' #\"", "OZH_DISCOUNT_PRICE: line 3"),
        ("OTHER=\"149\nOZH_EXTRA_FILTER='{}' #\"", "OZH_EXTRA_FILTER: line 3"),
    ],
)
def test_a_statement_that_would_be_left_out_is_a_problem(
    text: str, named: str, tmp_path: Path
) -> None:
    """A filter that keeps people out must not vanish for a quote."""
    file = tmp_path / "env"
    file.write_text(f"MONGO_URI={URI}\nOZH_SHARDS=2\n{text}\nOZH_ADMIN_DIGEST=none\n")
    told = problems(file, {"OZH_FLOOD_BUDGET_SECONDS": "x"})
    assert f"- {named} of {file} cannot be read; write NAME=value" in told
    assert "- OZH_FLOOD_BUDGET_SECONDS: " in told
    assert "- OZH_ADMIN_DIGEST: " in told
    assert "MONGO_URI: missing" not in told
    assert "banned" not in told


def test_a_statement_of_others_is_left_out(tmp_path: Path) -> None:
    """A file that systemd or a shell reads, too, may hold what is nothing to us."""
    file = tmp_path / "env"
    file.write_text(f'; a comment\nset -a\nKEY="1\n2"\nhunter2 = a b\nMONGO_URI={URI}\nBARE\n')
    settings, warnings = load(file, {})
    assert plain(settings.mongo_uri) == URI
    assert warnings == []


def test_the_file_of_the_working_directory_is_read_and_another_one_instead_of_it(
    ozh: Ozh, environment: dict[str, str]
) -> None:
    """`.env` is found where the command is run; `--env-file` replaces it, never adds to it."""
    lines = [f"{name}={value}" for name, value in environment.items() if name != "PATH"]
    (ozh.folder / ".env").write_text("\n".join(lines))
    (ozh.folder / "other.env").write_text("OZH_RATE_LIMIT=3\n")
    ozh.environment = {"PATH": environment["PATH"]}
    assert ozh("discount", "--dry-run").code == 0
    other = ozh("--env-file", "other.env", "discount", "--dry-run")
    assert other.code == 78
    assert "MONGO_URI: missing" in other.err


@pytest.mark.parametrize("path", ["missing.env", "."])
def test_an_explicit_file_must_exist(path: str, ozh: Ozh) -> None:
    """A mistyped path is wrong usage, not an empty file."""
    result = ozh("--env-file", path, "discount", "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert "--env-file" in result.err


# --- files that hold a secret ---


@pytest.mark.parametrize("name", settings_module.SECRETS)
def test_a_secret_may_lie_in_a_file(name: str, no_file: Path, tmp_path: Path) -> None:
    """As Kubernetes and Docker mount them; the line end of an editor does not count."""
    attribute, _, text, value, *_ = KNOWN[name]
    secret = tmp_path / "secret"
    secret.write_text(f"{text}\n")
    environ = {**NEEDED, f"{name}_FILE": str(secret)}
    environ.pop(name, None)
    settings, warnings = load(no_file, environ, needs_token=True)
    assert plain(getattr(settings, attribute)) == value
    assert warnings == []


@pytest.mark.parametrize("name", settings_module.SECRETS)
@pytest.mark.parametrize("fault", ["missing", "folder", "binary", "empty", "both"])
def test_an_unusable_secret_file_fails_loudly(
    name: str, fault: str, no_file: Path, tmp_path: Path
) -> None:
    """A secret that was meant is never taken for an optional one left out."""
    secret = tmp_path / "secret"
    content = {"binary": b"\xff\xfe" + PASSWORD.encode(), "empty": b" \n", "both": b"x"}
    if fault == "folder":
        secret.mkdir()
    elif fault in content:
        secret.write_bytes(content[fault])
    environ = {**NEEDED, f"{name}_FILE": str(secret)}
    if fault == "both":
        environ[name] = KNOWN[name][2]
    else:
        environ.pop(name, None)
    text = problems(no_file, environ)
    words = {
        "missing": f"{name}_FILE: {secret} cannot be read: No such file",
        "folder": f"{name}_FILE: {secret} cannot be read: Is a directory",
        "binary": f"{name}_FILE: {secret} cannot be read: it is not UTF-8 text",
        "empty": f"{name}_FILE: {secret} is empty",
        "both": f"{name}: {name}_FILE is set, too",
    }
    assert words[fault] in text
    assert text.count("  - ") == 1
    assert PASSWORD not in text


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


@pytest.mark.parametrize("word", ["False", "false", "FALSE", "0", "no", "off"])
def test_logging_may_be_turned_off_in_any_case(word: str, no_file: Path) -> None:
    """`LOGGING_ENABLED` is written as its author writes it."""
    assert not load(no_file, {**NEEDED, "LOGGING_ENABLED": word})[0].logging_enabled


@pytest.mark.parametrize("word", ["True", "true", "TRUE", "1", "yes", "on"])
def test_logging_may_be_turned_on_in_any_case(word: str, no_file: Path) -> None:
    """`LOGGING_ENABLED` is written as its author writes it."""
    assert load(no_file, {**NEEDED, "LOGGING_ENABLED": word})[0].logging_enabled


def test_settings_cannot_be_changed(no_file: Path) -> None:
    """What was checked is what is used."""
    settings, _ = load(no_file, dict(NEEDED))
    with pytest.raises(ValueError, match="frozen"):
        settings.rate_limit = 1000  # type: ignore[misc]


def test_the_representation_of_settings_holds_no_secret(no_file: Path) -> None:
    """Whoever logs the settings logs no secret."""
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


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("mongodb://user:zq3hide@127.0.0.1:port/db", 78),
        ("mongodb://user:zq3hide@127.0.0.1:99999/db", 78),
        ("mongodb://user:zq3@hide@127.0.0.1:1/db", 78),
        ("mongodb://user:zq3:hide@127.0.0.1:1/db", 78),
        ("mongodb://user:zq3/hide@127.0.0.1:1/db", 78),
        ("mongodb://user:zq3%hide@127.0.0.1:1/db", 78),
        ("mongodb://user:zq3hide@127.0.0.1:1/db?nonsense=1", 78),
        ("mongodb://user:zq3hide@127.0.0.1:1/db?readPreference=worst", 78),
        ("mongodb://user:zq3hide@127.0.0.1:1/db?authMechanism=NONE", 78),
        ("mongodb://user:zq3hide@127.0.0.1:1/db?tls=true&tlsCAFile=/no/such", 78),
        ("mongodb://user:zq3hide@/db", 78),
        ("mongodb+srv://user:zq3hide@nowhere.invalid/db", 69),
    ],
)
def test_a_uri_the_driver_refuses_is_named_and_never_shown(uri: str, code: int, ozh: Ozh) -> None:
    """The driver's own errors quote the end of the password: they are not repeated."""
    result = ozh("-v", "discount", "--dry-run", "--json", MONGO_URI=uri, MONGO_DB_NAME=None)
    assert result.code == code, result.err
    assert ("MONGO_URI" if code == 78 else "MongoDB cannot be reached") in result.json()["error"]
    assert "Traceback" not in result.err
    for part in ("zq3", "hide"):
        assert part not in result.out + result.err


def test_settings_are_built_by_load_alone() -> None:
    """The class reads no environment by itself."""
    with pytest.raises(ValueError, match="MONGO_URI"):
        Settings()  # type: ignore[call-arg]
