"""``ozh-notify indexes``: what is recommended, what exists, and creating what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pymongo
import pytest

from ozh_notify.campaigns import Index, registry
from ozh_notify.config import load as load_module
from ozh_notify.mongo.operator_queries import BUILD_LIMIT, OperatorQueries
from ozh_notify.users.indexes import compare, existing, recommended
from tests.cli.test_cli import on_a_terminal
from tests.conftest import Ozh
from tests.helpers.mongo_commands import heard
from tests.helpers.users import Users, user

USERS = ["ozh_discount", "ozh_discount_claim", "ozh_daily_bonus", "ozh_daily_bonus_claim"]
JOURNAL = [
    f"ozh_journal_{name}" for name in ("state", "run", "previous", "user", "judge", "expires")
]
NAMES = [*USERS, *JOURNAL]


def listed(tmp_path: Path, **variables: str) -> list[Index]:
    """The recommended indexes under the given variables."""
    file = tmp_path / "empty.env"
    file.touch()
    loaded, _ = load_module.load(file, {"MONGO_URI": "mongodb://h/db", **variables})
    return recommended(kind(loaded) for kind in registry().values())


# --- the command ---


def test_what_is_missing_is_shown_and_created_only_when_asked(ozh: Ozh, users: Users) -> None:
    """Names, what each is for, and the way on; then sizes, and nothing left to create."""
    users.insert_many([user() for _ in range(50)])
    shown = ozh("indexes", "--json").json()
    assert shown["missing"] == [one["name"] for one in shown["indexes"]] == NAMES
    assert shown["created"] == []
    assert all(one["purpose"] and one["keys"] for one in shown["indexes"])
    table = ozh("indexes")
    assert table.code == 0
    assert "To create what is missing: ozh-notify indexes --create" in table.out
    assert table.out.count("missing") == len(NAMES) + 1
    assert list(users.index_information()) == ["_id_"]
    made = ozh("indexes", "--create", "--json")
    assert made.code == 0, made.err
    assert (made.json()["created"], made.json()["missing"]) == (NAMES, [])
    assert [one["as"] for one in made.json()["indexes"]] == NAMES
    assert all(isinstance(one["size_bytes"], int) for one in made.json()["indexes"])
    assert set(users.index_information()) == {"_id_", *USERS}
    journal = users.database.ozh_notify_journal.index_information()
    assert set(journal) == {"_id_", *JOURNAL}
    assert journal["ozh_journal_expires"]["expireAfterSeconds"] == 0
    again = ozh("indexes", "--create")
    assert again.code == 0
    assert "nothing to create" in again.out
    assert "creating" not in again.err


def test_creating_says_how_far_it_is_on_stderr(ozh: Ozh, users: Users) -> None:
    """A line an index; stdout keeps the result."""
    users.insert_one(user())
    made = ozh("indexes", "--create")
    for name in NAMES:
        assert f"creating {name} ... done in " in made.err
        assert f"creating {name}" not in made.out
    assert f"created: {', '.join(NAMES)}" in made.out
    _, shown = on_a_terminal(ozh, "indexes", COLUMNS="80", NO_COLOR="1")
    narrow = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # NO_COLOR keeps bold
    assert max(len(row) for row in narrow.splitlines() if row.startswith("│")) <= 80
    assert "ozh_daily_bonus_claim" in narrow


def test_an_equal_index_under_another_name_counts_and_none_is_dropped(
    ozh: Ozh, users: Users, tmp_path: Path
) -> None:
    """The same keys and filter, however written; others stay whatever they are."""
    users.insert_one(user())
    discount, _, bonus, _ = listed(tmp_path)
    partial = {"$and": [{"generations_count": {"$eq": 1}}, {"balance": 0}]}
    users.create_index(list(discount.keys), name="mine", partialFilterExpression=partial)
    users.create_index([("balance", 1)], name="ozh_daily_bonus")
    before = users.index_information()
    made = ozh("indexes", "--create", "--json").json()
    others = ["ozh_discount_claim", "ozh_daily_bonus_2", "ozh_daily_bonus_claim"]
    assert made["created"] == [*others, *JOURNAL]
    after = users.index_information()
    assert [one["as"] for one in made["indexes"]][:1] == ["mine"]
    assert {name: after[name] for name in before} == before
    assert after["ozh_daily_bonus_2"]["key"] == list(bonus.keys)
    assert made["missing"] == []


def test_a_hidden_index_is_told_of_and_left_hidden(ozh: Ozh, users: Users, tmp_path: Path) -> None:
    """Somebody hid it; MongoDB would refuse a second one beside it."""
    users.insert_one(user())
    bonus = listed(tmp_path)[2]
    users.create_index(list(bonus.keys), name="hid", hidden=True)
    made = ozh("indexes", "--create")
    assert made.code == 0, made.err
    assert "hid is hidden: in mongosh, db.users.unhideIndex('hid')" in made.out
    assert "ozh_daily_bonus" not in users.index_information()
    shown = ozh("indexes", "--json").json()
    assert shown["missing"] == ["ozh_daily_bonus"]


def test_a_collection_is_never_made_by_creating_indexes(ozh: Ozh, users: Users) -> None:
    """A mistyped name is exit 78."""
    users.insert_one(user())
    for create in ((), ("--create",)):
        result = ozh("indexes", *create, OZH_USERS_COLLECTION="user")
        assert result.code == (78 if create else 0), result.err
    assert "is OZH_USERS_COLLECTION right?" in result.err
    assert users.database.list_collection_names() == ["users"]


def test_other_field_names_make_other_keys(ozh: Ozh, users: Users) -> None:
    """The mapping's, also dotted ones, and the state field's."""
    users.insert_one(user())
    named: dict[str, Any] = {
        "OZH_FIELD_BALANCE": "wallet.left",
        "OZH_FIELD_REGISTERED_AT": "created",
        "OZH_STATE_FIELD": "delivery",
    }
    assert ozh("indexes", "--create", **named).code == 0
    made = users.index_information()
    assert made["ozh_discount"]["partialFilterExpression"]["wallet.left"] == 0
    assert [key for key, _ in made["ozh_daily_bonus"]["key"]] == [
        *("daily_bonus_claimed_today", "delivery.daily_bonus.hold_until", "created"),
    ]
    assert ozh("indexes", "--json").json()["missing"] == USERS


async def test_a_build_may_take_longer_than_any_read(ozh: Ozh, users: Users) -> None:
    """The time limit that goes along with it is days, not the client's minute."""
    users.insert_one(user())
    loaded, _ = load_module.load(None, ozh.environment)
    [index, *_] = recommended(kind(loaded) for kind in registry().values())
    with heard("createIndexes") as commands:
        async with OperatorQueries(loaded) as desk:
            await desk.create(index, index.name)
    [command] = commands
    assert command["maxTimeMS"] > BUILD_LIMIT * 900


