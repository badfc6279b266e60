"""Queries of `mute` and `unmute`: one user, all campaigns, `<state field>.muted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ozh_notify.errors import ConfigError
from ozh_notify.mongo.errors import with_time_limit
from ozh_notify.mongo.operator_queries import OperatorQueries
from ozh_notify.users.audience import CAN_HOLD_FIELDS, Filter
from ozh_notify.users.recipient import MISSING, at_path
from ozh_notify.users.state_update import set_deep


class MuteQueries:
    """Mutes and unmutes, which may be repeated. A user claimed already still gets the message."""

    def __init__(self, operator: OperatorQueries) -> None:
        self._find, self._users = operator.find, operator.users
        self._field = operator.settings.state_field

    async def mute(self, user: str) -> tuple[int, int]:
        """Mute a user: how many documents there are, and how many were changed.

        Raises:
            ConfigError: no user has that name, or a state field cannot hold it; nothing is written.
        """
        field = self._field
        found = await self._find(user)
        self._writable(found)
        # A pipeline: a plain `$set` of a path fails where the state field is null.
        update = [{"$set": set_deep(f"{field}.muted", True)}]
        where = {field: CAN_HOLD_FIELDS, f"{field}.muted": {"$ne": True}}
        return len(found), await self._write(found, where, update)

    async def unmute(self, user: str) -> tuple[int, int]:
        """Take the mute away. Returns and raises what :meth:`mute` does."""
        path = f"{self._field}.muted"
        found = await self._find(user)
        self._writable(found)
        where = {self._field: CAN_HOLD_FIELDS, path: {"$exists": True}}
        return len(found), await self._write(found, where, {"$unset": {path: ""}})

    def _writable(self, found: Sequence[Mapping[str, Any]]) -> None:
        field = self._field
        for user in found:
            value = at_path(user, field)
            if not (value is MISSING or value is None or isinstance(value, Mapping)):
                raise ConfigError(
                    f"user {user['_id']!r}: {field} is not an object, so nothing was written; "
                    "no campaign messages this user in any case"
                )

    async def _write(self, found: Sequence[Mapping[str, Any]], where: Filter, update: Any) -> int:
        """One update per document: the driver repeats these after a change of the primary."""
        changed = 0
        for user in found:
            with with_time_limit("change the user"):
                result = await self._users.update_one({"_id": user["_id"], **where}, update)
            changed += result.modified_count
        return changed
