"""What people and machines rely on: the names here, in the code and on the pages are the same."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from ozh_notify import errors
from ozh_notify.campaigns import registry
from ozh_notify.cli import app, run
from ozh_notify.errors import Exit, OzhError
from ozh_notify.operator.explain import DELIVERY_FIELDS
from ozh_notify.passes.result import Result
from ozh_notify.users.delivery_state import State
from tests.helpers.result_keys import RESULT_KEYS

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("reference.md", "states.md", "backend.md")
PAGES = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in NAMES)
QUOTED = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", PAGES, flags=re.S | re.M))
NAMED = {word for text in QUOTED for word in re.split(r"[\s,/\[\]()=]+", text)}
"""Every word that these pages have in backticks, outside blocks of code."""

EXIT_CODES = {
    **{"OK": 0, "USAGE": 2, "UNAVAILABLE": 69, "BUG": 70, "UNRECORDED": 74},
    **{"INCOMPLETE": 75, "REFUSED": 77, "CONFIG": 78},
}
STATES = ["sending", "sent", "retry", "unreachable", "rejected", "unknown", "held_out"]
STATE_FIELDS = ["state", "hold_until", "claim", "run", "at", "attempts", "message_id", "error"]
STATUSES = {"ok", "outside_hours", "incomplete", "refused", "error"}
GLOBAL = {"--version", "--env-file", "--verbose", "-v", "--quiet", "-q"}
PASS = {
    *("--dry-run", "-n", "--at", "--limit", "--user", "--again", "--test-to", "--rate"),
    "--lang",
    *("--max-recipients", "--shard", "--json", "--any-time", "--new-bot"),
}
COMMANDS: dict[str, set[str]] = {
    "discount": PASS,
    "daily-bonus": PASS,
    "check": {"--json", "--suggest", "--report"},
    "templates": {"--copy"},
    "status": {"--json", "--run", "--since", "--csv"},
    "effect": {"--json", "--experiment", "--plan", "--svg"},
    "indexes": {"--create", "--drop-old"},
    "history": {"--json"},
    "recall": {"--run", "--yes", "--json"},
    "explain": {"--json"},
    "reconcile": {"--resend", "--mark-sent", "--state", "--run", "--user", "--yes", "--json"}
    | {"--older-than"},
    "mute": set(),
    "unmute": set(),
    "demo": {"--serve"},
}
"""Each command with the options the contract names; of a pass there are no others."""
HELP = {"--help", "-h"}
SHELL = {"--install-completion", "--show-completion"}
"""Every program built with Typer has these."""


def unnamed(names: set[str]) -> list[str]:
    """Those the pages do not have in backticks."""
    return sorted(names - NAMED)


def options(command: Any) -> set[str]:
    """All spellings of a command's options."""
    found = (p for p in command.params if p.param_type_name == "option")
    return {name for p in found for name in (*p.opts, *p.secondary_opts)} - HELP - SHELL


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """The command line as it is built: each command by name, and the program itself as ``""``."""
    assert run(["--version"]) == 0
    program: Any = typer.main.get_command(app)
    return {"": program, **program.commands}


def test_exit_codes_are_those_of_the_contract() -> None:
    """Schedulers and alerts decide by them; each has a row in the reference."""
    assert {code.name: code.value for code in Exit} == EXIT_CODES
    rows = set(re.findall(r"^\|\s*`?(\d+)`?\s*\|", PAGES, re.MULTILINE))
    assert sorted(code for code in Exit if str(code.value) not in rows) == []


def test_states_and_their_fields_are_those_of_the_contract() -> None:
    """Bots and backends read them in the user document."""
    assert [state.value for state in State] == STATES
    assert list(DELIVERY_FIELDS) == STATE_FIELDS
    assert unnamed({*STATES, *STATE_FIELDS, "ozh_notify.muted"}) == []


def test_the_results_keys_are_those_of_the_contract() -> None:
    """In this order; what is not told of every pass comes after them."""
    names = [field.name for field in fields(Result)]
    assert names == [*RESULT_KEYS, "preview", "exit_code", "in_other_hands", "no_users"]
    assert unnamed({*RESULT_KEYS, "preview"}) == []


def test_a_result_has_one_of_five_statuses() -> None:
    """Each error that ends a pass has its own, or is an `error`."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    of_errors = {kind.status for kind in kinds if issubclass(kind, OzhError)}
    assert of_errors | {"ok", "outside_hours"} == STATUSES
    assert unnamed(STATUSES) == []


def test_commands_are_those_of_the_contract(commands: dict[str, Any]) -> None:
    """One for each campaign, and the operator's; the reference names them all."""
    assert set(commands) == {"", *COMMANDS}
    assert set(registry()) <= set(COMMANDS)
    shown = {" ".join(text.split()[:2]) for text in QUOTED}
    assert {name for name in COMMANDS if f"ozh-notify {name}" not in shown} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_those_of_the_contract_and_documented(
    name: str, commands: dict[str, Any]
) -> None:
    """Whatever the command understands, the reference has in backticks."""
    known = options(commands[name])
    assert COMMANDS[name] - known == set(), "the contract has an option that the command has not"
    assert unnamed(known) == [], "the reference does not name an option"
    if COMMANDS[name] is PASS:
        assert known == PASS


def test_global_options_are_those_of_the_contract(commands: dict[str, Any]) -> None:
    """They stand before the command."""
    assert options(commands[""]) == GLOBAL
    assert unnamed(GLOBAL) == []


def test_the_pages_name_no_option_that_does_not_exist(commands: dict[str, Any]) -> None:
    """Nobody tries in vain what a page promises."""
    known = {option for command in commands.values() for option in options(command)}
    promised = {
        option
        for text in QUOTED
        if text.startswith(("ozh-notify ", "-"))
        for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", text)
    }
    assert promised - known - HELP - SHELL == set()
