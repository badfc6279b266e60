"""The short form of each case of ``make torture``; `tests/torture` holds the cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.parameters import first_and_long
from tests.torture.cases import CASES, run
from tests.torture.environment import Environment, environment

SEED = 20261125


@pytest.fixture(scope="module")
def place() -> Iterator[Environment]:
    """Servers of their own: a case breaks them."""
    with environment(SEED) as made:
        yield made


@pytest.mark.parametrize("name", first_and_long(CASES))
def test_nobody_is_messaged_twice_or_lost_whatever_goes_wrong(
    name: str, place: Environment
) -> None:
    """No user with two messages, none lost, and no state that lies."""
    report = run(name, short=True, seed=SEED, place=place)
    if report.skipped:
        pytest.skip(report.skipped)
    assert not report.breaches, "\n".join([report.line(), *report.breaches])
    assert report.tried, "the case tried nothing"
