"""What only looks: no byte of the database changes, and an account that may only read is enough."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.cli.test_cli import wait_until
from tests.conftest import PASSWORD, Ozh
from tests.helpers.users import (
    Client,
    Users,
    ago,
    bonus_user,
    discount_user,
    user,
)

FAR = datetime.fromisoformat("9999-12-31T00:00:00+00:00")


def delivery(state: str, **fields: Any) -> dict[str, Any]:
    """A delivery of the discount, as the part of a user document."""
    kept = {"state": state, "run": "run-1", "at": ago(hours=2), "attempts": 1, **fields}
    return {"ozh_notify": {"discount": kept}}


def everybody() -> list[dict[str, Any]]:
    """Users a command that writes would find something to write to."""
    return [
        *(discount_user() for _ in range(3)),
        *(bonus_user() for _ in range(3)),
        *(user() for _ in range(3)),
        # A sweep would make this one unknown.
        discount_user(**delivery("sending", claim="c", hold_until=ago(hours=1))),
        discount_user(**delivery("unknown", claim="c", hold_until=FAR)),
        discount_user(**delivery("sent", hold_until=FAR)),
        discount_user(ozh_notify={"muted": True}),
        user(telegram_id=77, ozh_notify=None),
    ]


def bytes_of(users: Users) -> list[bytes]:
    """Every document, byte for byte."""
    raw = CodecOptions(document_class=RawBSONDocument)
    found = users.with_options(codec_options=raw).find().sort("_id", 1)
    return [document.raw for document in found]


def held_by(client: Client) -> dict[str, dict[str, dict[str, Any]]]:
    """The server's own list of databases, collections and indexes."""
    return {
        base: {
            name: dict(client[base][name].index_information())
            for name in client[base].list_collection_names()
        }
        for base in client.list_database_names()
        if base not in ("config", "local")
    }


LOOKS = (*("check", "status", "indexes --json", "explain discount 77", "discount --dry-run"),)


@pytest.mark.long
def test_what_only_looks_leaves_every_document_and_every_list_as_it_is(
    ozh: Ozh, users: Users, mongo_client: Client, bot_api: BotApiServer
) -> None:
    """Not even a lapsed claim is swept, no index is made, nobody is messaged."""
    users.insert_many(everybody())
    before = bytes_of(users), held_by(mongo_client)
    for look in LOOKS:
        result = ozh(*look.split())
        assert result.code == 0, (look, result.out, result.err)
        assert (bytes_of(users), held_by(mongo_client)) == before, look
    # Nor is a collection made by looking at one that is not there.
    assert ozh("check", OZH_USERS_COLLECTION="nobody").code == 78
    assert ozh("status", OZH_USERS_COLLECTION="nobody").code == 0
    assert ozh("indexes", "--create", OZH_USERS_COLLECTION="nobody").code == 78
    assert (bytes_of(users), held_by(mongo_client)) == before
    asked = bot_api.control.requests()["by_method"]
    assert set(asked) <= {"getMe"}, asked


def test_a_command_that_writes_is_told_apart_by_the_same_comparison(
    ozh: Ozh, users: Users, mongo_client: Client
) -> None:
    """The proof above can fail."""
    users.insert_many(everybody())
    before = bytes_of(users), held_by(mongo_client)
    assert ozh("mute", "77").code == 0
    assert bytes_of(users) != before[0]
    assert held_by(mongo_client) == before[1]
    assert ozh("indexes", "--create").code == 0
    assert held_by(mongo_client) != before[1]


