"""``OZH_EXTRA_FILTER``: does the server accept it, which users match, do its fields exist?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ozh_notify.mongo.operator_queries import Document, OperatorQueries
from ozh_notify.operator.check.hints import likelier_field
from ozh_notify.operator.check.result import CheckResult, ok, problem, warning
from ozh_notify.users.extra_filter import missing_fields

SUBJECT = "OZH_EXTRA_FILTER"


async def extra_filter_results(
    queries: OperatorQueries, sample: list[Document]
) -> list[CheckResult]:
    """A problem for each field that no user has; otherwise how many of the sample match."""
    extra = queries.settings.extra_filter
    if not extra or not sample:
        return []
    ids = [user["_id"] for user in sample]
    left = await queries.count({"_id": {"$in": ids}, "$and": [extra]})
    found = f"leaves {left} of {len(ids)} users"
    if unknown := list(_unknown_fields(sample, extra)):
        return unknown
    if not left:
        return [warning(SUBJECT, found, "no campaign would message any of these users")]
    return [ok(SUBJECT, found)]


def _unknown_fields(sample: Sequence[Document], extra: Any) -> Iterator[CheckResult]:
    """Most likely a typo: a filter on a field that does not exist keeps nobody out."""
    for path in missing_fields(sample, extra):
        near = likelier_field(sample, "", path, lambda _: True)
        remedy = f"did you mean {near!r}?" if near else "a mistyped field keeps nobody out"
        found = f"the field {path!r} is in none of {len(sample)} users"
        yield problem(SUBJECT, found, remedy)
