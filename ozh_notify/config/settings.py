"""The environment and ``.env``, read here and nowhere else, into one frozen value."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta, timezone, tzinfo
from io import StringIO
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ozh_notify.config.types import (
    ButtonTarget,
    ChatNumber,
    ClockTime,
    CollectionName,
    DatabaseName,
    Day,
    ExperimentName,
    FieldPath,
    Filter,
    Flag,
    Hours,
    HttpUrl,
    JournalCollection,
    MongoUri,
    Proxy,
    Token,
    TopLevelField,
    Zone,
    database_name,
)
from ozh_notify.errors import ConfigError

SECRETS = (
    *("MONGO_URI", "TELEGRAM_BOT_TOKEN", "API_KEY", "OZH_TELEGRAM_PROXY"),
    *("OZH_PUSHGATEWAY_URL", "OZH_PING_URL"),
)
"""Variables that also have a ``…_FILE`` form: what they hold, or may hold, lets somebody in."""


def _clean(value: str) -> str:
    """Strip blanks and one pair of quotes: `docker --env-file` keeps the quotes."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()
    return value


class Settings(BaseSettings):
    """Everything this program can be told by its environment; frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=False)

    mongo_uri: MongoUri = Field(alias="MONGO_URI")
    mongo_db_name: DatabaseName | None = Field(None, alias="MONGO_DB_NAME")
    token: Token | None = Field(None, alias="TELEGRAM_BOT_TOKEN")
    logging_enabled: Flag = Field(True, alias="LOGGING_ENABLED")
    api_url: str | None = Field(None, alias="API_URL")
    api_key: SecretStr | None = Field(None, alias="API_KEY")

    users_collection: CollectionName = Field("users", alias="OZH_USERS_COLLECTION")
    field_chat_id: FieldPath = Field("telegram_id", alias="OZH_FIELD_CHAT_ID")
    field_first_name: FieldPath = Field("first_name", alias="OZH_FIELD_FIRST_NAME")
    field_language: FieldPath = Field("language_code", alias="OZH_FIELD_LANGUAGE")
    field_username: FieldPath | None = Field(None, alias="OZH_FIELD_USERNAME")
    field_registered_at: FieldPath = Field("registered_at", alias="OZH_FIELD_REGISTERED_AT")
    field_generations: FieldPath = Field("generations_count", alias="OZH_FIELD_GENERATIONS")
    field_first_generation_at: FieldPath = Field(
        "first_generation_at", alias="OZH_FIELD_FIRST_GENERATION_AT"
    )
    field_balance: FieldPath = Field("balance", alias="OZH_FIELD_BALANCE")
    field_discount_offered: FieldPath = Field(
        "discount_offered", alias="OZH_FIELD_DISCOUNT_OFFERED"
    )
    field_daily_bonus_claimed: FieldPath = Field(
        "daily_bonus_claimed_today", alias="OZH_FIELD_DAILY_BONUS_CLAIMED"
    )
    field_blocked: FieldPath | None = Field(None, alias="OZH_FIELD_BLOCKED")
    field_blocked_at: FieldPath | None = Field(None, alias="OZH_FIELD_BLOCKED_AT")
    field_revenue: FieldPath | None = Field(None, alias="OZH_FIELD_REVENUE")
    state_field: TopLevelField = Field("ozh_notify", alias="OZH_STATE_FIELD")
    journal_collection: JournalCollection | None = Field(
        "ozh_notify_journal", alias="OZH_JOURNAL_COLLECTION"
    )
    """None: the operator said ``off``."""
    journal_days: int = Field(400, alias="OZH_JOURNAL_DAYS", ge=2, le=36_500)
    extra_filter: Filter | None = Field(None, alias="OZH_EXTRA_FILTER")

    timezone: Zone | None = Field(None, alias="OZH_TIMEZONE")
    discount_delay_hours: float = Field(24, alias="OZH_DISCOUNT_DELAY_HOURS", ge=0, le=87_600)
    discount_max_age_days: float | None = Field(
        None, alias="OZH_DISCOUNT_MAX_AGE_DAYS", gt=0, le=36_500
    )
    daily_bonus_days: float = Field(3, alias="OZH_DAILY_BONUS_DAYS", gt=0, le=36_500)
    daily_bonus_not_before: ClockTime = Field(time(11), alias="OZH_DAILY_BONUS_NOT_BEFORE")
    quiet_hours: Hours | None = Field(None, alias="OZH_QUIET_HOURS")
    min_gap_hours: float | None = Field(None, alias="OZH_MIN_GAP_HOURS", gt=0, le=8_760)

    discount_holdout: int | None = Field(None, alias="OZH_DISCOUNT_HOLDOUT", ge=1, le=90)
    discount_experiment: ExperimentName | None = Field(None, alias="OZH_DISCOUNT_EXPERIMENT")
    discount_experiment_until: Day | None = Field(None, alias="OZH_DISCOUNT_EXPERIMENT_UNTIL")
    discount_goal_days: int = Field(7, alias="OZH_DISCOUNT_GOAL_DAYS", ge=1, le=365)
    daily_bonus_holdout: int | None = Field(None, alias="OZH_DAILY_BONUS_HOLDOUT", ge=1, le=90)
    daily_bonus_experiment: ExperimentName | None = Field(None, alias="OZH_DAILY_BONUS_EXPERIMENT")
    daily_bonus_experiment_until: Day | None = Field(None, alias="OZH_DAILY_BONUS_EXPERIMENT_UNTIL")
    daily_bonus_goal_days: int = Field(3, alias="OZH_DAILY_BONUS_GOAL_DAYS", ge=1, le=365)

    discount_pack: str | None = Field(None, alias="OZH_DISCOUNT_PACK")
    discount_price: str | None = Field(None, alias="OZH_DISCOUNT_PRICE")
    discount_old_price: str | None = Field(None, alias="OZH_DISCOUNT_OLD_PRICE")
    discount_button_text: str | None = Field(None, alias="OZH_DISCOUNT_BUTTON_TEXT")
    discount_button: ButtonTarget | None = Field(None, alias="OZH_DISCOUNT_BUTTON")
    daily_bonus_button_text: str | None = Field(None, alias="OZH_DAILY_BONUS_BUTTON_TEXT")
    daily_bonus_button: ButtonTarget | None = Field(None, alias="OZH_DAILY_BONUS_BUTTON")
    templates_dir: Path | None = Field(None, alias="OZH_TEMPLATES_DIR")

    rate_limit: float = Field(20, alias="OZH_RATE_LIMIT", gt=0, le=100_000)
    paid_broadcast: Flag = Field(False, alias="OZH_PAID_BROADCAST")
    max_recipients: int = Field(5000, alias="OZH_MAX_RECIPIENTS", ge=0)
    flood_budget_seconds: float = Field(120, alias="OZH_FLOOD_BUDGET_SECONDS", ge=0, le=86_400)
    telegram_api_url: HttpUrl = Field("https://api.telegram.org", alias="OZH_TELEGRAM_API_URL")
    telegram_proxy: Proxy | None = Field(None, alias="OZH_TELEGRAM_PROXY")
    log_format: Literal["auto", "text", "json"] = Field("auto", alias="OZH_LOG_FORMAT")
    shards: int | None = Field(None, alias="OZH_SHARDS", ge=1, le=1000)
    shard_index: int | None = Field(None, alias="JOB_COMPLETION_INDEX", ge=0)

    metrics_file: str | None = Field(None, alias="OZH_METRICS_FILE")
    pushgateway_url: HttpUrl | None = Field(None, alias="OZH_PUSHGATEWAY_URL")
    ping_url: HttpUrl | None = Field(None, alias="OZH_PING_URL")
    admin_chat_id: ChatNumber | None = Field(None, alias="OZH_ADMIN_CHAT_ID")
    admin_digest: Literal["trouble", "all"] = Field("trouble", alias="OZH_ADMIN_DIGEST")

    env_file: Path | None = Field(None, exclude=True)
    others: Mapping[str, str] = Field(default_factory=dict, exclude=True)
    """`OZH_…` variables unknown here: a campaign from another package may read them."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what :func:`load` gathered, so that ``…_FILE`` and blanks are treated once."""
        return (init_settings,)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be printed: whole secrets and the password inside each address."""
        values = [s.get_secret_value() for s in (self.token, self.api_key) if s]
        if self.token:
            values.append(self.token.get_secret_value().partition(":")[2])
        for address in (self.mongo_uri, self.telegram_proxy):
            if address:
                values += _passwords(address.get_secret_value())
        return tuple(values)

    @property
    def zone(self) -> tzinfo:
        """`OZH_TIMEZONE`, or the server's local zone."""
        if self.timezone is not None:
            return self.timezone  # type: ignore[no-any-return]
        import tzlocal  # noqa: PLC0415 - reads files

        return tzlocal.get_localzone()

    @property
    def zone_name(self) -> str:
        """The zone as people write it."""
        return str(getattr(self.zone, "key", self.zone))

    @property
    def lease(self) -> timedelta:
        """How long a claim holds: longer than it can live in a pass and clocks can differ."""
        return timedelta(seconds=self.flood_budget_seconds) + SEND_LIMIT + LEASE_MARGIN

    def set_explicitly(self, variable: str) -> bool:
        """Whether the operator named this variable, be it with its default value."""
        return variable in self.others or any(
            field.alias == variable and name in self.model_fields_set
            for name, field in type(self).model_fields.items()
        )


