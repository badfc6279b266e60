"""Tables of cases: one in each `make test`, the others in `make test-long`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_and_long(cases: Iterable[Any]) -> list[Any]:
    """The first case as it is, the others marked `long`."""
    first, *others = cases
    long = [case if isinstance(case, tuple) else (case,) for case in others]
    return [first, *(pytest.param(*case, marks=pytest.mark.long) for case in long)]
