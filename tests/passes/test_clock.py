"""A machine whose clock is off: leases are told apart by it, so nothing may be swept or claimed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ozh_notify.clock import clock_warning, difference
from ozh_notify.errors import ConfigError
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Finished, Ozh
from tests.helpers.passes import chats, deliveries
from tests.helpers.users import Users, ago, discount_user, now
from tests.torture.clocks import faked
from tests.torture.report import Skipped

LIVE = {"state": "sending", "claim": "run-1-1", "run": "run-1", "attempts": 1, "journal": True}
"""A claim that another pass holds."""


def with_clock(ozh: Ozh, ahead: float, *arguments: str) -> Finished:
    """Run a command whose clock is so many seconds ahead."""
    try:
        ozh.environment.update(faked(ahead))
    except Skipped as missing:
        pytest.skip(str(missing))
    return ozh(*arguments)


def live_claims(users: Users) -> dict[int, dict[str, Any]]:
    """Insert users that another pass has claimed, and one who is due; returns the deliveries."""
    held = {**LIVE, "at": ago(seconds=30), "hold_until": now() + timedelta(minutes=12)}
    users.insert_many(discount_user(ozh_notify={"discount": held}) for _ in range(3))
    users.insert_one(discount_user())
    return deliveries(users)


@pytest.mark.parametrize(
    "command",
    [("discount", "--json"), ("reconcile", "discount", "--resend", "--yes", "--json")],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize(
    ("ahead", "words"), [(780, "13 minutes ahead of"), (-300, "5 minutes behind")]
)
def test_a_clock_that_is_minutes_off_touches_nobody(
    ahead: float,
    words: str,
    command: tuple[str, ...],
    ozh: Ozh,
    users: Users,
    bot_api: BotApiServer,
) -> None:
    """A fast one would sweep live claims, and their chats would get a second message: 78."""
    before = live_claims(users)
    result = with_clock(ozh, ahead, *command)
    assert result.code == 78, result.out + result.err
    assert f"this machine's clock is {words} MongoDB's" in result.err
    assert deliveries(users) == before
    assert chats(bot_api) == []


def test_a_clock_that_is_seconds_off_is_a_warning(ozh: Ozh, users: Users) -> None:
    """Leases bear two minutes, and the pass goes on."""
    users.insert_one(discount_user())
    result = with_clock(ozh, 90, "discount", "--json")
    assert (result.code, result.json()["sent"]) == (0, 1), result.err
    assert "WARNING this machine's clock is 90 seconds ahead of MongoDB's" in result.err


AT = datetime(2026, 11, 24, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("before", "server", "after", "ahead"),
    [(0, 1, 2, 0), (0, 0, 0, 0), (10, 0, 12, 10), (0, 20, 5, -15)],
)
def test_the_time_of_the_answer_is_no_difference(
    before: int, server: int, after: int, ahead: int
) -> None:
    """A slow answer is not a wrong clock: only what lies outside of the question counts."""
    seconds = [AT + timedelta(seconds=second) for second in (before, server, after)]
    assert difference(*seconds) == timedelta(seconds=ahead)


def test_the_limits_of_a_difference_are_a_minute_and_four() -> None:
    """At a minute nothing is said; past four minutes the command ends."""
    assert clock_warning(timedelta(seconds=-60)) is None
    assert clock_warning(timedelta(seconds=61)) is not None
    assert clock_warning(timedelta(seconds=-240)) is not None
    with pytest.raises(ConfigError, match="4 minutes behind"):
        clock_warning(timedelta(seconds=-241))
