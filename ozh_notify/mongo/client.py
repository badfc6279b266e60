"""The driver: connecting to MongoDB, time limits, and its errors in this program's words."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern

from ozh_notify import __version__
from ozh_notify.config.settings import Settings, database
from ozh_notify.errors import ConfigError, OzhError, Unavailable

Document = dict[str, Any]

SELECTION_SECONDS = 5.0
"""Seconds to find a server; a cron job must fail while somebody still looks."""
READ_SECONDS = 60.0
"""Seconds for one read: a scan without its index reads the whole collection."""

FORBIDDEN_CODES = frozenset({13, 18, 8000})
"""Unauthorized, AuthenticationFailed, AtlasError (MongoDB's error_codes.yml)."""
TRANSIENT_CODES = frozenset(
    {6, 7, 50, 64, 89, 91, 112, 189, 202, 262, 9001, 10107, 11600, 11601, 11602, 13435, 13436}
)
"""Codes after which a write may or may not have been applied: the retryable ones of the
driver specification "Retryable Writes", MaxTimeMSExpired, WriteConcernFailed, and what stops an
update half way: WriteConflict, Interrupted (killOp)."""
MAX_DRIVER_TEXT = 300
"""Characters of the driver's words that are repeated."""
VALIDATION_CODE = 121
"""DocumentValidationFailure."""


def connect(settings: Settings) -> AsyncIOMotorClient[Document]:
    """A client with this program's limits.

    Raises:
        ConfigError: the driver does not accept `MONGO_URI`. Its own words are not repeated:
            they can hold a part of the password.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return AsyncIOMotorClient(
                settings.mongo_uri.get_secret_value(),
                appname=f"ozh-notify {__version__}",
                serverSelectionTimeoutMS=int(SELECTION_SECONDS * 1000),
                connectTimeoutMS=int(SELECTION_SECONDS * 1000),
                timeoutMS=int(READ_SECONDS * 1000),
                # A stream would be told of a new primary, but not after an error of a moment:
                # then the server stays unknown for ten seconds.
                serverMonitoringMode="poll",
            )
    except (ConfigurationError, ValueError, TypeError, OSError, UserWarning) as error:
        if "DNS" in str(error) or "resolution" in str(error):
            raise Unavailable("MONGO_URI: its host name cannot be resolved") from None
        raise ConfigError(
            "MONGO_URI: the MongoDB driver does not accept it: look at its host, port and options, "
            "and percent-encode special characters of the user name and password"
        ) from None


def users_collection(
    client: AsyncIOMotorClient[Document], settings: Settings
) -> AsyncIOMotorCollection[Document]:
    """The users' collection."""
    return primary_collection(client, settings, settings.users_collection)


def primary_collection(
    client: AsyncIOMotorClient[Document], settings: Settings, name: str
) -> AsyncIOMotorCollection[Document]:
    """A collection that is read and written at the primary, whatever `MONGO_URI` says."""
    codec: CodecOptions[Document] = CodecOptions(
        tz_aware=True,
        unicode_decode_error_handler="replace",
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )
    return client[database(settings) or ""].get_collection(
        name,
        codec_options=codec,
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority"),
        read_concern=ReadConcern("local"),
    )


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Translate the driver's errors into this program's."""
    try:
        yield
    except PyMongoError as error:
        raise translate(error, doing) from error


@contextmanager
def with_time_limit(doing: str, seconds: float = READ_SECONDS) -> Iterator[None]:
    """:func:`failing`, with a time limit of its own in seconds."""
    with translate_errors(doing), pymongo.timeout(seconds):
        yield


def is_transient(error: PyMongoError) -> bool:
    """Whether the operation may or may not have been applied, and trying again can help."""
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        codes = [e.get("code") for e in details.get("writeErrors", ())]
        return all(code in TRANSIENT_CODES for code in codes)
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WriteConcernError):
        return True
    return error.timeout or (isinstance(error, OperationFailure) and error.code in TRANSIENT_CODES)


def translate(error: PyMongoError, doing: str) -> OzhError:
    """The driver's error in this program's words, most specific first; no secret in it."""
    code = getattr(error, "code", None)
    if isinstance(error, BulkWriteError):
        code = next((e.get("code") for e in (error.details or {}).get("writeErrors", ())), code)
    if code in FORBIDDEN_CODES:
        return ConfigError(f"MongoDB does not let this account {doing}: look at MONGO_URI")
    if code == VALIDATION_CODE:
        return ConfigError(
            f"the collection's validator refused to {doing}: it must allow the delivery state; "
            "see the README, 'How your documents are written to'"
        )
    if isinstance(error, ServerSelectionTimeoutError) or not isinstance(error, OperationFailure):
        return Unavailable(f"MongoDB cannot be reached to {doing}: {_driver_text(error)}")
    if is_transient(error):
        return Unavailable(f"MongoDB could not {doing} in time: {_driver_text(error)}")
    return ConfigError(f"MongoDB refused to {doing}: {_driver_text(error)}")


def _driver_text(error: PyMongoError) -> str:
    """What the driver says, without the state of each server that it adds.

    Hosts are named in it; that no password passes for one is seen to in ``values``.
    """
    text = re.split(r", full error|, Timeout:", str(error), maxsplit=1)[0]
    text = re.sub(r" \(configured timeouts[^)]*\)", "", text)
    return " ".join(text.split())[:MAX_DRIVER_TEXT] or type(error).__name__
