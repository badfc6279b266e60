"""How the users' collection is read: each document once."""

from __future__ import annotations

from typing import Any

from ozh_notify.config.load import load
from ozh_notify.mongo.users_collection import UsersCollection, projection


class Twice:
    """A cursor over a collection that is written to: it may return a document twice."""

    async def to_list(self, _: None) -> list[dict[str, Any]]:
        return [{"_id": 1, "n": "old"}, {"_id": 2}, {"_id": 1, "n": "new"}]


async def test_a_document_that_a_cursor_returns_twice_is_listed_once(mongo_uri: str) -> None:
    """MongoDB documents it for unsorted cursors; the later version counts."""
    settings, _ = load(None, {"MONGO_URI": mongo_uri, "MONGO_DB_NAME": "x"})
    async with UsersCollection(settings) as db:
        found = await db.fetch_all(Twice(), "list users")
    assert found == [{"_id": 1, "n": "new"}, {"_id": 2}]


def test_a_path_inside_another_one_is_not_asked_for_twice() -> None:
    """MongoDB refuses such a projection."""
    assert projection("_id.telegram", "a.b", "a", "c") == {"_id": 1, "a": 1, "c": 1}
