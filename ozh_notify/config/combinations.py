"""Checks that need more than one variable."""

from __future__ import annotations

from collections.abc import Iterator

from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import Settings, database
from ozh_notify.config.types import database_name

CAMPAIGNS = ("DISCOUNT", "DAILY_BONUS")


def check_combinations(settings: Settings) -> list[Problem]:
    """Problems that only two variables together have."""
    return [
        *_database(settings),
        *_collections(settings),
        *(problem for campaign in CAMPAIGNS for problem in _button(settings, campaign)),
        *_files_and_shards(settings),
    ]


def _database(settings: Settings) -> Iterator[Problem]:
    name = database(settings)
    if not name:
        yield Problem("MONGO_DB_NAME", "missing", "MONGO_URI names no database either")
    elif not settings.mongo_db_name:
        try:
            database_name(name)
        except ValueError as error:
            yield Problem("MONGO_URI", f"{error}, after the host")


def _collections(settings: Settings) -> Iterator[Problem]:
    if settings.journal_collection == settings.users_collection:
        yield Problem("OZH_JOURNAL_COLLECTION", "expected another name than the users have")
    if settings.field_blocked_at and not settings.field_blocked:
        remedy = "OZH_FIELD_BLOCKED_AT alone does not say who is blocked"
        yield Problem("OZH_FIELD_BLOCKED", "missing", remedy)


def _button(settings: Settings, campaign: str) -> Iterator[Problem]:
    text = getattr(settings, f"{campaign.lower()}_button_text")
    target = getattr(settings, f"{campaign.lower()}_button")
    if bool(text) != bool(target):
        missing = f"OZH_{campaign}_BUTTON" + ("" if text else "_TEXT")
        yield Problem(missing, "missing", "a button needs both its text and its target")


def _files_and_shards(settings: Settings) -> Iterator[Problem]:
    if settings.templates_dir and not settings.templates_dir.is_dir():
        yield Problem("OZH_TEMPLATES_DIR", f"{settings.templates_dir} is not a folder")
    if settings.campaigns_dir and not settings.campaigns_dir.is_dir():
        yield Problem("OZH_CAMPAIGNS_DIR", f"{settings.campaigns_dir} is not a folder")
    elif settings.campaigns_dir and settings.campaigns_dir == settings.templates_dir:
        text = "it is the folder of OZH_TEMPLATES_DIR, too"
        yield Problem("OZH_CAMPAIGNS_DIR", text, "use two folders: both may hold NAME.toml")
    if settings.shards and (settings.shard_index or 0) >= settings.shards:
        yield Problem("JOB_COMPLETION_INDEX", "expected a number below OZH_SHARDS")
