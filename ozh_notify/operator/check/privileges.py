"""Pure: may this account read and update the users, and may it more than it needs?

Where the server tells no privileges, MongoDB's built-in roles are known by their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ozh_notify.operator.check.line import (
    CheckResult,
    ok,
    problem,
    warning,
)

ABOUT = "account"
NEEDED = ("find", "update")
"""Actions without which a pass cannot work; MongoDB's manual, "Privilege Actions"."""
UNNEEDED = ("insert", "remove", "dropCollection", "dropDatabase", "createUser", "grantRole")
"""Actions this program never uses; who has one of them may do harm with it."""
ENOUGH_ROLE = "a role with find, update, listIndexes and createIndex on {} is enough"

READS = frozenset({"find"})
WRITES = frozenset({"find", "update", "insert", "remove", "dropCollection"})
OWNS = WRITES | {"dropDatabase", "createUser", "grantRole"}
BUILT_IN: dict[str, tuple[frozenset[str], bool]] = {
    "read": (READS, False),
    "readWrite": (WRITES, False),
    "dbOwner": (OWNS, False),
    "readAnyDatabase": (READS, True),
    "readWriteAnyDatabase": (WRITES, True),
    "root": (OWNS, True),
    "atlasAdmin": (OWNS, True),
    "backup": (READS, True),
}
"""Actions of MongoDB's built-in roles on users, and whether in every database."""

Account = Mapping[str, Any]


def privileges_result(account: Account, database: str, collection: str) -> CheckResult:
    """What ``authInfo`` of ``connectionStatus`` says of an account, as one line."""
    users = account.get("authenticatedUsers") or []
    place = f"{database}.{collection}"
    if not users:
        return warning(
            ABOUT,
            "the server asks for no password: whoever reaches it may read and change everything",
            "turn on access control, and name a user in MONGO_URI",
        )
    name = ", ".join(f"{user.get('user')}@{user.get('db')}" for user in users)
    actions = _actions(account, database, collection)
    if actions is None:
        return ok(ABOUT, f"{name}; what it may do cannot be seen from here")
    missing = [action for action in NEEDED if action not in actions]
    if missing:
        found = f"{name} may not {' or '.join(missing)} in {place}"
        return problem(ABOUT, found, "a pass could not claim anybody; a dry run works")
    more = [action for action in UNNEEDED if action in actions]
    if more:
        found = f"{name} may more than is needed: {', '.join(more)}"
        return warning(ABOUT, found, ENOUGH_ROLE.format(place))
    return ok(ABOUT, f"{name} may find and update in {place}, and nothing that does harm")


def _actions(account: Account, database: str, collection: str) -> set[str] | None:
    """What it may do with the users; None where that cannot be seen."""
    privileges = account.get("authenticatedUserPrivileges") or []
    if privileges:
        return {
            str(action)
            for privilege in privileges
            if _covers(privilege.get("resource", {}), database, collection)
            for action in privilege.get("actions", ())
        }
    return _by_roles(account.get("authenticatedUserRoles") or [], database)


def _by_roles(roles: Iterable[Mapping[str, Any]], database: str) -> set[str] | None:
    found: set[str] = set()
    for role in roles:
        if role.get("role") not in BUILT_IN:
            return None
        actions, everywhere = BUILT_IN[str(role["role"])]
        if everywhere or role.get("db") == database:
            found |= actions
    return found


def _covers(resource: Mapping[str, Any], database: str, collection: str) -> bool:
    """MongoDB's manual, "Resource Document": an empty name stands for all of them."""
    if resource.get("anyResource"):
        return True
    if "db" not in resource:
        return False
    of_database = resource["db"] in ("", database)
    return of_database and resource.get("collection", "") in ("", collection)
