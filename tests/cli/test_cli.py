"""The installed command: exit codes, what goes where, and what people see."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ozh_notify import __version__
from ozh_notify.cli import run
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.campaigns.test_campaigns import install
from tests.conftest import OZH, Finished, Ozh
from tests.helpers.result_keys import RESULT_KEYS
from tests.helpers.users import Users, bonus_user, discount_user

ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-9]|4[0-9]|9[0-7]|10[0-7])\b[0-9;]*m")
BROKEN = """
from ozh_notify.campaigns.discount import Discount

class Broken(Discount):
    name = "broken"
    summary = "Has a bug."

    def template_variables(self):
        raise RuntimeError("a bug beside " + self.settings.mongo_uri.get_secret_value())
"""


def check_json(result: Finished, status: str, *more: str) -> dict[str, Any]:
    """The one object on stdout, with exactly the contract's keys."""
    values: dict[str, Any] = result.json()
    assert tuple(values) == (*RESULT_KEYS, *more)
    assert values["status"] == status
    assert values["version"] == __version__
    return values


def on_a_terminal(ozh: Ozh, *arguments: str, stdout: bool = True, **extra: str) -> tuple[int, str]:
    """The command with a terminal as stderr, and as stdout too where asked: its code and output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [OZH, *arguments],
        env={"TERM": "xterm-256color", "COLUMNS": "120", **ozh.environment, **extra},
        cwd=ozh.folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs if stdout else subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    read = bytearray()
    with suppress(OSError):  # Linux says so where the other end is closed
        while piece := os.read(ours, 65536):
            read += piece
    os.close(ours)
    text = read.decode(errors="replace")
    ozh.outputs.append(text)
    return process.wait(30), text


def wait_until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.005)


# --- exit codes and the JSON that goes with them ---


def test_exit_0_and_its_json(ozh: Ozh, users: Users) -> None:
    """A pass that ran to its end."""
    users.insert_many([discount_user(), discount_user()])
    result = ozh("discount", "--json")
    assert result.code == 0
    values = check_json(result, "ok")
    assert values["campaign"] == "discount"
    assert values["sent"] == values["claimed"] == values["eligible"] == 2
    assert values["error"] is None
    assert values["dry_run"] is False
    assert values["started_at"] <= values["finished_at"]


def test_exit_0_outside_the_hours(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """Nobody is messaged before the hour, which is not a failure."""
    users.insert_one(bonus_user())
    result = ozh("daily-bonus", "--json", OZH_DAILY_BONUS_NOT_BEFORE="23:59")
    assert result.code == 0
    check_json(result, "outside_hours")
    assert bot_api.control.requests()["by_method"] == {}


def test_a_dry_run_adds_a_preview_and_needs_no_token(ozh: Ozh, users: Users) -> None:
    """`preview` is the only key more, and it is there in a dry run only."""
    users.insert_many([discount_user(), discount_user(discount_offered=True)])
    result = ozh("discount", "--dry-run", "--json", TELEGRAM_BOT_TOKEN=None)
    assert result.code == 0, result.err
    values = check_json(result, "ok", "preview")
    assert values["dry_run"] is True
    assert values["held"] == {"already offered": 1}
    assert set(values["preview"]) == {
        *("population", "recipients", "text", "template", "buttons", "media", "seconds", "stars"),
        "held_out",
    }


UNUSABLE: dict[str, dict[str, Any]] = {
    "Telegram is down": {"OZH_TELEGRAM_API_URL": "http://127.0.0.1:1"},
    "MongoDB is down": {"MONGO_URI": "mongodb://127.0.0.1:1/db"},
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_exit_69_and_its_json(fault: str, ozh: Ozh, users: Users) -> None:
    """A server cannot be reached, and nothing was delivered."""
    users.insert_one(discount_user())
    result = ozh("discount", "--json", **UNUSABLE[fault])
    assert result.code == 69, result.err
    assert "cannot be reached" in str(check_json(result, "error")["error"])
    assert "ozh_notify" not in (users.find_one() or {})


def test_exit_70_and_its_json(ozh: Ozh, users: Users, tmp_path: Path) -> None:
    """A bug, here of another package's campaign: its traceback goes to stderr."""
    path = install(tmp_path / "site", "broken = broken:Broken", {"broken.py": BROKEN})
    result = ozh("broken", "--json", PYTHONPATH=path)
    assert result.code == 70
    assert "RuntimeError" in str(check_json(result, "error")["error"])
    assert "Traceback" in result.err
    assert 'line 9, in template_variables\n    raise RuntimeError("a bug beside' in result.err
    assert ozh.environment["MONGO_URI"] not in result.out + result.err