def test_a_refusal_of_the_server_is_said_in_words(
    ozh: Ozh, users: Users, mongo_client: pymongo.MongoClient[dict[str, Any]]
) -> None:
    """78, with which index and its reason; what was created before it stays."""
    users.insert_one(user())
    fail = {"failCommands": ["createIndexes"], "errorCode": 67}
    try:
        mongo_client.admin.command("configureFailPoint", "failCommand", mode={"skip": 1}, data=fail)
        result = ozh("indexes", "--create")
    finally:
        mongo_client.admin.command("configureFailPoint", "failCommand", mode="off")
    assert result.code == 78, result.err
    assert "creating ozh_discount_claim ... failed" in result.err
    assert "MongoDB refused to create the index ozh_discount_claim" in result.err
    assert "Traceback" not in result.err
    assert set(users.index_information()) == {"_id_", "ozh_discount"}


# --- comparing, as pure values ---


@pytest.mark.parametrize(
    ("changed", "found", "usable"),
    [
        ({}, True, True),
        ({"v": 2, "background": True}, True, True),
        ({"sparse": True}, True, False),
        ({"hidden": True}, True, False),
        ({"collation": {"locale": "ru"}}, True, False),
        ({"unique": True}, True, True),
        ({"partialFilterExpression": {"balance": 0}}, False, False),
        ({"key": {"daily_bonus_claimed_today": -1}}, False, False),
    ],
    ids=str,
)
def test_an_index_is_as_good_when_keys_and_filter_are_the_same(
    changed: dict[str, Any], found: bool, usable: bool, tmp_path: Path
) -> None:
    """And no option keeps the planner from using it."""
    bonus = listed(tmp_path)[2]
    description = {"name": "mine", "key": dict(bonus.keys), **changed}
    [standing] = compare([bonus], existing([description], {"mine": 4096}))
    assert (standing.existing is not None, standing.usable) == (found, usable)
    if found:
        assert standing.as_json()["size_bytes"] == 4096
    if "unique" in changed:
        assert standing.extra_options == "unique: True"


def test_the_usable_one_of_two_is_taken(tmp_path: Path) -> None:
    """Whichever the server lists first."""
    bonus = listed(tmp_path)[2]
    [one] = existing([{"name": "a", "key": dict(bonus.keys), "hidden": True}])
    [two] = existing([{"name": "b", "key": dict(bonus.keys)}])
    for have in ([one, two], [two, one]):
        [standing] = compare([bonus], have)
        assert standing.existing is two
        assert standing.usable


def test_what_an_earlier_version_made_is_named_and_dropped_only_when_asked(
    ozh: Ozh, users: Users, tmp_path: Path
) -> None:
    """The users' collection carries no index of states any more; others stay."""
    users.insert_one(user())
    old = listed(tmp_path, OZH_JOURNAL_COLLECTION="off")
    assert [one.name for one in old][1::2] == ["ozh_discount_state", "ozh_daily_bonus_state"]
    for index in old:
        partial: dict[str, Any] = {"partialFilterExpression": index.partial}
        partial = partial if index.partial else {}
        users.create_index(list(index.keys), name=f"{index.name}_x", **partial)
    users.create_index([("balance", 1)], name="mine")
    names = ["ozh_discount_state_x", "ozh_daily_bonus_state_x"]
    shown = ozh("indexes", "--create", "--json").json()
    assert (sorted(shown["old"]), shown["dropped"]) == (sorted(names), [])
    assert set(names) < set(users.index_information())
    assert "needed no more" in ozh("indexes").out
    dropped = ozh("indexes", "--drop-old", "--json").json()
    assert (dropped["old"], sorted(dropped["dropped"])) == ([], sorted(names))
    assert not set(names) & set(users.index_information())
    assert "mine" in users.index_information()
    assert ozh("indexes", "--json", OZH_JOURNAL_COLLECTION="off").json()["old"] == []
