"""Can the account do what a pass needs, and does it have more rights than needed? Pure.

``connectionStatus`` with ``showPrivileges`` tells the rights; some servers do not fill it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ozh_notify.operator.check.result import CheckResult, ok, problem, warning

SUBJECT = "account"
USERS_NEED = ("find", "update")
JOURNAL_NEEDS = ("find", "insert", "update")
"""Actions without which a pass fails; MongoDB's manual, "Privilege Actions"."""
UNNEEDED = ("insert", "remove", "dropCollection", "dropDatabase", "createUser", "grantRole")
"""Actions on the users that this program never uses; an attacker could do harm with them."""
SUFFICIENT = "a role with find, update, listIndexes and createIndex on {} is enough"

Account = Mapping[str, Any]
"""``authInfo`` of ``connectionStatus``."""


def privileges_results(
    account: Account, database: str, users: str, journal: str | None, *, signed_in: bool
) -> list[CheckResult]:
    """What the account may do with the users and with the journal.

    ``signed_in``: ``MONGO_URI`` names a user, whose login succeeded.
    """
    who = account.get("authenticatedUsers") or []
    name = ", ".join(f"{user.get('user')}@{user.get('db')}" for user in who)
    if not who and not signed_in:
        return [_open_server()]
    privileges = account.get("authenticatedUserPrivileges") or []
    if not privileges:
        named = f"{name}; its rights" if name else "signed in; its name and its rights"
        return [ok(SUBJECT, f"{named} cannot be seen from here")]
    needs = {users: USERS_NEED, **({journal: JOURNAL_NEEDS} if journal else {})}
    allowed = {place: _actions(privileges, database, place) for place in needs}
    lacking = [
        f"{' or '.join(missing)} in {database}.{place}"
        for place, actions in needs.items()
        if (missing := [action for action in actions if action not in allowed[place]])
    ]
    if lacking:
        found = f"{name} may not {', nor '.join(lacking)}"
        return [problem(SUBJECT, found, "a pass cannot claim anybody; a dry run works")]
    return [_enough(name, f"{database}.{users}", allowed[users])]


def _open_server() -> CheckResult:
    return warning(
        SUBJECT,
        "the server asks for no password: every machine that reaches it may read and change all",
        "turn on access control, and name a user in MONGO_URI",
    )


def _enough(name: str, place: str, actions: set[str]) -> CheckResult:
    more = [action for action in UNNEEDED if action in actions]
    if more:
        found = f"{name} has more rights than needed in {place}: {', '.join(more)}"
        return warning(SUBJECT, found, SUFFICIENT.format(place))
    return ok(SUBJECT, f"{name} may find and update in {place}, and nothing that does harm")


def _actions(privileges: Any, database: str, collection: str) -> set[str]:
    """What the account may do with a collection."""
    return {
        str(action)
        for privilege in privileges
        if _covers(privilege.get("resource", {}), database, collection)
        for action in privilege.get("actions", ())
    }


def _covers(resource: Mapping[str, Any], database: str, collection: str) -> bool:
    """MongoDB's manual, "Resource Document": an empty name stands for all of them."""
    if resource.get("anyResource"):
        return True
    if "db" not in resource:
        return False
    of_database = resource["db"] in ("", database)
    return of_database and resource.get("collection", "") in ("", collection)
