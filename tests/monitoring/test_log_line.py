"""Log lines for people, for machines and for journald."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ozh_notify import logs
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, discount_user


def lines(text: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_pass_ends_with_one_line_that_says_everything(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Machines get time, level, event, run, campaign and all counts; the run is the result's."""
    users.insert_many([discount_user() for _ in range(4)])
    bot_api.control.rules([{"do": "blocked", "times": 1}])
    done = ozh("discount", "--json", OZH_LOG_FORMAT="json")
    result = done.json()
    [line] = [line for line in lines(done.err) if line["event"] == "finished"]
    assert line == lines(done.err)[-1]
    assert line.keys() >= {"time", "level", "event", "run", "campaign", "counts"}
    assert (line["level"], line["run"]) == ("info", result["run_id"])
    assert line["counts"] == {name: result[name] for name in line["counts"]}
    assert (line["counts"]["sent"], line["counts"]["unreachable"]) == (3, 1)


def test_a_line_for_each_user_is_there_only_when_asked_for(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Chat ids are personal: they are logged with ``-v`` only; the summary always is."""
    for options, per_user in ((["-v"], True), ([], False)):
        user = discount_user()
        users.insert_one(user)
        done = ozh(*options, "discount")
        assert (f"chat {user['telegram_id']}" in done.err) is per_user, done.err
        [line] = [line for line in done.err.splitlines() if "finished" in line]
        assert "INFO discount finished: ok, exit 0, eligible 1, claimed 1, sent 1" in line


@pytest.mark.parametrize(
    ("level", "code", "words", "variables"),
    [
        ("warning", 75, "flood budget", {}),
        ("error", 77, "more than OZH_MAX_RECIPIENTS=0", {"OZH_MAX_RECIPIENTS": "0"}),
        ("error", 78, "OZH_RATE_LIMIT: expected a number; OZH_SHARDS: expected",
         {"OZH_SHARDS": "x", "OZH_RATE_LIMIT": "y"}),
    ],
)  # fmt: skip
def test_the_line_of_a_pass_that_needs_attention_is_found_by_its_level(
    level: str, code: int, words: str, variables: dict[str, Any],
    ozh: Ozh, users: Users, bot_api: BotApiServer,
) -> None:  # fmt: skip
    """`journalctl -p warning` shows it, with all that is wrong in that one line."""
    users.insert_many([discount_user(), discount_user()])
    bot_api.control.rules([{"do": "flood", "retry_after": 3600}])
    done = ozh("discount", "--json", OZH_LOG_FORMAT="json", **variables)
    [row] = [row for row in done.err.splitlines() if '"event": "finished"' in row]
    line = json.loads(row)
    assert (done.code, line["level"], line["exit_code"]) == (code, level, code)
    assert words in line["message"]


def test_users_who_are_left_alone_are_one_warning(ozh: Ozh, users: Users) -> None:
    """However many they are; each is named where more than warnings is asked for."""
    people = [discount_user(telegram_id=None) for _ in range(3)]
    users.insert_many([*people, discount_user()])
    [row] = ozh("-q", "discount").err.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d [\d:.]+[+-]\d\d:\d\d WARNING 3 users are left alone: ", row)
    users.update_many({"discount_offered": True}, {"$set": {"discount_offered": False}})
    text = ozh("discount").err
    assert all(str(user["_id"]) in text for user in people)


def test_a_dry_run_that_could_not_look_shows_no_counts(ozh: Ozh) -> None:
    """A "0 to be messaged" would be read as an answer."""
    failed = ozh("discount", "--dry-run", OZH_SHARDS="x")
    assert failed.out == "discount: dry run, nothing was written or sent: error\n"


def test_the_lines_of_a_verbose_pass_say_in_json_what_they_are_about(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Each names run and campaign, and a user's line the user, the chat, and the message."""
    users.insert_one(discount_user(telegram_id=7))
    done = ozh("-v", "discount", "--json", OZH_LOG_FORMAT="json")
    run, said = done.json()["run_id"], lines(done.err)
    [line] = [line for line in said if line.get("chat_id") == 7]
    assert (line["run"], line["campaign"], line["state"]) == (run, "discount", "sent")
    assert line["user"] == str(users.find_one()["_id"])  # type: ignore[index]
    assert line["message_id"] == bot_api.control.messages()[0].message_id
    assert {(one["run"], one["campaign"]) for one in said} == {(run, "discount")}


def test_log_lines_and_run_ids_are_in_the_zone_of_the_operator(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A machine in UTC would otherwise tell another time than the tables of `status`."""
    users.insert_one(discount_user())
    extra: dict[str, Any] = {"OZH_TIMEZONE": "Asia/Tokyo", "TZ": "America/New_York"}
    started = datetime.now(timezone(timedelta(hours=9)))
    text = ozh("discount", "--limit", "0", **extra).err
    done = ozh("discount", "--json", OZH_LOG_FORMAT="json", **extra)
    assert re.match(rf"{started:%Y-%m-%d %H:}.*\+09:00 INFO", text), text
    assert all(line["time"].endswith("+09:00") for line in lines(done.err))
    assert done.json()["run_id"].startswith(f"{started:%Y%m%dT%H}")


def test_a_closed_stderr_costs_the_log_and_nothing_else() -> None:
    """Then `sys.stderr` is None."""
    program = (
        "import logging, sys; sys.stderr = None; from ozh_notify import logs;"
        "logs.setup('text', logs.Redactor()); logging.getLogger('ozh_notify.x').error('one');"
        "print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


@pytest.mark.parametrize("ours", [True, False], ids=["journal", "inherited"])
def test_journald_gets_priorities_and_no_other_file_does(ours: bool) -> None:
    """Only a stderr that is the journal itself: the variable is inherited by what a unit starts."""
    program = (
        "import logging; from ozh_notify import logs; logs.setup('text', logs.Redactor());"
        "log = logging.getLogger('ozh_notify.x'); log.info('one'); log.error('two\\nthree')"
    )
    read, write = os.pipe()
    status = os.fstat(write)
    name = f"{status.st_dev}:{status.st_ino if ours else status.st_ino + 1}"
    with os.fdopen(read) as reader:
        with os.fdopen(write) as writer:
            command = [sys.executable, "-c", program]
            subprocess.run(command, env={"JOURNAL_STREAM": name}, stderr=writer, check=True)
        text = reader.read()
    assert (text == "<6>one\n<3>two\n<3>three\n") is ours, text
    assert (" ERROR two" in text) is not ours


def test_a_secret_with_a_quote_in_it_is_none_of_the_json() -> None:
    """In JSON it is spelled differently, and redacted all the same."""
    stream, secret = io.StringIO(), 'pass"wo\\rd'
    formatter = logs.JsonFormatter(logs.Redactor([secret]))
    stream.write(formatter.format(logging.makeLogRecord({"msg": f"it is {secret}!"})))
    assert json.loads(stream.getvalue())["message"] == "it is ***!"
