"""No secret in any output, at any verbosity, on any path; nor in the database."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymongo
import pytest

from ozh_notify import logs
from ozh_notify.config.load import load
from ozh_notify.logs import Redactor
from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.campaigns.test_campaigns import install
from tests.cli.test_cli import wait_until
from tests.conftest import API_KEY, PASSWORD, TOKEN, Finished, Ozh
from tests.helpers.parameters import first_and_long
from tests.helpers.users import Users, discount_user

SECRET_PART = TOKEN.partition(":")[2]
ODD = 'odd"p\\w@rd/%-Ж'
"""A password whose written form differs from what it is, in a URI and in JSON."""
LOUD = ("-v", "discount", "--json")
NOWHERE = {"OZH_TELEGRAM_API_URL": "https://nowhere.invalid"}

TELLTALE = """
import logging
import warnings

from ozh_notify.campaigns.discount import Discount


def told(settings):
    hidden = (settings.mongo_uri, settings.token, settings.api_key, settings.telegram_proxy)
    return " | ".join(secret.get_secret_value() for secret in hidden if secret)


class Telltale(Discount):
    name = "telltale"
    summary = "Says everything it knows."

    def template_variables(self):
        secrets = told(self.settings)
        logging.getLogger("some.library").warning("connecting to %s", secrets)
        logging.getLogger("some.library").error("as an object", extra={"address": secrets})
        try:
            raise ValueError(secrets)
        except ValueError:
            logging.getLogger("some.library").exception("failed")
            raise RuntimeError(f"while connecting to {secrets}")
"""


def proxy(scheme: str, port: int = 1) -> dict[str, Any]:
    """A proxy with a password; nobody listens on port 1."""
    return {"OZH_TELEGRAM_PROXY": f"{scheme}://user:{PASSWORD}@127.0.0.1:{port}"}


def with_password(uri: str, password: str = PASSWORD) -> str:
    """A MongoDB address with credentials."""
    return uri.replace("mongodb://", f"mongodb://user:{quote(password, safe='')}@")


WAYS: dict[str, tuple[int, dict[str, Any]]] = {
    "Telegram is down": (69, {"OZH_TELEGRAM_API_URL": "http://127.0.0.1:1"}),
    "Telegram's name is unknown": (69, NOWHERE),
    "the proxy is down": (69, {**proxy("http"), **NOWHERE}),
    "the SOCKS proxy is down": (69, {**proxy("socks5"), **NOWHERE}),
    "the environment's proxy is down": (
        *(69, {"HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:1", **NOWHERE}),
    ),
    "a wrong token": (78, {"TELEGRAM_BOT_TOKEN": f"1{TOKEN}"}),
    "a token of a wrong shape": (78, {"TELEGRAM_BOT_TOKEN": f"bot {SECRET_PART}"}),
    "a URI of a wrong shape": (78, {"MONGO_URI": f"mongo://user:{PASSWORD}@h/db"}),
    "a proxy of a wrong shape": (78, {"OZH_TELEGRAM_PROXY": f"user:{PASSWORD}@127.0.0.1:1"}),
    "MongoDB's name is unknown": (69, {"MONGO_URI": f"mongodb+srv://u:{PASSWORD}@nowhere.invalid"}),
}


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("way", first_and_long(WAYS))
def test_no_failure_shows_a_secret(way: str, log_format: str, ozh: Ozh, users: Users) -> None:
    """The fixture looks for every secret in every output; here is where they are tempted out."""
    users.insert_one(discount_user())
    code, extra = WAYS[way]
    result = ozh(*LOUD, OZH_LOG_FORMAT=log_format, **extra)
    assert result.code == code, result.err
    assert result.json()["error"]
    assert "Traceback" not in result.err


def test_mongodb_being_down_shows_no_password(ozh: Ozh) -> None:
    """The server's address is told, without the credentials before it."""
    result = ozh(*LOUD, "--dry-run", MONGO_URI=f"mongodb://user:{PASSWORD}@127.0.0.1:1/db")
    assert result.code == 69, result.err
    assert "MongoDB cannot be reached" in result.json()["error"]
    assert "127.0.0.1:1: [Errno" in result.json()["error"]


