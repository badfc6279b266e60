"""The dead-man's switch."""

from __future__ import annotations

import json
import signal
import time
from datetime import datetime, timezone
from typing import Any

import pytest

from ozh_notify.errors import ConfigError
from ozh_notify.logs import Redactor
from ozh_notify.monitoring import ping
from ozh_notify.passes.result import Result
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import TOKEN, Ozh
from tests.helpers import watching
from tests.helpers.users import Users, discount_user


def test_a_pass_says_start_and_then_its_exit_code_with_its_result(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The two arrive in this order, before the query; the body is what ``--json`` prints."""
    users.insert_one(discount_user())
    with watching.receiver() as switch:
        done = ozh("discount", "--json", OZH_PING_URL=switch.url + "/key/{campaign}/?create=1")
    assert switch.paths == ["/key/discount/start?create=1", "/key/discount/0?create=1"]
    assert json.loads(switch.requests[1][1]) == done.json()
    assert done.json()["sent"] == 1


@pytest.mark.parametrize(
    ("extra", "rule", "paths"),
    [
        ({"OZH_FLOOD_BUDGET_SECONDS": "1"}, "flood", ["/p/start", "/p/log"]),
        ({"OZH_MAX_RECIPIENTS": "0"}, None, ["/p/start", "/p/77"]),
        ({"OZH_QUIET_HOURS": "always"}, None, ["/p/78"]),
    ],
    ids=["incomplete", "refused", "wrong settings"],
)
def test_a_pass_that_ended_badly_says_how(
    ozh: Ozh,
    users: Users,
    bot_api: BotApiServer,
    extra: dict[str, Any],
    rule: str | None,
    paths: list[str],
) -> None:
    """Its exit code is a failure to the switch; 75 is a line in its log: the next pass goes on."""
    users.insert_one(discount_user())
    bot_api.control.rules([{"do": rule, "retry_after": 60}] if rule else [])
    with watching.receiver() as switch:
        done = ozh("discount", OZH_PING_URL=switch.url + "/p", **extra)
    assert switch.paths == paths
    assert json.loads(switch.requests[-1][1])["error"], done.err


def test_a_ping_is_repeated_only_where_that_may_help(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A 503 is tried again, a 404 is not; neither changes the outcome nor prints the address."""
    users.insert_one(discount_user())
    with watching.receiver() as switch:
        switch.statuses = [200, 503, 404]
        done = ozh("discount", OZH_PING_URL=switch.url + "/secret-key")
    assert switch.paths == ["/secret-key/start", "/secret-key/0", "/secret-key/0"]
    assert done.code == 0
    assert done.err.count("WARNING") == 1
    assert "HTTP 404" in done.err
    assert "secret-key" not in done.err


def test_watchers_that_hang_cost_seconds_and_no_result(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """The result is printed and the exit code is the pass's own."""
    users.insert_one(discount_user())
    with watching.receiver() as switch:
        switch.hangs.set()
        began = time.monotonic()
        ways = {"OZH_PING_URL": switch.url + "/p", "OZH_PUSHGATEWAY_URL": switch.url}
        done = ozh("discount", "--json", timeout=20, **ways)
        assert time.monotonic() - began < 15
    assert (done.code, done.json()["sent"]) == (0, 1)
    assert "WARNING OZH_PING_URL" in done.err
    assert "WARNING OZH_PUSHGATEWAY_URL" in done.err


def test_a_signal_is_obeyed_in_time_though_everything_that_watches_hangs(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """SIGTERM's ten seconds hold, and the result is printed."""
    users.insert_many([discount_user() for _ in range(50)])
    bot_api.control.rules([{"do": "hang_before", "seconds": 30, "chat_id": 424242}])
    with watching.receiver() as hanging:
        hanging.hangs.set()
        process = ozh.start(
            "discount",
            "--json",
            "--rate",
            "5",
            OZH_PING_URL=hanging.url + "/p",
            OZH_PUSHGATEWAY_URL=hanging.url,
            OZH_ADMIN_CHAT_ID="424242",
        )
        watching.eventually(bot_api.control.messages, 15)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        out, err = process.communicate(timeout=20)
        seconds = time.monotonic() - began
    done = ozh.finished(process, out, err)
    assert done.code == 75, err
    assert seconds < 10
    assert done.json()["status"] == "incomplete"
    assert err.count(" was not reported there: ") + err.count(" no digest of the pass: ") == 3, err


def test_what_goes_to_the_switch_holds_no_secret() -> None:
    """The body is redacted like everything printed."""
    error = ConfigError(f"refused: bot{TOKEN} and hunter-2-password")
    result = Result.without_pass("discount", datetime.now(timezone.utc), error=error)
    with watching.receiver() as switch:
        ping.finish(switch.url, result, Redactor(["hunter-2-password"]))
    path, body = switch.requests[0]
    assert path == "/78"
    assert json.loads(body)["error"] == "refused: bot*** and ***"