SEND_LIMIT = timedelta(seconds=20)
"""The longest a single request to Telegram may take, connection included."""

LEASE_MARGIN = timedelta(minutes=10)
"""Room for clocks that differ and for writes that are repeated."""


def variables() -> list[str]:
    """Every variable this program knows, without the ``…_FILE`` forms."""
    return [field.alias for field in Settings.model_fields.values() if field.alias]


def load(
    env_file: Path | None,
    environ: Mapping[str, str] = os.environ,
    *,
    needs_token: bool = False,
    declared: tuple[str, ...] = (),
    options: Mapping[str, float | None] | None = None,
) -> tuple[Settings, list[str]]:
    """Settings from the environment over a ``.env``, and warnings about them.

    ``declared`` names variables that campaigns of other packages read from ``others``.
    ``options`` are command-line values by variable name; None means not given.

    Raises:
        ConfigError: with all problems at once, each with the variable's name.
    """
    settings, problems, warnings = examine(
        env_file, environ, needs_token=needs_token, declared=declared, options=options
    )
    if problems:
        # A mistyped variable may be why another one is missing.
        raise ConfigError(_listed([*problems, *warnings]))
    return settings, warnings


def examine(
    env_file: Path | None,
    environ: Mapping[str, str] = os.environ,
    *,
    needs_token: bool = False,
    declared: tuple[str, ...] = (),
    options: Mapping[str, float | None] | None = None,
) -> tuple[Settings, list[str], list[str]]:
    """What :func:`load` does, with the problems beside the settings of what is valid.

    Where there are problems, the settings are good for looking at what these do not touch.
    """
    values, problems = gather(env_file, environ)
    values.update({name: value for name, value in (options or {}).items() if value is not None})
    if needs_token and "TELEGRAM_BOT_TOKEN" not in values:
        problems.append(
            "TELEGRAM_BOT_TOKEN is missing: the token of the bot, from @BotFather, "
            "or in TELEGRAM_BOT_TOKEN_FILE a file that holds it"
        )
    values["env_file"] = env_file
    others = {n: v for n, v in values.items() if n.startswith("OZH_") and n not in variables()}
    settings, wrong = _validated({**values, "others": others})
    problems += wrong + _together(settings)
    return settings, _once(problems), [_unknown(n) for n in others if n not in declared]


