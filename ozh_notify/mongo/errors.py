"""The driver's errors in this program's words: what passes by itself, and what a person must mend.

Codes and names are those of MongoDB's ``error_codes.yml``. A code that is not listed here counts
as passing: the write is repeated for a bounded time, and the pass ends with 69 or 75.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteError,
)

from ozh_notify.errors import ConfigError, OzhError, Unavailable

READ_SECONDS = 60.0
"""Seconds for one read: a scan without its index reads the whole collection."""
MAX_DRIVER_TEXT = 300
"""Characters of a driver error that our messages repeat."""

UNAUTHORIZED = 13
AUTHENTICATION_FAILED = 18
ATLAS_ERROR = 8000
"""Of MongoDB Atlas: a refused login, a full quota, a command that a tier does not have."""
ACCOUNT_CODES = frozenset({UNAUTHORIZED, AUTHENTICATION_FAILED, ATLAS_ERROR})
"""Codes that concern the account, whatever it writes."""
OUT_OF_TIME = 50
"""MaxTimeMSExpired: the server was at work when the time of the operation was over."""
VALIDATION = 121
"""DocumentValidationFailure."""
TOO_LARGE = frozenset({10334, 17419})
"""BSONObjectTooLarge, and an update that would make a document larger than 16 MB."""
DOCUMENT_CODES = frozenset({VALIDATION, *TOO_LARGE, 28, 66})
"""Codes that belong to one document: also PathNotViable and ImmutableField."""
PERMANENT_CODES = (
    DOCUMENT_CODES
    | ACCOUNT_CODES
    | {
        # The statement or a setting in it is wrong: BadValue, FailedToParse, TypeMismatch,
        # InvalidLength, IllegalOperation, and names and fields that MongoDB does not allow.
        *(2, 9, 14, 16, 20, 40, 48, 52, 53, 54, 55, 56, 57, 73),
        # The server does not have it: CommandNotFound, CommandNotSupportedOnView,
        # CommandNotSupported, Location40324 (unknown stage), APIVersionError, APIStrictError.
        *(59, 166, 115, 40324, 322, 323),
        # Indexes: CannotCreateIndex, IndexAlreadyExists, IndexOptionsConflict,
        # IndexKeySpecsConflict, InvalidIndexSpecificationOption, and a broken unique index.
        *(67, 68, 85, 86, 197, 11000),
        # A plan that cannot work: NoQueryExecutionPlans, QueryExceededMemoryLimitNoDiskUse.
        *(291, 292),
        # Queries: unknown operators, path collisions, bad regular expressions, bad $expr.
        *(16810, 17276, 31249, 31250, 31254, 51091, 51108, 168, 15998, 16872),
    }
)
"""Codes that only a person can mend: exit 78. All others pass by themselves, as far as we know."""

NO_INDEX = (
    ": without its index it reads the whole collection. "
    "ozh-notify indexes shows what is missing, ozh-notify indexes --create makes it"
)


class DocumentRefused(ConfigError):
    """The server refuses to update single documents; others can be written."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason
        """What the server says."""


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Raise this program's error for one of the driver; ``doing`` is a verb and its object."""
    try:
        yield
    except PyMongoError as error:
        raise translate(error, doing, is_search=True) from error


@contextmanager
def with_time_limit(doing: str, seconds: float = READ_SECONDS) -> Iterator[None]:
    """:func:`translate_errors`, with a time limit of its own in seconds."""
    with translate_errors(doing), pymongo.timeout(seconds):
        yield


def codes_of(error: PyMongoError) -> list[int | None]:
    """The server's codes: of a bulk one for each failed write, of another error its own."""
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        failed = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        return [one.get("code") for one in failed]
    return [error.code if isinstance(error, OperationFailure) else None]


def is_transient(error: PyMongoError) -> bool:
    """Whether the operation may or may not have been applied, and a repetition can help.

    In a bulk, documents that the server refuses do not keep the other writes from a repetition.
    """
    if error.timeout or isinstance(error, ConnectionFailure):
        return True
    if error.has_error_label("RetryableWriteError"):
        return True
    if not isinstance(error, OperationFailure):
        return False
    codes = set(codes_of(error))
    return not PERMANENT_CODES & (codes - DOCUMENT_CODES or codes)


def is_about_documents(error: PyMongoError) -> bool:
    """Whether the server refused single documents, while others can be written.

    What it refuses to the account, it refuses for the whole command and not as a write error.
    """
    is_write_error = isinstance(error, WriteError | BulkWriteError)
    allowed = PERMANENT_CODES - ACCOUNT_CODES if is_write_error else DOCUMENT_CODES
    codes = codes_of(error)
    return bool(codes) and all(code in allowed for code in codes)


def translate(error: PyMongoError, doing: str, *, is_search: bool = False) -> OzhError:
    """The driver's error in this program's words, most specific first; it holds no secret.

    ``is_search``: a missing index may be why it took too long.
    """
    codes, text = codes_of(error), driver_text(error)
    if AUTHENTICATION_FAILED in codes or (ATLAS_ERROR in codes and "auth" in text.lower()):
        return ConfigError(
            f"MongoDB rejects the user name or the password in MONGO_URI, so it did not {doing}. "
            "Where MONGO_URI names a database and no authSource, MongoDB looks for the user in "
            "that database: if the user is kept elsewhere, add ?authSource=admin"
        )
    if UNAUTHORIZED in codes:
        return ConfigError(
            f"MongoDB does not let this account {doing}: give the user of MONGO_URI a role that may"
        )
    if is_about_documents(error):
        hint = ": its validator must allow the delivery state; see docs/backend.md"
        more = hint if VALIDATION in codes else ""
        return DocumentRefused(f"MongoDB refused to {doing}: {text}{more}", text)
    # The driver gives its own error of this code where it has not asked a server.
    if OUT_OF_TIME in codes and "remaining timeout" not in str(error):
        return Unavailable(f"MongoDB could not {doing} in time{NO_INDEX if is_search else ''}")
    if is_transient(error):
        if isinstance(error, ServerSelectionTimeoutError | ConnectionFailure) or error.timeout:
            return Unavailable(f"MongoDB cannot be reached to {doing}: {text}")
        return Unavailable(f"MongoDB could not {doing}: {text}")
    if isinstance(error, OperationFailure):
        return ConfigError(f"MongoDB refused to {doing}: {text}")
    return Unavailable(f"MongoDB cannot be reached to {doing}: {text}")


def driver_text(error: PyMongoError) -> str:
    """What the driver says, without the state of each server that it adds.

    Hosts are named in it; ``config.types`` sees to it that no password passes for one.
    """
    text = str(error)
    if isinstance(error, BulkWriteError):
        failed = (error.details or {}).get("writeErrors", ())
        text = next((str(one.get("errmsg")) for one in failed), text)
    text = re.split(r", full error|, Timeout:", text, maxsplit=1)[0]
    text = re.sub(r" \(configured timeouts[^)]*\)", "", text)
    return " ".join(text.split())[:MAX_DRIVER_TEXT] or type(error).__name__
