"""The options of a pass: how many users, which ones, how fast, when, and what is refused."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from bson import Int64

from ozh_notify.campaigns import registry
from ozh_notify.cli import run
from ozh_notify.config.load import load
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Finished, Ozh
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    user,
)


def chats(bot_api: BotApiServer) -> list[int]:
    """Where messages have arrived, in order of arrival."""
    return [message.chat_id for message in bot_api.control.messages()]


def counts(result: Finished, *names: str) -> tuple[Any, ...]:
    """Some of a result's counts."""
    assert result.code == 0, result.err
    return tuple(result.json()[name] for name in names)


def zone_where_it_is(hour: int) -> str:
    """A time zone in which it is that hour of some day now."""
    ahead = (hour - datetime.now(timezone.utc).hour) % 24
    return f"Etc/GMT-{ahead}" if ahead <= 12 else f"Etc/GMT+{24 - ahead}"


# --- how many ---


@pytest.mark.long
def test_a_limit_serves_the_freshest_and_leaves_the_rest(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """`--limit N` messages N users, latest first generation first; nobody for 0."""
    ages = [31, 45, 27, 39, 50, 33, 29]
    for age in ages:
        users.insert_one(discount_user(telegram_id=age, first_generation_at=ago(hours=age)))
    users.insert_one(discount_user(telegram_id="none", first_generation_at=ago(hours=25)))
    wanted = "eligible", "sent", "remaining", "invalid"
    assert counts(ozh("discount", "--json", "--limit", "0"), *wanted) == (7, 0, 7, 1)
    assert chats(bot_api) == []
    assert counts(ozh("discount", "--json", "--limit", "3"), *wanted) == (7, 3, 4, 1)
    assert sorted(chats(bot_api)) == [27, 29, 31]
    assert counts(ozh("discount", "--json", "--limit", "99"), *wanted) == (4, 4, 0, 1)
    assert sorted(chats(bot_api)) == sorted(ages)


def test_the_latest_registration_comes_first(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """The daily bonus orders by its own date."""
    users.insert_many(
        bonus_user(telegram_id=age, registered_at=ago(hours=age)) for age in (40, 3, 60, 20)
    )
    assert counts(ozh("daily-bonus", "--json", "--limit", "2"), "sent", "remaining") == (2, 2)
    assert sorted(chats(bot_api)) == [3, 20]


# --- which users ---


@pytest.mark.long
def test_user_narrows_to_the_users_named_however_they_are_stored(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """`--user` can be repeated, and every criterion still holds."""
    forms: list[Any] = [41, Int64(42), 43.0, "44"]
    users.insert_many([discount_user(telegram_id=form) for form in forms])
    users.insert_many([discount_user(telegram_id=45), user(telegram_id=46)])
    users.insert_one(discount_user(telegram_id=47, ozh_notify={"muted": True}))
    asked = [word for chat in (41, 42, 43, 44, 46, 47, 99) for word in ("--user", str(chat))]
    dry = ozh("discount", "--dry-run", "--json", *asked).json()
    assert (dry["eligible"], dry["held"]) == (4, {"muted": 1})
    assert counts(ozh("discount", "--json", *asked), "eligible", "sent") == (4, 4)
    assert sorted(chats(bot_api)) == [41, 42, 43, 44]
    assert counts(ozh("discount", "--json", *asked), "eligible") == (0,)


# --- how fast ---


def test_the_rate_of_the_command_line_wins(ozh: Ozh, users: Users) -> None:
    """Also over a variable that makes no sense."""
    assert counts(ozh("discount", "--json", "--rate", "0.5"), "rate") == (0.5,)
    fast = ozh("discount", "--json", "--rate", "77", OZH_RATE_LIMIT="fast")
    assert counts(fast, "rate") == (77,)
    assert counts(ozh("discount", "--json", OZH_RATE_LIMIT="12.5"), "rate") == (12.5,)


@pytest.mark.long
@pytest.mark.parametrize(
    "line",
    [
        *(f"--rate {rate}" for rate in ("-1", "0", "0.001", "100001", "inf", "fast")),
        *(f"--user {chat}" for chat in ("-5", "4503599627370496", "9" * 30, "1.5")),
        *("--limit 1.5", "--max-recipients x", "--shard a/b", "--shard 1/2/3", "--shard 00000/2"),
    ],
)
def test_what_is_out_of_range_is_wrong_usage(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said before any settings are read, and names the option."""
    assert run(["discount", *line.split()]) == 2
    assert line.split(maxsplit=1)[0] in capsys.readouterr().err


# --- the recipient limit ---


def test_the_recipient_limit_refuses_one_too_many_and_says_what_to_do(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A person reads it on stderr, and each way it names works."""
    users.insert_many([discount_user() for _ in range(6)])
    users.insert_one(discount_user(telegram_id=None))
    refused = ozh("discount", OZH_MAX_RECIPIENTS="5")
    assert refused.code == 77
    assert "refused: this pass would message 6 users, more than OZH_MAX_RECIPIENTS=5" in refused.err
    assert "refused" in refused.out
    assert users.count_documents({"ozh_notify": {"$exists": True}}) == 0
    assert ozh("discount", "--limit", "6", OZH_MAX_RECIPIENTS="5").code == 77
    assert bot_api.control.messages() == []

    look = "ozh-notify discount --dry-run"
    assert look in refused.err
    assert ozh(*look.split()[1:], OZH_MAX_RECIPIENTS="5").code == 0
    part = ozh("discount", "--json", "--limit", "2", OZH_MAX_RECIPIENTS="2")
    assert counts(part, "sent", "remaining") == (2, 4)
    assert set(re.findall(r"--max-recipients \d+", refused.err)) == {"--max-recipients 6"}
    few = ("--max-recipients", "4", "--limit", "9")
    rest = ozh("discount", "--json", *few, OZH_MAX_RECIPIENTS="0")
    assert counts(rest, "sent", "invalid") == (4, 1)


def test_the_recipient_limit_looks_at_the_whole_audience_of_all_shards(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Four shards of ten each would message forty."""
    users.insert_many([discount_user() for _ in range(8)])
    result = ozh("discount", "--json", "--shard", "0/4", "--max-recipients", "7")
    assert result.code == 77
    assert "would message 8 users" in result.json()["error"]
    assert bot_api.control.messages() == []


# --- when ---


@pytest.mark.parametrize(
    ("campaign", "hours", "words"),
    [
        ("daily-bonus", {"OZH_DAILY_BONUS_NOT_BEFORE": "23:00"}, "before 23:00"),
        ("daily-bonus", {"OZH_QUIET_HOURS": "08:00-20:00"}, "in the quiet hours 08:00-20:00"),
        ("discount", {"OZH_QUIET_HOURS": "20:00-18:00"}, "in the quiet hours 20:00-18:00"),
    ],
)
def test_outside_the_hours_nobody_is_messaged_unless_any_time_will_do(
    campaign: str, hours: dict[str, Any], words: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Exit 0 and neither server is asked, whatever it would have said; `--any-time` goes ahead."""
    users.insert_many([discount_user(), bonus_user()])
    when = {**hours, "OZH_TIMEZONE": zone_where_it_is(13)}
    down: dict[str, Any] = {"MONGO_URI": "mongodb://127.0.0.1:1/", **when}
    closed = ozh(campaign, "--json", **down)
    assert counts(closed, "status", "eligible", "sent") == ("outside_hours", 0, 0)
    assert words in closed.json()["error"]
    told = ozh(campaign, **down)
    assert told.code == 0
    assert re.search(r"a pass messages nobody now: it is 1[34]:\d\d in Etc/GMT", told.out)
    assert bot_api.control.requests()["by_method"] == {}
    assert counts(ozh(campaign, "--json", "--any-time", **when), "status", "sent") == ("ok", 1)
    assert len(chats(bot_api)) == 1


@pytest.mark.long
def test_inside_the_hours_a_pass_runs(ozh: Ozh, users: Users) -> None:
    """From the minute on at which the day's reminder may go out, and when quiet hours are over."""
    users.insert_many([discount_user(), bonus_user()])
    when: dict[str, Any] = {
        "OZH_TIMEZONE": zone_where_it_is(13),
        "OZH_DAILY_BONUS_NOT_BEFORE": "13:00",
        "OZH_QUIET_HOURS": "22:00-13:00",
    }
    assert counts(ozh("discount", "--json", **when), "status", "sent") == ("ok", 1)
    assert counts(ozh("daily-bonus", "--json", **when), "status", "sent") == ("ok", 1)


@pytest.mark.long
def test_the_discount_does_not_wait_for_the_bonus_hour(ozh: Ozh, users: Users) -> None:
    """`OZH_DAILY_BONUS_NOT_BEFORE` is of that campaign alone."""
    users.insert_one(discount_user())
    early = zone_where_it_is(3)
    result = ozh("discount", "--json", OZH_TIMEZONE=early, OZH_DAILY_BONUS_NOT_BEFORE="11:00")
    assert counts(result, "status", "sent") == ("ok", 1)


@pytest.mark.parametrize(
    ("moment", "hours", "open_to"),
    [
        ("10:59:59.999999", {}, {"discount"}),
        ("11:00", {}, {"discount", "daily-bonus"}),
        ("22:00", {"OZH_QUIET_HOURS": "22:00-09:00"}, set()),
        ("08:59:59", {"OZH_QUIET_HOURS": "22:00-09:00"}, set()),
        ("09:00", {"OZH_QUIET_HOURS": "22:00-09:00"}, {"discount"}),
        ("21:59:59", {"OZH_QUIET_HOURS": "22:00-09:00"}, {"discount", "daily-bonus"}),
        ("13:00", {"OZH_QUIET_HOURS": "13:00-14:00"}, set()),
        ("14:00", {"OZH_QUIET_HOURS": "13:00-14:00"}, {"discount", "daily-bonus"}),
    ],
)
def test_hours_begin_and_end_on_the_minute(
    moment: str, hours: dict[str, str], open_to: set[str], tmp_path: Path
) -> None:
    """The first minute belongs to them, the one after the last does not."""
    (tmp_path / "empty.env").touch()
    zone = {"MONGO_URI": "mongodb://127.0.0.1/bot", "OZH_TIMEZONE": "Europe/Moscow"}
    settings, _ = load(tmp_path / "empty.env", {**zone, **hours})
    now = datetime.fromisoformat(f"2026-11-24T{moment}+03:00")
    assert {
        name for name, kind in registry().items() if not kind(settings).closed_reason(now)
    } == open_to


# --- what goes where ---


def test_the_json_is_alone_on_stdout_whatever_else_is_said(ozh: Ozh, users: Users) -> None:
    """A line per user, warnings about users and settings: all of it is on stderr."""
    users.insert_many([discount_user(), discount_user(), discount_user(telegram_id="@anna")])
    result = ozh("-v", "discount", "--json", OZH_RATE_LIMTI="1")
    assert result.out.count("\n") == 1
    assert json.loads(result.out)["invalid"] == 1
    assert "left alone: no usable chat id in telegram_id" in result.err
    assert result.err.count(": sent") == 2


@pytest.mark.long
def test_a_pass_prints_one_line_where_stdout_is_not_a_terminal(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Every count that is not zero, the speed, and the run's id, which the closing line has too."""
    users.insert_many([discount_user(telegram_id=chat) for chat in (51, 52, 53)])
    users.insert_one(discount_user(telegram_id=-1))
    bot_api.control.rules([{"do": "blocked", "chat_id": 52}])
    result = ozh("discount")
    counts = "eligible 3, sent 2, unreachable 1, invalid 1"
    speed = r"2 sent in [\d.]+ s, [\d.]+/s \(limit 500/s\)"
    shown = re.fullmatch(rf"discount: ok, {counts}; {speed}; run (\S+)\n", result.out)
    assert shown, result.out
    assert re.search(rf"finished: ok, exit 0, .* took [\d.]+ s, run {shown[1]}\n$", result.err)
    assert "left alone" in result.err
    empty = ozh("discount", "--json", "--limit", "0")
    assert "dry run" not in empty.err
    assert "discount dry run finished: ok" in ozh("discount", "--dry-run").err