def _validated(values: dict[str, Any]) -> tuple[Settings, list[str]]:
    """Settings of what is valid, and what is wrong with the rest."""
    try:
        return Settings(**values), []
    except ValidationError as error:
        wrong = {str(e["loc"][0]): _words(e) for e in error.errors()}
    valid = {name: value for name, value in values.items() if name not in wrong}
    return Settings(**{"MONGO_URI": "mongodb://unset/unset", **valid}), list(wrong.values())


def _once(problems: list[str]) -> list[str]:
    """One problem a variable: what is wrong with it, or its file, also leaves it missing."""
    first: dict[str, str] = {}
    for problem in problems:
        name = problem.replace(":", " ").partition(" ")[0].removesuffix("_FILE")
        first.setdefault(name, problem)
    return list(first.values())


def gather(
    env_file: Path | None, environ: Mapping[str, str] = os.environ
) -> tuple[dict[str, Any], list[str]]:
    """Cleaned, non-empty values by variable name, ``…_FILE`` read; and problems met."""
    raw, problems = _read(env_file)
    merged = {**raw, **environ}
    values = {n: _clean(v) for n, v in merged.items() if v is not None and _clean(v)}
    for name in SECRETS:
        file = values.pop(f"{name}_FILE", None)
        if file is None:
            continue
        if name in values:
            problems.append(f"{name} and {name}_FILE are both set: keep one of them")
            continue
        try:
            values[name] = _clean(Path(file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}_FILE: {file} cannot be read: {_reason(error)}")
            continue
        if not values[name]:
            del values[name]
            problems.append(f"{name}_FILE: {file} is empty")
    return values, problems


def _read(env_file: Path | None) -> tuple[dict[str, str | None], list[str]]:
    """What an env file says, and a problem for each of our statements in it that says nothing."""
    path = env_file or Path(".env")
    try:
        if not path.is_file():
            return {}, [f"{path} cannot be read: it is no file"] if env_file else []
        # A byte order mark, as some editors write it, is no part of the first name.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{path} cannot be read: {_reason(error)}"]
    unread = {one: _unread(path, one) for one in parse_stream(StringIO(text))}
    rest = "".join(one.original.string for one, problem in unread.items() if not problem)
    return dotenv_values(stream=StringIO(rest)), [text for text in unread.values() if text]


def _unread(path: Path, statement: Binding) -> str | None:
    """What is wrong where python-dotenv would leave one of our variables out without an error.

    It takes a name alone for no value, and a line without its closing quote to go on.
    """
    text, line = statement.original
    names = re.findall(r"^\s*(?:export\s+)?([A-Z][A-Z_]*)", text, re.MULTILINE)
    known = _known()
    ours = [name for name in names if name in known or name.startswith("OZH_")]
    no_value = statement.key and statement.value is None
    if not ours or not (statement.error or no_value or "\n" in text.strip()):
        return None
    line += text[: len(text) - len(text.lstrip())].count("\n")
    return (
        f"{ours[0]}: line {line} of {path} cannot be read: write NAME=value on one line, "
        "with a quote at both ends or none; JSON in single quotes"
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is no UTF-8 text"


def _together(settings: Settings) -> list[str]:
    """Problems that only two variables together have."""
    problems = []
    if not (name := database(settings)):
        problems.append("MONGO_DB_NAME is missing: MONGO_URI names no database either")
    elif not settings.mongo_db_name:
        try:
            database_name(name)
        except ValueError as error:
            problems.append(f"MONGO_URI: {error}, after the host")
    for campaign in ("DISCOUNT", "DAILY_BONUS"):
        text = getattr(settings, f"{campaign.lower()}_button_text")
        target = getattr(settings, f"{campaign.lower()}_button")
        if bool(text) != bool(target):
            missing = f"OZH_{campaign}_BUTTON" + ("" if text else "_TEXT")
            problems.append(f"{missing} is missing: a button needs both its text and its target")
    problems += _experiments(settings)
    if settings.field_blocked_at and not settings.field_blocked:
        problems.append(
            "OZH_FIELD_BLOCKED is missing: OZH_FIELD_BLOCKED_AT alone does not say who is blocked"
        )
    if settings.journal_collection == settings.users_collection:
        problems.append("OZH_JOURNAL_COLLECTION: expected another name than the users have")
    if settings.templates_dir and not settings.templates_dir.is_dir():
        problems.append(f"OZH_TEMPLATES_DIR: {settings.templates_dir} is no folder")
    if settings.shards and (settings.shard_index or 0) >= settings.shards:
        problems.append("JOB_COMPLETION_INDEX: expected a number below OZH_SHARDS")
    return problems


def _experiments(settings: Settings) -> list[str]:
    """A holdout needs a name, an end, and the journal, which keeps who was held out."""
    problems = []
    for campaign in ("DISCOUNT", "DAILY_BONUS"):
        key = campaign.lower()
        if getattr(settings, f"{key}_holdout") is None:
            continue
        needed = {"EXPERIMENT": "a name", "EXPERIMENT_UNTIL": "a last day"}
        problems += [
            f"OZH_{campaign}_{name} is missing: OZH_{campaign}_HOLDOUT needs {what}"
            for name, what in needed.items()
            if getattr(settings, f"{key}_{name.lower()}") is None
        ]
        if settings.journal_collection is None:
            problems.append(
                f"OZH_{campaign}_HOLDOUT: needs the journal; OZH_JOURNAL_COLLECTION is off"
            )
    if settings.daily_bonus_holdout and settings.journal_days <= settings.daily_bonus_goal_days:
        problems.append("OZH_JOURNAL_DAYS: expected a number above OZH_DAILY_BONUS_GOAL_DAYS")
    return problems


def database(settings: Settings) -> str | None:
    """`MONGO_DB_NAME`, or the database named in `MONGO_URI`."""
    if settings.mongo_db_name:
        return settings.mongo_db_name
    rest = settings.mongo_uri.get_secret_value().partition("://")[2].rpartition("@")[2]
    return unquote(rest.partition("/")[2].partition("?")[0]) or None


def _passwords(address: str) -> list[str]:
    credentials = address.partition("://")[2].rpartition("@")[0]
    password = credentials.partition(":")[2]
    return [address, *({password, unquote(password)} if password else ())]


def _words(error: Any) -> str:
    """One problem in words; pydantic's own text, which could quote the value, is not used."""
    name = str(error["loc"][0])
    if error["type"] == "missing":
        return f"{name} is missing: its value, or in {name}_FILE a file that holds it"
    if error["type"] == "value_error":
        return f"{name}: {error['ctx']['error']}"
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        return f"{name}: expected {context['expected']}"
    bounds = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    for key, words in bounds.items():
        if key in context:
            return f"{name}: expected a number {words} {context[key]:g}"
    if error["type"].startswith(("int", "float")):
        return f"{name}: expected a {'whole ' if error['type'].startswith('int') else ''}number"
    return f"{name}: {error['msg']}"


def _listed(problems: list[str]) -> str:
    head = "the settings have a problem" if len(problems) == 1 else "the settings have problems"
    return f"{head}:\n" + "\n".join(f"  - {problem}" for problem in problems)


def _known() -> list[str]:
    """Every name that is understood: variables, and the ``…_FILE`` forms of secrets."""
    return [*variables(), *(f"{secret}_FILE" for secret in SECRETS)]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, _known(), n=1)
    return f"{name} is no variable of ozh-notify" + (f": did you mean {near[0]}?" if near else "")


def local(moment: datetime, settings: Settings) -> datetime:
    """An aware moment in the operator's zone."""
    return moment.astimezone(settings.zone)


UTC = timezone.utc
