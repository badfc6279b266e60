"""What the driver and the server say, and what an operator reads of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pymongo.errors import (
    BulkWriteError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
)

from ozh_notify.config.load import load
from ozh_notify.errors import ConfigError, Unavailable
from ozh_notify.mongo.client import connect
from ozh_notify.mongo.errors import is_about_documents, is_transient, translate
from tests.conftest import Ozh
from tests.helpers.users import Users, discount_user


def refused(code: int, text: str = "what the server says") -> OperationFailure:
    """A refusal of the server."""
    return OperationFailure(text, code, {"code": code, "errmsg": text})


def bulk(*codes: int) -> BulkWriteError:
    """A bulk write, some of which failed."""
    failed = [{"index": n, "code": c, "errmsg": "refused"} for n, c in enumerate(codes)]
    return BulkWriteError({"writeErrors": failed, "nMatched": 0})


@pytest.mark.parametrize("code", [43, 133, 134, 175, 237, 246, 290, 358, 462, 50463173, 1])
def test_a_code_that_passes_by_itself_is_repeated_and_is_not_78(code: int) -> None:
    """The list of what only a person can mend is the positive one."""
    assert is_transient(refused(code))
    assert is_transient(bulk(code, 112))
    assert isinstance(translate(refused(code), "claim users"), Unavailable)


@pytest.mark.parametrize("code", [2, 9, 13, 18, 59, 121, 292, 8000, 11000, 40324])
def test_a_code_that_only_a_person_can_mend_is_78_at_once(code: int) -> None:
    """A repetition would only cost time."""
    assert not is_transient(refused(code))
    assert not is_transient(bulk(code))
    assert isinstance(translate(refused(code), "claim users"), ConfigError)


def test_a_write_concern_error_is_repeated() -> None:
    """The write may be applied and rolled back; in a bulk too, beside a refused document."""
    assert is_transient(WriteConcernError("waiting for replication timed out", 64))
    mixed = {"writeErrors": [{"index": 0, "code": 121}], "writeConcernErrors": [{"code": 64}]}
    assert is_transient(BulkWriteError(mixed))


def test_a_refused_document_does_not_keep_others_from_a_repetition() -> None:
    """A right that is missing does."""
    assert is_transient(bulk(121, 112))
    assert not is_transient(bulk(13, 112))


def test_what_the_server_labels_as_retryable_is_repeated() -> None:
    """Whatever its code is."""
    error = OperationFailure("what", 2, {"code": 2, "errorLabels": ["RetryableWriteError"]})
    error._add_error_label("RetryableWriteError")
    assert is_transient(error)


def test_a_wrong_password_is_told_from_a_missing_right() -> None:
    """One is mended in MONGO_URI, the other at the server."""
    wrong = str(translate(refused(18, "Authentication failed."), "look at the users"))
    assert "rejects the user name or the password" in wrong
    assert "?authSource=admin" in wrong
    missing = str(translate(refused(13), "claim users"))
    assert "does not let this account claim users" in missing
    assert "authSource" not in missing


def test_atlas_is_quoted_and_its_refused_login_is_a_refused_login() -> None:
    """The code 8000 says many things."""
    quota = "you are over your space quota, using 512 MB of 512 MB"
    assert quota in str(translate(refused(8000, quota), "claim users"))
    login = translate(refused(8000, "bad auth : authentication failed"), "look at the users")
    assert "rejects the user name" in str(login)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused(121), True),
        (refused(10334), True),
        (bulk(121, 17419), True),
        (bulk(121, 112), False),
        (WriteError("a unique index", 11000), True),
        (WriteError("no right", 13), False),
        (refused(112), False),
        (PyMongoError("what"), False),
    ],
)
def test_a_refusal_of_single_documents_is_known(error: PyMongoError, expected: bool) -> None:
    """Others can be written then."""
    assert is_about_documents(error) is expected


OPTIONS = [
    ("compressors=snappy,zlib", "compressors"),
    ("appName=a&appName=b", "appName"),
    ("useNewUrlParser=true", "useNewUrlParser"),
]


@pytest.mark.parametrize(("options", "name"), OPTIONS)
def test_an_option_of_another_driver_is_a_warning_that_names_it(
    options: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Addresses are copied from programs in other languages."""
    file = tmp_path / "env"
    file.touch()
    uri = f"mongodb://user:hunter-2-password@127.0.0.1/bot?{options}"
    settings, _ = load(file, {"MONGO_URI": uri})
    with caplog.at_level(logging.WARNING):
        connect(settings).close()
    assert f"does not use the option {name}" in caplog.text
    assert "hunter" not in caplog.text


def test_a_pass_goes_on_with_such_an_option(ozh: Ozh, users: Users) -> None:
    """And exits 0."""
    users.insert_one(discount_user())
    between = "&" if "?" in ozh.environment["MONGO_URI"] else "/?"
    uri = ozh.environment["MONGO_URI"] + f"{between}useNewUrlParser=true"
    result = ozh("discount", "--json", MONGO_URI=uri)
    assert result.json()["sent"] == 1
    assert "the option useNewUrlParser" in result.err


def test_a_file_of_certificates_that_is_not_there_is_named(ozh: Ozh) -> None:
    """And which option names it."""
    uri = "mongodb://user:hunter-2-password@127.0.0.1/bot?tls=true&tlsCAFile=/nowhere/ca.pem"
    result = ozh("discount", "--dry-run", MONGO_URI=uri)
    assert result.code == 78
    assert "tlsCAFile: the file /nowhere/ca.pem cannot be read" in result.err
    assert "hunter" not in result.err