def test_exit_75_and_its_json(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """The flood budget is spent: the rest is left for the next pass."""
    users.insert_many([discount_user() for _ in range(3)])
    bot_api.control.rules([{"do": "flood", "retry_after": 9, "skip": 1}])
    result = ozh("discount", "--json", OZH_FLOOD_BUDGET_SECONDS="1")
    assert result.code == 75
    values = check_json(result, "incomplete")
    assert values["sent"] == 1
    assert "flood budget" in values["error"]


def test_exit_77_and_its_json(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """The recipient limit: its refusal says how to look, how to do a part, and how to raise it."""
    users.insert_many([discount_user() for _ in range(3)])
    result = ozh("discount", "--json", "--max-recipients", "2")
    assert result.code == 77
    values = check_json(result, "refused")
    for way in ("--dry-run", "--limit", "--max-recipients 3"):
        assert way in values["error"]
    assert bot_api.control.messages() == []


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--test-to", "5")])
def test_exit_78_and_its_json(options: tuple[str, ...], ozh: Ozh) -> None:
    """Settings that are wrong, also before anything could begin."""
    result = ozh("discount", "--json", *options, OZH_RATE_LIMIT="fast", OZH_SHARDS="no")
    assert result.code == 78
    values = check_json(result, "error")
    assert "OZH_RATE_LIMIT" in values["error"]
    assert "OZH_SHARDS" in values["error"]
    assert values["dry_run"] is ("--dry-run" in options)


def test_without_json_an_error_is_on_stderr(ozh: Ozh) -> None:
    """Stdout has a result all the same; the reason is a line on stderr."""
    result = ozh("discount", OZH_RATE_LIMIT="fast")
    assert result.code == 78
    assert "OZH_RATE_LIMIT" in result.err
    assert "OZH_RATE_LIMIT" not in result.out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "Usage"),
        ("discuont", "Did you mean 'discount'"),
        ("daily_bonus", "Did you mean 'daily-bonus'"),
        ("discount --dryrun", "--dry-run"),
        ("discount --at 2026-11-24T11:00", "--dry-run"),
        ("discount --dry-run --test-to 5", "--test-to"),
        ("daily-bonus --again", "--again"),
        ("discount --limit -1", "--limit"),
        ("discount --limit many", "--limit"),
        ("discount --user 0", "--user"),
        ("discount --user @anna", "--user"),
        ("discount --rate 0", "--rate"),
        ("discount --rate nan", "--rate"),
        ("discount --max-recipients -1", "--max-recipients"),
        ("discount --shard 1", "--shard"),
        ("discount --shard 4/4", "--shard"),
        ("discount --shard -1/4", "--shard"),
        ("discount --shard 0/0", "--shard"),
        ("discount --shard 0/1001", "--shard"),
        ("discount now", "now"),
        ("--json discount", "--json"),
    ],
)
def test_exit_2_for_wrong_usage(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Said at once, before any settings are read."""
    assert run(line.split()) == 2
    out, err = capsys.readouterr()
    assert words in out + err
    assert "Traceback" not in err


@pytest.mark.parametrize("line", ["discuont", "discount --dry-run --at noon"])
def test_wrong_usage_is_said_on_stderr(line: str, ozh: Ozh, bot_api: BotApiServer) -> None:
    """By the installed command too; and nobody is messaged."""
    result = ozh(*line.split(), "--json")
    assert (result.code, result.out) == (2, "")
    assert "Error" in result.err
    assert "Traceback" not in result.err
    assert bot_api.control.requests()["by_method"] == {}


# --- what goes where ---


def test_stdout_holds_the_result_and_stderr_the_rest(ozh: Ozh, users: Users) -> None:
    """A pipe gets the result alone."""
    users.insert_many([discount_user() for _ in range(3)])
    result = ozh("discount")
    assert re.search(r"sent\W+3\b", result.out)
    assert "INFO" not in result.out
    assert f"INFO ozh-notify {__version__}, discount, env file none, MongoDB " in result.err
    assert ".users, bot @ozhivlyator_demo_bot, time zone UTC, 500/s" in result.err
    assert "delivered" not in result.err


@pytest.mark.parametrize("option", ["--env-file", "-q", "--verbose"])
def test_an_option_of_every_command_after_one_is_told_its_place(option: str, ozh: Ozh) -> None:
    """It is what anybody tries first."""
    result = ozh("status", option, COLUMNS="200")
    assert result.code == 2
    assert f"it goes before the command: ozh-notify {option} … status" in result.err


def test_logging_turned_off_leaves_stderr_empty_on_success(ozh: Ozh, users: Users) -> None:
    """Cron mails what a job prints there."""
    users.insert_one(discount_user())
    assert ozh("discount", LOGGING_ENABLED="FALSE").err == ""
    assert ozh("discount", "--dry-run", LOGGING_ENABLED="false").err == ""
    failed = ozh("discount", LOGGING_ENABLED="False", OZH_TELEGRAM_API_URL="http://127.0.0.1:1")
    assert len(failed.err.splitlines()) == 1
    assert "cannot be reached" in failed.err


def test_verbose_is_a_line_per_user_and_quiet_is_warnings_only(ozh: Ozh, users: Users) -> None:
    """More, or less, on stderr; the result stays."""
    first, second, third = discount_user(), discount_user(), discount_user()
    users.insert_one(first)
    assert f"chat {first['telegram_id']}" not in ozh("discount").err
    users.insert_one(second)
    (ozh.folder / ".env").write_text("OZH_RATE_LIMIT=1\n")
    verbose = ozh("-v", "discount")
    assert "discount, env file .env, MongoDB " in verbose.err
    assert f"chat {second['telegram_id']}: sent" in verbose.err
    users.insert_one(third)
    quiet = ozh("--quiet", "discount", OZH_RATE_LIMTI="1")
    assert re.search(r"sent\W+1\b", quiet.out)
    assert "INFO" not in quiet.err
    assert "did you mean OZH_RATE_LIMIT?" in quiet.err


# --- terminals ---


def test_a_terminal_gets_a_table_and_an_error_once(ozh: Ozh, users: Users) -> None:
    """Each count with its meaning, the run's id; what went wrong is not repeated by the log."""
    users.insert_many([discount_user(), discount_user(), discount_user(telegram_id=-1)])
    _, text = on_a_terminal(ozh, "discount", NO_COLOR="1")
    rows = dict(re.findall(r"^│ (\S+) +│ +(\d+) │", text, re.MULTILINE))
    assert rows == {"eligible": "2", "sent": "2", "invalid": "1"}
    assert re.search(r"2 sent in .* \(limit 500/s\); run 2\d{7}T\d{6}-", text)
    code, text = on_a_terminal(ozh, "discount", OZH_TELEGRAM_API_URL="http://127.0.0.1:1")
    assert code == 69
    assert text.count("cannot be reached") == 1
    assert "discount finished: error, exit 69" in text


@pytest.mark.parametrize("line", ["discount --dry-run", "discount", "--help"])
def test_a_pipe_gets_no_control_sequences(line: str, ozh: Ozh, users: Users) -> None:
    """Also where the terminal would do colours."""
    users.insert_one(discount_user())
    result = ozh(*line.split(), TERM="xterm-256color")
    assert result.code == 0
    assert ESCAPE not in result.out + result.err


@pytest.mark.parametrize("line", ["discount --dry-run", "discount", "--help"])
def test_a_dumb_terminal_gets_no_control_sequences(line: str, ozh: Ozh, users: Users) -> None:
    """TERM=dumb is honoured."""
    users.insert_one(discount_user())
    _, text = on_a_terminal(ozh, *line.split(), TERM="dumb")
    assert text.strip()
    assert ESCAPE not in text


@pytest.mark.parametrize("line", ["discount", "discuont"])
def test_no_color_is_honoured_on_a_terminal(line: str, ozh: Ozh, users: Users) -> None:
    """https://no-color.org: no colour, whatever the terminal can do."""
    users.insert_one(discount_user())
    _, text = on_a_terminal(ozh, *line.split(), "--rate", "2", NO_COLOR="1")
    assert text.strip()
    assert not COLOUR.search(text)


def test_progress_is_shown_on_a_terminal_only(ozh: Ozh, users: Users) -> None:
    """Done, total, rate and time left; a pipe gets none, also where colours are forced."""
    users.insert_many([discount_user() for _ in range(4)])
    code, text = on_a_terminal(ozh, "--quiet", "discount", "--rate", "3", stdout=False)
    assert code == 0
    assert re.search(r"[1-4]/4", text)
    assert re.search(r"\d\.\d/s", text)
    users.insert_many([discount_user() for _ in range(4)])
    piped = ozh("--quiet", "discount", "--rate", "3", FORCE_COLOR="1")
    assert (piped.code, piped.err) == (0, "")


def test_log_lines_beside_the_progress_bar_stand_on_lines_of_their_own(
    ozh: Ozh, users: Users
) -> None:
    """The bar is taken away before each line, and drawn again below it."""
    users.insert_many([discount_user() for _ in range(4)])
    _, text = on_a_terminal(ozh, "-v", "discount", "--rate", "3", stdout=False)
    before = re.findall(r"(.)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text, re.DOTALL)
    assert len(before) >= 5
    assert {repr(one) for one in before} <= {repr("\n"), repr("\r"), repr("K")}, text


@pytest.mark.parametrize(
    "locale",
    [
        {"LANG": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=["LANG=C", "ascii", "POSIX"],
)
def test_no_locale_makes_russian_text_crash(locale: dict[str, Any], ozh: Ozh, users: Users) -> None:
    """Cron's environment has no locale; the JSON stays JSON."""
    users.insert_one(discount_user(first_name="Анна 🎁"))
    dry = ozh("discount", "--dry-run", "--json", **locale)
    assert dry.json()["preview"]["recipients"][0]["first_name"] == "Анна 🎁"
    shown = ozh("-v", "discount", "--dry-run", OZH_QUIET="ж", **locale)
    assert shown.code == 0, shown.err
    assert "to be messaged" in shown.out


# --- help ---

PASS = (
    *("--dry-run", "-n", "--at", "--limit", "--user", "--again", "--test-to", "--rate"),
    *("--max-recipients", "--shard", "--json", "--any-time", "--new-bot", "--help"),
)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("", ("--version", "--env-file", "--verbose", "-v", "--quiet", "-q", "--help")),
        ("discount", PASS),
        ("daily-bonus", PASS),
        ("demo", ("--serve", "--help")),
    ],
)
def test_help_names_every_option_of_the_contract(
    command: str, options: tuple[str, ...], ozh: Ozh
) -> None:
    """The help names what the documentation promises."""
    result = ozh(*command.split(), "--help", COLUMNS="120")
    assert result.code == 0
    for option in options:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", result.out), option


@pytest.mark.parametrize("command", ["", "discount", "demo", "status", "reconcile", "indexes"])
def test_help_names_values_in_plain_words(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`N` and `FILE` instead of a type of Python; a CAMPAIGN is one of those that exist."""
    assert run([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert not re.search(r"<(int|float|file|path|text)\b", out)
    if "CAMPAIGN" in out:
        assert "One of: discount, daily-bonus." in out
    if not command:
        assert "Documentation: README.md" in out


def test_help_needs_no_settings_and_loads_neither_the_driver_nor_telegram(ozh: Ozh) -> None:
    """It answers at once."""
    code = (
        "import sys; from ozh_notify.cli import run; run(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    for line in ("--help", "discount --help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", code, *line.split()],
            env={"PATH": os.environ["PATH"]},
            cwd=ozh.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(done.stderr.split())
        assert "typer" in loaded
        assert not loaded & {"motor", "pymongo", "bson", "telegram", "aiohttp", "jinja2"}


def test_the_version_is_told(ozh: Ozh) -> None:
    """For reports of a problem."""
    assert ozh("--version").out == f"ozh-notify {__version__}\n"


def test_the_package_runs_as_a_module(ozh: Ozh) -> None:
    """Where the script is not on PATH."""
    done = subprocess.run(
        [sys.executable, "-m", "ozh_notify", "discount", "--dry-run", "--json"],
        env=ozh.environment,
        cwd=ozh.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["status"] == "ok"


# --- the sample to one chat ---


def test_test_to_sends_one_message_and_touches_no_document(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Not even of the user whose chat it is; and the database is not asked at all."""
    users.insert_many([discount_user(telegram_id=77), discount_user()])
    before = list(users.find())
    result = ozh("discount", "--test-to", "77", "--json", OZH_DISCOUNT_PRICE="149 ₽")
    assert result.code == 0, result.err
    assert check_json(result, "ok")["sent"] == 1
    [message] = bot_api.control.messages()
    assert message.chat_id == 77
    assert "149 ₽" in message.text
    assert list(users.find()) == before
    down = ozh("daily-bonus", "--test-to", "78", MONGO_URI="mongodb://127.0.0.1:1/db")
    assert down.code == 0, down.err
    assert down.out == "daily-bonus: the sample is sent, by @ozhivlyator_demo_bot\n"
    assert [m.chat_id for m in bot_api.control.messages()] == [77, 78]


@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ({"do": "blocked"}, 78, "has this chat started @ozhivlyator_demo_bot?"),
        ({"do": "not_found"}, 78, "has this chat started @ozhivlyator_demo_bot?"),
        ({"do": "flood", "retry_after": 300}, 75, "wait 300 s"),
        ({"do": "cut_after"}, 69, "no sample was sent"),
        (
            {"do": "error", "code": 400, "description": "Bad Request: BUTTON_INVALID"},
            78,
            "BUTTON_INVALID",
        ),
    ],
)
def test_a_sample_that_fails_says_why(
    rule: dict[str, Any], code: int, words: str, ozh: Ozh, bot_api: BotApiServer
) -> None:
    """The operator learns what to do."""
    bot_api.control.rules([rule])
    result = ozh("discount", "--test-to", "5", "--json")
    assert result.code == code
    assert words in result.json()["error"]


# --- signals ---


def catches(process: subprocess.Popen[str], number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{process.pid}/status")
    try:
        caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status.read_text())
    except FileNotFoundError:
        return False
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
@pytest.mark.parametrize("later", [0, 0.1, 0.3])
def test_a_signal_right_at_the_start_ends_it_as_interrupted(
    later: float, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Also as process 1 of a container, and before anything is claimed."""
    users.insert_many([discount_user() for _ in range(50)])
    process = ozh.start("discount", "--json", "--rate", "1")
    wait_until(lambda: catches(process, signal.SIGTERM), "a handler for SIGTERM")
    time.sleep(later)
    process.terminate()
    result = ozh.finished(process, *process.communicate(timeout=20))
    assert result.code == 75, result.err
    assert "Traceback" not in result.err
    assert len(bot_api.control.messages()) <= 1
    if result.out:
        check_json(result, "incomplete")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_sample_as_interrupted(
    number: signal.Signals, ozh: Ozh, bot_api: BotApiServer
) -> None:
    """Ctrl-C ends it at once while Telegram is slow."""
    bot_api.control.rules([{"do": "slow", "seconds": 30}])
    process = ozh.start("discount", "--test-to", "5", "--json")
    wait_until(lambda: "sendMessage" in bot_api.control.requests()["by_method"], "the request")
    process.send_signal(number)
    result = ozh.finished(process, *process.communicate(timeout=10))
    assert result.code == 75, result.err
    assert "interrupted" in check_json(result, "incomplete")["error"]
    assert "Traceback" not in result.err