@contextmanager
def guarded(folder: Path, password: str) -> Iterator[str]:
    """A server that demands SCRAM: started once to make the user, then with authentication."""
    beside = Path(sys.executable).with_name("secantusd-py")
    program = shutil.which("secantusd-rs") or (str(beside) if beside.exists() else None)
    if program is None:
        pytest.skip("no embedded server with authentication is installed")
    port = mongo.free_port()

    @contextmanager
    def running(*more: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
        command = [program, "--port", str(port), "--storage-path", str(folder), *more]
        with (
            open(folder.with_suffix(".log"), "ab") as log,
            subprocess.Popen(
                [*command, "--cache-size", "256M"], stdout=log, stderr=log, cwd=folder.parent
            ) as process,
            pymongo.MongoClient[dict[str, Any]](
                f"mongodb://127.0.0.1:{port}/?directConnection=true"
            ) as client,
        ):
            try:
                wait_until(lambda: bool(client.admin.command("ping")), "the server")
                yield client
            finally:
                client.close()  # it would look for a server that has ended for half a minute
                mongo.stop(process)

    with running() as client:
        client.admin.command("createUser", "user", pwd=password, roles=["root"])
    with running("--auth"):
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true&authSource=admin"


@pytest.mark.long
def test_an_odd_password_opens_and_stays_hidden_and_a_wrong_one_is_a_configuration_error(
    ozh: Ozh, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """By SCRAM, against a server that demands it."""
    with guarded(tmp_path / "data", ODD) as uri:
        right = with_password(uri, ODD)
        with pymongo.MongoClient[dict[str, Any]](right) as client:
            client.bot.users.insert_one(discount_user())
        sent = ozh(*LOUD, MONGO_URI=right, MONGO_DB_NAME="bot")
        assert (sent.code, sent.json()["sent"]) == (0, 1), sent.err
        wrong = ozh(*LOUD, MONGO_URI=with_password(uri), MONGO_DB_NAME="bot")
        none = ozh(*LOUD, MONGO_URI=uri, MONGO_DB_NAME="bot")
    for result in (wrong, none):
        assert result.code == 78, result.err
        error = result.json()["error"]
        assert "MONGO_URI" in error or "does not let this account" in error
    for output in ozh.outputs:
        assert ODD not in output
        assert quote(ODD, safe="") not in output
        assert json.dumps(ODD, ensure_ascii=False)[1:-1] not in output


@pytest.fixture
def telltale(ozh: Ozh, tmp_path: Path, mongo_uri: str) -> Callable[..., Finished]:
    """A campaign of another package that logs and raises every secret there is."""
    path = install(tmp_path / "site", "telltale = telltale:Telltale", {"telltale.py": TELLTALE})

    def run(**extra: Any) -> Finished:
        uri = with_password(mongo_uri, ODD)
        return ozh("-v", "telltale", "--json", PYTHONPATH=path, MONGO_URI=uri, **extra)

    return run


@pytest.mark.long
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_neither_a_traceback_nor_a_librarys_log_line_shows_a_secret(
    log_format: str, telltale: Callable[..., Finished], mongo_uri: str
) -> None:
    """Whatever a library or a bug says passes through the same filter."""
    result = telltale(OZH_LOG_FORMAT=log_format, **proxy("socks5"))
    assert result.code == 70
    assert "RuntimeError: while connecting to ***" in result.err
    assert "connecting to ***" in result.err
    assert "ValueError: ***" in result.err
    for shape in (ODD, quote(ODD, safe=""), json.dumps(ODD, ensure_ascii=False)[1:-1]):
        assert shape not in result.out + result.err
    if log_format == "json":
        lines = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
        [with_object] = [line for line in lines if line["message"] == "as an object"]
        assert with_object["address"].startswith("***")


ECHO = f"Bad Request: chat of https://api.example/bot{TOKEN}/sendMessage {API_KEY} {'x' * 300}"


@pytest.mark.long
@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ({"do": "error", "code": 400, "description": ECHO}, "rejected"),
        ({"do": "error", "code": 403, "description": ECHO}, "unreachable"),
        ({"do": "error", "code": 400, "description": "x" * 180 + ECHO}, "rejected"),
    ],
)
def test_no_stored_error_holds_a_secret(
    rule: dict[str, Any], state: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A reply that echoes the address is cut down too, before it is shortened."""
    users.insert_many([discount_user(), discount_user()])
    bot_api.control.rules([{**rule, "skip": 1}])
    result = ozh("-v", "discount", "--json")
    assert result.json()[state] == 1, result.err
    stored = [user["ozh_notify"]["discount"].get("error", "") for user in users.find()]
    assert sorted(map(len, stored)) == [0, 200]
    for error in stored:
        assert SECRET_PART[:8].lower() not in error.lower()
        assert API_KEY[:12].lower() not in error.lower()


def test_a_sample_that_fails_shows_no_secret(ozh: Ozh, bot_api: BotApiServer) -> None:
    """Telegram's words are passed on, without what they may echo."""
    bot_api.control.rules([{"do": "error", "code": 400, "description": ECHO}])
    result = ozh("-v", "discount", "--test-to", "5", "--json")
    assert result.code == 78
    assert "hat of https://api.example" in result.json()["error"]


# --- the filter itself ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://api.telegram.org/bot{TOKEN}/getMe", "https://api.telegram.org/bot***/getMe"),
        (f"bot[{TOKEN!r}]", "bot['***']"),
        ("mongodb://u:pa%20ss@h/db", "mongodb://***@h/db"),
        ("http://u:a:b@h and socks5://x:y@i", "http://***@h and socks5://***@i"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("at 10:15:00, 12345:6", "at 10:15:00, 12345:6"),
    ],
)
def test_the_shapes_of_secrets_are_known(text: str, shown: str) -> None:
    """Before any settings are read, and for addresses that are no setting."""
    assert Redactor()(text) == shown