ACCOUNTS = {
    "reader": ["read"],
    "writer": ["readWrite"],
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address, without credentials, of a server that demands them; users are in `bot`."""
    beside = Path(sys.executable).with_name("secantusd-py")
    program = shutil.which("secantusd-rs") or (str(beside) if beside.exists() else None)
    if program is None:
        pytest.skip("no embedded server with authentication is installed")
    folder, port = tmp_path_factory.mktemp("guarded"), mongo.free_port()
    address = f"127.0.0.1:{port}/bot?directConnection=true"

    @contextmanager
    def running(*more: str) -> Iterator[None]:
        command = [program, "--port", str(port), "--storage-path", str(folder / "data"), *more]
        with (
            open(folder / "log", "ab") as log,
            subprocess.Popen([*command, "--cache-size", "256M"], stdout=log, stderr=log) as process,
        ):
            try:
                with Client(f"mongodb://{address}") as client:
                    wait_until(lambda: bool(client.admin.command("ping")), "the server")
                yield
            finally:
                mongo.stop(process)

    with running(), Client(f"mongodb://{address}") as client:
        client.bot.users.insert_many(everybody())
        for name, roles in ACCOUNTS.items():
            client.bot.command("createUser", name, pwd=PASSWORD, roles=roles)
        privilege = {
            "resource": {"db": "bot", "collection": "users"},
            "actions": ["find", "update", "listIndexes", "createIndex"],
        }
        journal = {
            "resource": {"db": "bot", "collection": "ozh_notify_journal"},
            "actions": ["find", "insert", "update", "listIndexes", "createIndex"],
        }
        client.bot.command("createRole", "ozh", privileges=[privilege, journal], roles=[])
        client.bot.command("createUser", "least", pwd=PASSWORD, roles=["ozh"])
    with running("--auth"):
        yield address


def as_(name: str, guarded: str, password: str = PASSWORD) -> dict[str, Any]:
    """The variables of an account."""
    return {"MONGO_URI": f"mongodb://{name}:{password}@{guarded}", "MONGO_DB_NAME": None}


@pytest.mark.long
def test_an_account_that_may_only_read_is_enough_for_what_only_looks(
    ozh: Ozh, guarded: str
) -> None:
    """And each command that writes says that it may not, with 78 and in words."""
    reader = as_("reader", guarded)
    for look in LOOKS:
        if not look.startswith("check"):
            result = ozh(*look.split(), **reader)
            assert result.code == 0, (look, result.err)
    checked = ozh("check", "--json", **reader)
    assert checked.code == 0, checked.out
    [line] = [one for one in checked.json()["results"] if one["subject"] == "account"]
    assert line["verdict"] == "ok"
    assert len(checked.json()["results"]) > 20
    for write in ("mute 77", "indexes --create", "discount"):
        refused = ozh(*write.split(), **reader)
        assert refused.code == 78, (write, refused.err)
        assert "MongoDB does not let this account" in refused.err, write
        assert "Traceback" not in refused.err
        assert "left in sending" not in refused.err, "an account that may not update claims nobody"


@pytest.mark.long
@pytest.mark.parametrize("name", ACCOUNTS)
def test_an_account_is_named_where_its_rights_cannot_be_seen(
    name: str, ozh: Ozh, guarded: str
) -> None:
    """Nothing is guessed from the names of roles; ``privileges_results`` is tested by itself."""
    result = ozh("check", "--json", **as_(name, guarded))
    assert result.code == 0, result.out
    [line] = [one for one in result.json()["results"] if one["subject"] == "account"]
    assert line["verdict"] == "ok"
    assert line["finding"] == f"{name}@bot; its rights cannot be seen from here"


def test_the_least_role_is_enough_for_everything(
    ozh: Ozh, guarded: str, bot_api: BotApiServer
) -> None:
    """Also to create indexes, to mute, and for a pass."""
    least = as_("least", guarded)
    for command in ("indexes --create", "mute 77", "discount --json"):
        result = ozh(*command.split(), **least)
        assert result.code == 0, (command, result.err)
    assert len(bot_api.control.messages()) == 3


@pytest.mark.long
@pytest.mark.parametrize("name", ["nobody", "reader"])
def test_a_wrong_account_or_none_is_a_problem_of_the_configuration(
    name: str, ozh: Ozh, guarded: str
) -> None:
    """One line, with the variable's name, and no part of the password."""
    wrong = as_(name, guarded, password="wrong-p4ss")
    none = {"MONGO_URI": f"mongodb://{guarded}", "MONGO_DB_NAME": None}
    for variables in (wrong, none) if name == "nobody" else (wrong,):
        result = ozh("check", "--json", **variables)
        assert result.code == 78
        results = result.json()["results"]
        [told] = [one["finding"] for one in results if one["verdict"] == "problem"]
        assert "MONGO_URI" in told
        assert "MongoDB rejects" in told or "MongoDB does not let this account" in told
        assert "wrong-p4ss" not in result.out + result.err
