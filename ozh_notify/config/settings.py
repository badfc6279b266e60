"""The class of all settings: which variables there are, their types and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ozh_notify.config.types import (
    BotApiUrl,
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
    MetricsFile,
    MongoUri,
    Proxy,
    Token,
    TopLevelField,
    Zone,
)

SECRETS = (
    *("MONGO_URI", "TELEGRAM_BOT_TOKEN", "API_KEY", "OZH_TELEGRAM_PROXY"),
    *("OZH_PUSHGATEWAY_URL", "OZH_PING_URL"),
)
"""Variables that also have a ``…_FILE`` form: their values are, or contain, credentials."""


UTC = timezone.utc
"""The class cannot write ``timezone.utc``: it has a field of that name."""


class Settings(BaseModel):
    """All settings of the program; frozen."""

    model_config = ConfigDict(frozen=True, extra="ignore")

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
    campaigns_dir: Path | None = Field(None, alias="OZH_CAMPAIGNS_DIR")

    rate_limit: float = Field(20, alias="OZH_RATE_LIMIT", gt=0, le=100_000)
    paid_broadcast: Flag = Field(False, alias="OZH_PAID_BROADCAST")
    max_recipients: int = Field(5000, alias="OZH_MAX_RECIPIENTS", ge=0)
    flood_budget_seconds: float = Field(120, alias="OZH_FLOOD_BUDGET_SECONDS", ge=0, le=86_400)
    telegram_api_url: BotApiUrl = Field("https://api.telegram.org", alias="OZH_TELEGRAM_API_URL")
    telegram_proxy: Proxy | None = Field(None, alias="OZH_TELEGRAM_PROXY")
    log_format: Literal["auto", "text", "json"] = Field("auto", alias="OZH_LOG_FORMAT")
    shards: int | None = Field(None, alias="OZH_SHARDS", ge=1, le=1000)
    shard_index: int | None = Field(None, alias="JOB_COMPLETION_INDEX", ge=0)

    metrics_file: MetricsFile | None = Field(None, alias="OZH_METRICS_FILE")
    pushgateway_url: HttpUrl | None = Field(None, alias="OZH_PUSHGATEWAY_URL")
    ping_url: HttpUrl | None = Field(None, alias="OZH_PING_URL")
    admin_chat_id: ChatNumber | None = Field(None, alias="OZH_ADMIN_CHAT_ID")
    admin_digest: Literal["trouble", "all"] = Field("trouble", alias="OZH_ADMIN_DIGEST")

    env_file: Path | None = Field(None, exclude=True)
    local_zone: Any = Field(UTC, exclude=True)
    """The time zone of this machine; used where `OZH_TIMEZONE` is not set."""
    others: Mapping[str, str] = Field(default_factory=dict, exclude=True)
    """`OZH_…` variables unknown here: a campaign from another package may read them."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be printed: whole secrets, and the password inside each address."""
        values = [s.get_secret_value() for s in (self.token, self.api_key) if s]
        if self.token:
            values.append(self.token.get_secret_value().partition(":")[2])
        for address in (self.mongo_uri, self.telegram_proxy):
            if address:
                values += _passwords(address.get_secret_value())
        return tuple(values)

    @property
    def bot_id(self) -> int:
        """The bot's id, which is the first part of its token; 0 without a token."""
        return int(self.token.get_secret_value().partition(":")[0]) if self.token else 0

    @property
    def zone(self) -> tzinfo:
        """`OZH_TIMEZONE`, or this machine's own zone."""
        return self.timezone or self.local_zone  # type: ignore[no-any-return]

    @property
    def zone_name(self) -> str:
        """The zone as people write it."""
        return str(getattr(self.zone, "key", self.zone))

    @property
    def lease(self) -> timedelta:
        """How long a claim holds: its longest life in a pass, and how far clocks may differ."""
        return timedelta(seconds=self.flood_budget_seconds) + SEND_LIMIT + LEASE_MARGIN

    def set_explicitly(self, variable: str) -> bool:
        """Whether the operator set this variable, even to its default value."""
        return variable in self.others or any(
            field.alias == variable and name in self.model_fields_set
            for name, field in type(self).model_fields.items()
        )


SEND_LIMIT = timedelta(seconds=20)
"""The longest a single request to Telegram may take, connection included."""

MAX_IN_FLIGHT = 256
"""The most requests in flight; so many are used only where rate x latency needs them."""

LEASE_MARGIN = timedelta(minutes=10)
"""Time for clocks that differ and for writes that are repeated."""


def variables(kind: type[Settings] = Settings) -> list[str]:
    """Every variable this program knows, without the ``…_FILE`` forms."""
    return [field.alias for field in kind.model_fields.values() if field.alias]


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


def local(moment: datetime, settings: Settings) -> datetime:
    """An aware moment in the operator's zone."""
    return moment.astimezone(settings.zone)
