"""The reference page, in both languages, and the code have the same names and defaults."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Any

import pytest
import typer

from ozh_notify.cli import app, run
from ozh_notify.config.settings import SECRETS, Settings, variables
from ozh_notify.errors import Exit, OzhError
from tests.helpers import markdown
from tests.helpers.markdown import REFERENCE, REFERENCE_RU, ROOT, headings, read, rows, spans
from tests.helpers.result_keys import RESULT_KEYS

EVERYWHERE = {"-h", "--help", "--json"}
"""Options of all commands, told once; `demo` alone prints no JSON."""

in_both = pytest.mark.parametrize("page", [REFERENCE, REFERENCE_RU], ids=lambda page: page.name)


def section(page: Path, title: str) -> str:
    """A section by its English title; both pages have the same ones in the same order."""
    number = [text for _, text in headings(read(REFERENCE))].index(title)
    return markdown.below(read(page), number)


@pytest.fixture(scope="module")
def command_line() -> Any:
    """The whole command line, as Typer sees it."""
    run(["--version"])  # adds the commands
    return typer.main.get_command(app)


def options(command: Any) -> set[str]:
    """The options of a command."""
    own = {opt for param in command.params for opt in [*param.opts, *param.secondary_opts]}
    return {opt for opt in own if opt.startswith("-")}


def usage(name: str, command: Any) -> str:
    """A command and its arguments, as the page writes it."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    shown = [str(p.metavar) if p.required else f"[{p.metavar}]" for p in arguments]
    return " ".join(["ozh-notify", name, *shown])


def told_options(page: Path) -> dict[str, set[str]]:
    """The options in the table below each command's heading."""
    found: dict[str, set[str]] = {}
    titles = [(n, text) for n, (level, text) in enumerate(headings(read(page))) if level == 3]
    for number, title in titles:
        table = [row for row in rows(markdown.below(read(page), number)) if row[0][1] == "-"]
        for name in re.findall(r"ozh-notify ([\w-]+)", title):
            found[name] = set().union(*(markdown.options(row[0]) for row in table))
    return found


# --- the command line ---


@in_both
def test_the_reference_has_every_command_with_its_arguments(page: Path, command_line: Any) -> None:
    """And no command that `--help` does not know."""
    table = [row[0].strip("`") for row in rows(section(page, "Commands"))]
    told = [cell for cell in table if cell.startswith("ozh-notify")]
    known = [usage(name, command) for name, command in command_line.commands.items()]
    assert sorted(told) == sorted(known)


@in_both
def test_the_reference_has_every_option_of_each_command(page: Path, command_line: Any) -> None:
    """And no option that `--help` does not know."""
    told = told_options(page)
    for name, command in command_line.commands.items():
        assert told.get(name, set()) == options(command) - EVERYWHERE, name


@in_both
def test_the_reference_has_the_options_of_all_commands(page: Path, command_line: Any) -> None:
    """Those before the command, and those that each command has."""
    text = section(page, "Commands")
    told = set().union(*(markdown.options(row[0]) for row in rows(text) if row[0][1] == "-"))
    assert told | {"-h", "--help"} == options(command_line) | {"-h", "--help"}
    assert markdown.options(text) >= EVERYWHERE
    without_json = [n for n, c in command_line.commands.items() if "--json" not in options(c)]
    assert without_json == ["demo"]


# --- settings ---


def default(variable: str) -> Any:
    """A variable's default in the code; None where there is none."""
    [field] = [f for f in Settings.model_fields.values() if f.alias == variable]
    return None if field.is_required() else field.default


def written(value: object) -> str:
    """A default as one would set it."""
    return f"{value:%H:%M}" if isinstance(value, time) else str(value)


@in_both
def test_the_reference_has_every_variable_with_its_default(page: Path) -> None:
    """And no variable that the code does not know."""
    table = rows(section(page, "Settings"))
    named = [name for row in table for name in spans(row[0])]
    assert sorted(named) == sorted(set(variables()) - {"JOB_COMPLETION_INDEX"})
    assert "JOB_COMPLETION_INDEX" in spans(section(page, "Settings"))
    for row in table:
        for name in spans(row[0]):
            if default(name) is not None:
                assert row[1] == f"`{written(default(name))}`", name
            elif name not in ("OZH_TELEGRAM_PROXY", "MONGO_DB_NAME"):  # they come from elsewhere
                assert "`" not in row[1], name


def test_both_references_call_the_same_variables_unset() -> None:
    """By the words each language has for it."""
    pages = ((REFERENCE, ("unset",)), (REFERENCE_RU, ("не задана", "не заданы")))
    unset = [
        {n for row in rows(section(page, "Settings")) if row[1] in words for n in spans(row[0])}
        for page, words in pages
    ]
    assert unset[0] == unset[1]
    assert {"OZH_SHARDS", "API_KEY"} < unset[0]
    assert all(default(name) is None for name in unset[0])


@pytest.mark.parametrize(
    "page", [REFERENCE, REFERENCE_RU, ROOT / ".env.example"], ids=lambda page: page.name
)
def test_every_secrets_file_form_is_told(page: Path) -> None:
    """Where a secret may lie in a file instead."""
    assert set(re.findall(r"\b\w+_FILE\b", read(page))) - {"OZH_METRICS_FILE"} == {
        f"{secret}_FILE" for secret in SECRETS
    }


def test_the_example_shows_every_default() -> None:
    """A line that is commented out shows what holds without it."""
    text = read(ROOT / ".env.example")
    shown = dict(re.findall(r'^(?:# )?([A-Z_]+)=["\'](.*)["\']$', text, re.MULTILINE))
    for name in variables():
        if default(name) is not None:
            assert shown[name] == written(default(name)), name


# --- codes and keys ---


@in_both
def test_the_reference_has_every_exit_code(page: Path) -> None:
    """Schedulers decide by them."""
    assert [int(row[0]) for row in rows(section(page, "Exit codes"))] == sorted(Exit)


@in_both
def test_the_reference_has_every_key_of_the_result(page: Path) -> None:
    """Scripts read them."""
    table = rows(section(page, "JSON"))
    assert sorted(key for row in table for key in spans(row[0])) == sorted(RESULT_KEYS)
    [statuses] = [spans(row[1]) for row in table if row[0] == "`status`"]
    kinds: list[type[OzhError]] = [OzhError, *OzhError.__subclasses__()]
    assert set(statuses) == {kind.status for kind in kinds} | {"ok", "outside_hours"}
