"""Intervals and sample sizes against statsmodels' results, exact coverage, and hand-made tables."""

from __future__ import annotations

import math
import random

import pytest

from ozh_notify.effect.statistics import (
    Sums,
    newcombe,
    smallest_difference,
    split_p,
    users_needed,
    welch,
    wilson,
)
from tests.effect.newcombe_tables import TABLES


@pytest.mark.parametrize(("table", "expected"), TABLES)
def test_newcombes_interval_equals_that_of_statsmodels(
    table: tuple[int, int, int, int], expected: tuple[float, float]
) -> None:
    """Fifty tables, none and all of an arm among them, to five decimals."""
    found = newcombe(*table)
    assert found.low == pytest.approx(expected[0], abs=1e-5)
    assert found.high == pytest.approx(expected[1], abs=1e-5)


def binomials(count: int, rate: float) -> list[float]:
    """The chance of each number of successes."""
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(rate) + (count - k) * math.log1p(-rate)
        for k in range(count + 1)
    ]  # fmt: skip
    return [math.exp(value) for value in logs]


@pytest.mark.parametrize(("treated", "control"), [(900, 100), (2700, 300)])
@pytest.mark.parametrize(("base", "target"), [(0.01, 0.01), (0.03, 0.05), (0.10, 0.10)])
def test_the_interval_holds_the_truth_as_often_as_it_says(
    treated: int, control: int, base: float, target: float
) -> None:
    """Exact coverage over every likely table: nominal 95 %, 93.5 to 97.5 % in fact."""
    ones, twos = binomials(treated, target), binomials(control, base)
    covered = 0.0
    for reached, chance in enumerate(ones):
        if chance < 1e-6:
            continue
        for other, other_chance in enumerate(twos):
            if chance * other_chance < 1e-9:
                continue
            found = newcombe(reached, treated, other, control)
            covered += chance * other_chance * (found.low <= target - base <= found.high)
    assert 0.935 <= covered <= 0.975


def test_daily_looks_give_false_alarms_and_one_look_at_the_end_does_not() -> None:
    """Why there is no verdict before its time; the seed is fixed."""
    rng = random.Random(1)
    early = late = 0
    runs, days, rate = 200, 60, 0.05
    for _ in range(runs):
        counts = {"treated": [0, 0], "control": [0, 0]}
        alarms = []
        for _day in range(days):
            for arm, users in (("treated", 45), ("control", 45)):
                counts[arm][0] += sum(rng.random() < rate for _ in range(users))
                counts[arm][1] += users
            found = newcombe(*counts["treated"], *counts["control"])
            alarms.append(not found.low <= 0 <= found.high)
        early += any(alarms)
        late += alarms[-1]
    assert early / runs > 0.2
    assert late / runs < 0.09


@pytest.mark.parametrize(("share", "expected"), [(10, 6746), (20, 4020), (50, 3006)])
def test_the_plan_needs_the_published_number_of_users(share: float, expected: int) -> None:
    """To tell 3 % from 5 % with 80 % power."""
    assert abs(users_needed(0.03, 0.05, share) - expected) <= 1


def test_a_planned_experiment_shows_its_difference_four_times_in_five() -> None:
    """Simulated at the planned size; the seed is fixed."""
    rng, seen, runs = random.Random(2), 0, 300
    total = users_needed(0.03, 0.05, 50)
    for _ in range(runs):
        reached = sum(rng.random() < 0.05 for _ in range(total // 2))
        other = sum(rng.random() < 0.03 for _ in range(total // 2))
        seen += newcombe(reached, total // 2, other, total // 2).low > 0
    assert 0.73 <= seen / runs <= 0.87


@pytest.mark.parametrize(("base", "target"), [(0.03, 0.03), (0, 0.05), (0.03, 1)])
def test_a_plan_without_a_difference_is_refused(base: float, target: float) -> None:
    """No number of users would tell them apart."""
    with pytest.raises(ValueError, match="two different rates"):
        users_needed(base, target, 10)


def test_a_rate_of_nobody_is_refused() -> None:
    """Zero of zero is not a rate."""
    with pytest.raises(ValueError, match="not a rate"):
        wilson(0, 0)


def test_a_split_as_planned_is_likely_and_a_skewed_one_is_not() -> None:
    """Known values of the chi-square distribution with one degree of freedom."""
    assert split_p(900, 100, 10) == 1
    assert split_p(880, 120, 10) == pytest.approx(0.0350, abs=1e-4)
    assert split_p(800, 200, 10) < 1e-20


def test_the_smallest_difference_shrinks_with_more_users() -> None:
    """Four times the users show half the difference."""
    few, many = smallest_difference(0.05, 900, 100), smallest_difference(0.05, 3600, 400)
    assert many == pytest.approx(few / 2)
    assert smallest_difference(0.05, 0, 10) == 1


def test_welchs_interval_is_that_of_a_table_worked_by_hand() -> None:
    """Means 5 and 3, variances 4 and 9, 100 users each: 2 plus or minus 1.96 x 0.36."""
    treated = Sums(100, 500, 99 * 4 + 500**2 / 100)
    control = Sums(100, 300, 99 * 9 + 300**2 / 100)
    found = welch(treated, control)
    assert found.value == 2
    assert found.low == pytest.approx(1.2933, abs=1e-3)
    assert found.high == pytest.approx(2.7067, abs=1e-3)
    assert Sums(0).mean == 0
    assert Sums(1, 5, 25).variance == 0
