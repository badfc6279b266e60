"""P4 to P7: what a pass costs where it has little to do, and what it holds in memory."""

from __future__ import annotations

import sys
from datetime import timedelta

from benchmarks import users
from benchmarks.environment import ROOT, Environment, run
from benchmarks.figure import Amounts, Figure, median, ratio
from ozh_notify.campaigns import registry
from ozh_notify.users.audience import Query, eligible

PYTHON = str(ROOT / ".venv/bin/python")
MIB = 2**20


def scan(environment: Environment, amounts: Amounts) -> list[Figure]:
    """P4 and P5, on one collection."""
    count, few = amounts.of(1_000_000, 50_000), amounts.of(10_000, 500)
    if environment.kind == "secantusd-py":
        return [Figure(p, "keys examined", "", "not measured", False, WHY) for p in ("P4", "P5")]
    large, small = environment.users("large"), environment.users("small")
    users.fill(small, users.idle(1000))
    documents = users.everybody(count, due_discount=few, due_bonus=few)
    users.fill(large, documents)
    print(f"  {count:,} users are in", file=sys.stderr, flush=True)
    figures = [_keys(environment, count)]
    large.update_many(
        {"generations_count": 1, "balance": 0, "discount_offered": False, "ozh_notify": None},
        {"$set": {"discount_offered": True}},
    )
    recent = users.now() - timedelta(days=3)
    large.update_many(
        {"registered_at": {"$gte": recent}, "daily_bonus_claimed_today": False, "ozh_notify": None},
        {"$set": {"daily_bonus_claimed_today": True}},
    )
    figures.append(_empty_pass(environment, count, amounts.of(5, 3)))
    for name in ("large", "small"):
        environment.client.drop_database(f"bench_{name}")
    return figures


WHY = "needs mongod or secantusd-rs: the other server's `keysExamined` is not the truth"

SCANS = (
    "secantusd-rs explains what MongoDB would do, but itself reads the whole collection for any "
    "filter with more than equalities and one range. Its explain of the empty scan"
)


def _explained(environment: Environment) -> dict[str, dict[str, int]]:
    """What the server says each campaign's scan examines and returns."""
    found: dict[str, dict[str, int]] = {}
    for name, kind in registry().items():
        campaign = kind(environment.settings("large"))
        explained = environment.client["bench_large"].command(
            {
                "explain": {
                    "find": "users",
                    "filter": eligible(Query(campaign, users.now())),
                    "sort": {campaign.sort_field(): -1},
                },
                "verbosity": "executionStats",
            }
        )
        stats = explained["executionStats"]
        found[name] = {
            "users": stats["nReturned"],
            "keys": stats["totalKeysExamined"],
            "documents": stats["totalDocsExamined"],
        }
    return found


def _keys(environment: Environment, count: int) -> Figure:
    found = _explained(environment)
    ratios = {name: f["keys"] / max(1, f["users"]) for name, f in found.items()}
    return Figure(
        "P4",
        f"keys examined / users eligible, {count:,} users, a fifth unreachable, three tenths "
        "offered",
        "≤ 1.05",
        "; ".join(f"{name} {value:.3f}" for name, value in ratios.items()),
        all(0 < value <= 1.05 for value in ratios.values()),
        "by the server's explain: " + _words(found),
        found,
    )


def _words(found: dict[str, dict[str, int]]) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{many:,} {what}" for what, many in f.items())
        for name, f in found.items()
    )


def _empty_pass(environment: Environment, count: int, times: int) -> Figure:
    taken: dict[str, dict[str, list[float]]] = {}
    for _ in range(times):
        for campaign in registry():
            for size in ("small", "large"):
                ran = environment.ozh(size, campaign, "--json")
                assert ran.json()["eligible"] == 0, ran.out  # noqa: S101
                taken.setdefault(campaign, {}).setdefault(size, []).append(ran.seconds)
    ratios = {name: ratio(both["large"], both["small"]) for name, both in taken.items()}
    reached = all(value <= 1.1 for value in ratios.values())
    seconds = "; ".join(
        f"{name}: {median(both['large']):.3f} s against {median(both['small']):.3f} s"
        for name, both in taken.items()
    )
    held_back = ""
    if not reached and environment.kind == "secantusd-rs":
        held_back = f". {SCANS}: {_words(_explained(environment))}"
    return Figure(
        "P5",
        f"an empty pass at {count:,} users against one at 1,000",
        "≤ 1.1×",
        "; ".join(f"{name} {value:.2f}×" for name, value in ratios.items()),
        reached,
        seconds + held_back,
        taken,
    )


def memory(environment: Environment, amounts: Amounts) -> list[Figure]:
    """P6."""
    many, peaks = amounts.of(100_000, 20_000), {}
    for count in (1_000, many):
        users.fill(environment.users("memory"), users.due(count))
        ran = environment.ozh("memory", "discount", "--json", "--rate", "100000")
        assert ran.json()["sent"] == count, ran.out  # noqa: S101
        peaks[count] = ran.peak / MIB
    environment.arrivals()
    environment.client.drop_database("bench_memory")
    more = peaks[many] - peaks[1_000]
    return [
        Figure(
            "P6",
            f"peak memory, {many:,} sends against 1,000",
            "≤ +16 MB",
            f"{more:+.1f} MiB",
            more <= 16 * 10**6 / MIB,
            f"{peaks[many]:.0f} MiB against {peaks[1_000]:.0f} MiB",
            {str(count): peak for count, peak in peaks.items()},
        )
    ]


def start(environment: Environment, amounts: Amounts) -> list[Figure]:
    """P7: each beside a bare ``python -c pass``."""
    users.fill(environment.users("start"), users.idle(1000))
    more: dict[str, list[float]] = {"--help": [], "discount": []}
    for _ in range(amounts.of(25, 5)):
        bare = run([PYTHON, "-c", "pass"]).seconds
        for argument, kept in more.items():
            kept.append(environment.ozh("start", argument).seconds - bare)
    help_, empty = median(more["--help"]), median(more["discount"])
    return [
        Figure(
            "P7",
            "`--help`; an empty pass; each above a bare `python -c pass`",
            "≤ +0.15 s; ≤ +0.5 s",
            f"+{help_:.3f} s; +{empty:.3f} s",
            help_ <= 0.15 and empty <= 0.5,
            data=more,
        )
    ]
