"""The client of MongoDB: how it connects, and how it reads and writes a collection."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bson.codec_options import CodecOptions, DatetimeConversion
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import ConfigurationError
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import split_options

from ozh_notify import __version__
from ozh_notify.config.settings import Settings, database
from ozh_notify.errors import ConfigError, OzhError, Unavailable
from ozh_notify.mongo.errors import READ_SECONDS

log = logging.getLogger(__name__)

Document = dict[str, Any]

FILE_OPTIONS = ("tlscafile", "tlscertificatekeyfile", "tlscrlfile")
"""Options of `MONGO_URI` that name a file."""

SELECTION_SECONDS = 5.0
"""Seconds to find a server; a cron job must fail while somebody still looks."""


def connect(settings: Settings) -> AsyncIOMotorClient[Document]:
    """A client with this program's limits.

    An option that the driver does not know or cannot use is a warning that names the option.

    Raises:
        ConfigError: the driver does not accept `MONGO_URI`. The driver's own words are not
            repeated: they can hold a part of the password.
        Unavailable: the host name cannot be resolved.
    """
    uri = settings.mongo_uri.get_secret_value()
    try:
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always", UserWarning)
            client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
                uri,
                appname=f"ozh-notify {__version__}",
                serverSelectionTimeoutMS=int(SELECTION_SECONDS * 1000),
                connectTimeoutMS=int(SELECTION_SECONDS * 1000),
                timeoutMS=int(READ_SECONDS * 1000),
                # Polling finds the primary 0.5 s after a brief error; the default, streaming
                # monitor takes 10 s.
                serverMonitoringMode="poll",
            )
    except (ConfigurationError, ValueError, TypeError, OSError) as error:
        raise _refused(error, uri) from None
    for option in _unused_options(uri) if met else ():
        log.warning("MONGO_URI: the MongoDB driver for Python does not use the option %s", option)
    return client


def _refused(error: Exception, uri: str) -> OzhError:
    """Why the driver does not accept an address, without the driver's words."""
    if "DNS" in str(error) or "resolution" in str(error):
        return Unavailable("MONGO_URI: its host name cannot be resolved")
    for name, value in parse_qsl(urlsplit(uri).query):
        if name.lower() in FILE_OPTIONS:
            try:
                Path(value).read_bytes()
            except OSError as missing:
                return ConfigError(
                    f"MONGO_URI: {name}: the file {value} cannot be read: {missing.strerror}"
                )
    return ConfigError(
        "MONGO_URI: the MongoDB driver does not accept it: look at its host, port and options, "
        "and percent-encode special characters of the user name and password"
    )


def _unused_options(uri: str) -> list[str]:
    """Options of the address that the driver warns about, each read by itself.

    The driver's own warning does not name the option, and can hold a part of the password.
    """
    options = parse_qsl(urlsplit(uri).query)
    names = [name.lower() for name, _ in options]
    unused = [name for name, _ in options if names.count(name.lower()) > 1]
    for name, value in options:
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always", UserWarning)
            with suppress(ConfigurationError, ValueError, TypeError, OSError):
                split_options(f"{name}={value}", warn=True)
        if met:
            unused.append(name)
    return list(dict.fromkeys(unused)) or ["that is given to it"]


def users_collection(
    client: AsyncIOMotorClient[Document], settings: Settings
) -> AsyncIOMotorCollection[Document]:
    """The users' collection: reads and writes at the primary whatever `MONGO_URI` says."""
    return primary_collection(client, settings, settings.users_collection)


def primary_collection(
    client: AsyncIOMotorClient[Document], settings: Settings, name: str
) -> AsyncIOMotorCollection[Document]:
    """A collection of this program's database, read and written at the primary."""
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