def test_longer_secrets_are_replaced_before_what_they_contain() -> None:
    """No rest of one stays."""
    assert Redactor(["secret", "secret-and-more"])("secret-and-more secret") == "*** ***"


def test_every_secret_of_the_settings_is_known_in_each_of_its_forms(tmp_path: Path) -> None:
    """As written in an address, and as what it stands for."""
    file = tmp_path / "empty.env"
    file.touch()
    environ = {
        "MONGO_URI": with_password("mongodb://h/db", ODD),
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "API_KEY": API_KEY,
        "OZH_TELEGRAM_PROXY": f"http://user:{quote(PASSWORD[::-1] + '@', safe='')}@h:1",
    }
    redact = Redactor(load(file, environ)[0].secrets)
    hidden = (ODD, quote(ODD, safe=""), TOKEN, SECRET_PART, API_KEY, PASSWORD[::-1] + "@")
    for secret in (*hidden, *environ.values()):
        assert redact(f"<{secret}>") == "<***>"


@pytest.mark.parametrize("kind", ["text", "json"])
def test_arguments_extras_and_tracebacks_are_redacted(kind: Any) -> None:
    """Wherever in a log record a secret is."""
    stream, root = StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.setup(kind, Redactor([PASSWORD]), verbose=True, stream=stream)
        log = logging.getLogger("ozh_notify.test")
        try:
            raise ValueError(PASSWORD)
        except ValueError:
            log.exception("%s", {"key": PASSWORD}, extra={"more": [PASSWORD]})
        logging.getLogger("httpx").info("GET %s", PASSWORD)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    assert "ValueError: ***" in stream.getvalue()
    assert PASSWORD not in stream.getvalue()
    assert "GET" not in stream.getvalue()
