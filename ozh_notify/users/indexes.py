"""Recommended indexes, and which existing ones are equivalent; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ozh_notify.campaigns import Campaign, Index

ORDINARY = frozenset({"v", "key", "name", "ns", "partialFilterExpression", "background"})
"""What every index has, and what is compared separately."""
EXPIRES = "expireAfterSeconds"
DISABLING = frozenset({"hidden", "sparse", "collation"})
"""Options that keep the planner from answering this program's queries by an index."""


@dataclass(frozen=True)
class ExistingIndex:
    """An index as the server lists it; ``size`` in bytes where it is known."""

    name: str
    keys: tuple[tuple[str, Any], ...]
    partial: Mapping[str, Any] | None = None
    options: Mapping[str, Any] | None = None
    """Further options it was created with: unique, sparse, hidden, ..."""
    size: int | None = None


@dataclass(frozen=True)
class IndexStatus:
    """A recommended index, and the one that does its work, under whatever name."""

    index: Index
    existing: ExistingIndex | None
    name_to_create: str
    """The name to create it under: the recommended one, unless another index has it."""

    @property
    def usable(self) -> bool:
        """Whether the planner can use what exists."""
        options = (self.existing and self.existing.options) or {}
        return self.existing is not None and not DISABLING & options.keys()

    @property
    def hidden(self) -> bool:
        """Whether it only has to be unhidden: MongoDB builds no second one beside it."""
        return bool(((self.existing and self.existing.options) or {}).get("hidden"))

    @property
    def extra_options(self) -> str:
        """Options of the existing one that are not recommended, in words; mostly empty."""
        options = (self.existing and self.existing.options) or {}
        return ", ".join(
            f"{name}: {value}" for name, value in sorted(options.items()) if name != EXPIRES
        )

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` shows of it."""
        found = self.existing
        return {
            "name": self.index.name,
            "keys": dict(self.index.keys),
            "partial": self.index.partial,
            "purpose": self.index.purpose,
            "exists": self.usable,
            "as": found.name if found else None,
            "size_bytes": found.size if found else None,
            "unequal_options": self.extra_options or None,
        }


def state_index(campaign: Campaign) -> Index:
    """The index of everybody who has a delivery, by state.

    `hold_until` after the state tells lapsed claims from the rest: a sweep reads 20 keys for 20 of
    them beside 1,000 in doubt. With the run and its moment all that `status` counts is in the keys
    (``docs/decisions/0008-one-index-of-states.md``).
    """
    state_path = campaign.state_path
    return Index(
        f"ozh_{campaign.key}_state",
        tuple((f"{state_path}.{field}", 1) for field in ("state", "hold_until", "run", "at")),
        f"sweep, reconcile and status of {campaign.name}: lapsed claims, unknown outcomes, "
        "users by state and run",
        {f"{state_path}.state": {"$exists": True}},
    )


def claim_index(campaign: Campaign) -> Index:
    """The index of users with a claim: those in `sending`, and those in `unknown`.

    It is small, because a claim ends with its outcome. What needs more than the current claims
    asks the journal.
    """
    state_path = campaign.state_path
    return Index(
        f"ozh_{campaign.key}_claim",
        tuple((f"{state_path}.{field}", 1) for field in ("state", "hold_until")),
        f"sweep of {campaign.name}: lapsed claims and unknown outcomes",
        {f"{state_path}.claim": {"$exists": True}},
    )


def recommended(campaigns: Iterable[Campaign]) -> list[Index]:
    """The users' indexes for these campaigns, two of each."""
    return [index for campaign in campaigns for index in _of_campaign(campaign)]


def _of_campaign(campaign: Campaign) -> tuple[Index, Index]:
    """Without the journal, the states of all users are counted in the users' own index."""
    second = claim_index if campaign.settings.journal_collection else state_index
    return campaign.index(), second(campaign)


def journal_indexes() -> list[Index]:
    """The journal's own indexes."""
    return [
        _journal_index("state", ("campaign", "state", "claimed_at"), "states, oldest unknown"),
        _journal_index("run", ("run", "claim"), "who got what from a run; sweeps"),
        _journal_index("previous", ("previous.run",), "runs whose message was sent once more"),
        _journal_index("user", ("user",), "history of a user"),
        _journal_index("judge", ("campaign", "judge_at"), "experiments: who is due"),
        _journal_index("expires", ("expires_at",), "deletes what is old: OZH_JOURNAL_DAYS", 0),
    ]


def _journal_index(
    name: str, fields: tuple[str, ...], purpose: str, expire_after: int | None = None
) -> Index:
    """Partial on its last field, except that states and runs are of every entry."""
    present = fields[-1] if name not in ("state", "run") else name
    keys = tuple((field, 1) for field in fields)
    partial = {present: {"$exists": True}}
    return Index(f"ozh_journal_{name}", keys, purpose, partial, expire_after)


def no_longer_needed(campaigns: Iterable[Campaign], have: Iterable[ExistingIndex]) -> list[str]:
    """Names of indexes that an earlier version recommended, and that no query uses any more."""
    old = [state_index(c) for c in campaigns if c.settings.journal_collection]
    return [other.name for other in have if any(_same(index, other) for index in old)]


def existing(
    descriptions: Sequence[Mapping[str, Any]], sizes: Mapping[str, int] | None = None
) -> list[ExistingIndex]:
    """The entries of the server's ``listIndexes``, with sizes in bytes where they are known.

    An index inherits the default collation of its collection, and so do the queries: that one is
    not an option of the index. The index on `_id` always has it (MongoDB's manual, "Collation").
    """
    inherited = next(
        (d.get("collation") for d in descriptions if dict(d["key"]) == {"_id": 1}), None
    )
    return [_existing(description, sizes or {}, inherited) for description in descriptions]


def _existing(
    description: Mapping[str, Any], sizes: Mapping[str, int], inherited: Any
) -> ExistingIndex:
    name = str(description["name"])
    options = {
        key: value
        for key, value in description.items()
        if key not in ORDINARY and value is not False and value is not None
    }
    if inherited and options.get("collation") == inherited:
        del options["collation"]
    keys = tuple(dict(description["key"]).items())
    partial = description.get("partialFilterExpression")
    return ExistingIndex(name, keys, partial, options, sizes.get(name))


def compare(wanted: Iterable[Index], have: Sequence[ExistingIndex]) -> list[IndexStatus]:
    """Pair each recommended index with the best existing one of the same keys and filter."""
    return [_status_of(index, have) for index in wanted]


def _status_of(index: Index, have: Sequence[ExistingIndex]) -> IndexStatus:
    same = [e for e in have if _same(index, e)]
    best = min(same, key=lambda e: len(DISABLING & (e.options or {}).keys()), default=None)
    taken = {e.name for e in have}
    names = [index.name, *(f"{index.name}_{n}" for n in range(2, len(taken) + 3))]
    return IndexStatus(index, best, next(name for name in names if name not in taken))


def covers_population(index: Index, campaign: Campaign, now: datetime) -> bool:
    """Whether every user of a campaign's population is in an index of its users."""
    wanted = _plain({c.field: c.condition for c in campaign.population_criteria(now)})
    return _plain(index.partial).items() <= wanted.items()


def _same(index: Index, other: ExistingIndex) -> bool:
    expires = (other.options or {}).get(EXPIRES)
    return (
        index.keys == other.keys
        and _plain(index.partial) == _plain(other.partial)
        and expires == index.expire_after_seconds
    )


def _plain(partial: Mapping[str, Any] | None) -> dict[str, Any]:
    """A partial filter as one compares it: ``{a: {$eq: 1}}`` is ``{a: 1}``, without ``$and``."""
    plain: dict[str, Any] = {}
    for field, condition in (partial or {}).items():
        if field == "$and":
            for part in condition:
                plain.update(_plain(part))
        elif isinstance(condition, Mapping) and list(condition) == ["$eq"]:
            plain[field] = condition["$eq"]
        else:
            plain[field] = condition
    return plain
