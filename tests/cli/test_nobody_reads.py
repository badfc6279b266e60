"""Nobody reads what a pass prints: `ozh-notify discount | head`, a closed terminal."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from pymongo.collection import Collection

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import OZH, Ozh
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


@pytest.mark.long
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("options", ["", "--json"])
def test_streams_closed_from_the_start_change_no_outcome(
    ozh: Ozh, users: Collection[dict[str, Any]], bot_api: BotApiServer, closed: str, options: str
) -> None:
    """`2>&-` in a crontab: the users get their messages, and the exit code is the pass's."""
    users.insert_many([discount_user(), discount_user()])
    done = subprocess.run(
        ["sh", "-c", f"exec {OZH} discount {options} {closed}"],
        env=ozh.environment,
        cwd=ozh.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(bot_api.control.messages()) == 2
    assert users.count_documents({"ozh_notify.discount.state": "sent"}) == 2
    if "2" in closed:
        assert done.stderr == ""
    if closed == "2>&-":
        assert "sent" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_wrong_usage_and_wrong_settings_keep_their_codes_without_streams(
    ozh: Ozh, closed: str
) -> None:
    """Where nobody can read the reason, the code still tells."""
    for line, code in (("discount --limit x", 2), ("reconcile discount --resend", 2)):
        shell = ["sh", "-c", f"exec {OZH} {line} {closed}"]
        done = subprocess.run(
            shell, env=ozh.environment, cwd=ozh.folder, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == code, done.stderr
    wrong = {**ozh.environment, "OZH_RATE_LIMIT": "fast"}
    shell = ["sh", "-c", f"exec {OZH} status {closed}"]
    done = subprocess.run(
        shell, env=wrong, cwd=ozh.folder, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 78
