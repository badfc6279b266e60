"""Nobody reads what a pass prints: `ozh-notify discount | head`, a closed terminal."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pymongo.collection import Collection

from tests.conftest import Ozh
from tests.helpers.users import discount_user


@pytest.mark.parametrize("options", [(), ("--json",), ("--dry-run",)], ids=str)
def test_a_closed_stdout_changes_no_outcome(
    ozh: Ozh, users: Collection[dict[str, Any]], options: tuple[str, ...]
) -> None:
    """The pass has ended well: so says its exit code, its log line, and whatever watches it."""
    users.insert_many([discount_user(), discount_user()])
    process = ozh.start("discount", *options)
    assert process.stdout
    process.stdout.close()
    done = ozh.finished(process, "", process.communicate(timeout=30)[1])
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert re.search(r"finished: ok, exit 0, eligible 2, .*took [\d.]+ s, run \S+\n$", done.err)
