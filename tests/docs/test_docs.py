"""The documents are held to the code: what they name exists, and what exists they name."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml

from ozh_notify.cli import app, run
from ozh_notify.config.settings import SECRETS, Settings, variables
from ozh_notify.errors import Exit, OzhError
from ozh_notify.users.delivery_state import State
from tests.helpers import markdown
from tests.helpers.markdown import (
    OPERATING,
    README,
    ROOT,
    RUSSIAN,
    STATES,
    headings,
    read,
    rows,
    spans,
)
from tests.helpers.result_keys import RESULT_KEYS

READMES = [README, RUSSIAN]
PAGES = markdown.pages()
SOURCES = sorted((ROOT / "ozh_notify").rglob("*.py"))
PLACEHOLDERS = {"CAMPAIGN", "win-back"}
"""Names of campaigns that stand for any."""

TYPED = re.compile(r"(?:\$ )?(?:\S*/)?ozh(?:-notify)? (CAMPAIGN|[a-z][\w-]*)([^#;|(]*)")
"""A command as one types it; `ozh` is what docs/deploying.md calls it for short."""

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
in_both = pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)


def section(page: Path, number: int) -> str:
    """A README's section; both have the same ones in the same order."""
    return markdown.below(read(page), number)


def numbered(words: str) -> int:
    """The number of the English README's heading."""
    return [text for _, text in headings(read(README))].index(words)


COMMANDS, SETTINGS = numbered("Commands"), numbered("Settings")
EXITS, PROMISE = numbered("Exit codes"), numbered("The promise, and its one limit")
INSTALL, INSIDE = numbered("Install"), numbered("Inside")


@pytest.fixture(scope="module")
def command_line() -> Any:
    """The whole command line, as Typer sees it."""
    run(["--version"])  # adds the commands
    return typer.main.get_command(app)


def options(command: Any) -> set[str]:
    """The options of a command; help is one of each."""
    own = {opt for param in command.params for opt in [*param.opts, *param.secondary_opts]}
    return {opt for opt in own if opt.startswith("-")}


def usage(name: str, command: Any) -> str:
    """A command and its arguments, as the README writes it."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    shown = [str(p.metavar) if p.required else f"[{p.metavar}]" for p in arguments]
    return " ".join(["ozh-notify", name, *shown])


# --- the command line ---


@in_both
def test_the_readme_has_every_command_with_its_options(page: Path, command_line: Any) -> None:
    """And no command or option that `--help` does not know."""
    table = [row for row in rows(section(page, COMMANDS)) if row[0].startswith("`ozh-notify")]
    told = {row[0].strip("`"): markdown.options(row[1]) for row in table}
    passes = ("discount", "daily-bonus")
    known = {
        usage(name, command): set() if name in passes else options(command)
        for name, command in command_line.commands.items()
    }
    assert told == known


@in_both
def test_the_readme_has_every_option_of_a_pass_and_of_all_commands(
    page: Path, command_line: Any
) -> None:
    """Each pass has the same ones."""
    text = section(page, COMMANDS)
    told = set().union(*(markdown.options(row[0]) for row in rows(text) if row[0][1] == "-"))
    for name in ("discount", "daily-bonus"):
        assert told == options(command_line.commands[name])
    [line] = [line for line in text.splitlines() if "`--env-file" in line]
    assert markdown.options(line) == options(command_line) | {"-h", "--help"}


@by_name
def test_every_command_a_page_shows_exists(page: Path, command_line: Any) -> None:
    """Whatever is shown can be typed."""
    text = read(page)
    blocks = [line.strip() for _, block in markdown.fences(text) for line in block.splitlines()]
    for line in [*spans(text), *blocks]:
        shown = TYPED.match(line)
        if shown:
            name = "discount" if shown[1] in PLACEHOLDERS else shown[1]
            assert name in command_line.commands, line
            named = set(markdown.OPTION.findall(shown[2])) - {"--help", "-h"}
            assert named <= options(command_line.commands[name]), line


# --- settings ---


def default(variable: str) -> Any:
    """A variable's default in the code; None where there is none."""
    [field] = [f for f in Settings.model_fields.values() if f.alias == variable]
    return None if field.is_required() else field.default


def written(value: object) -> str:
    """A default as one would set it."""
    return f"{value:%H:%M}" if isinstance(value, time) else str(value)


@in_both
def test_the_readme_has_every_variable_with_its_default(page: Path) -> None:
    """And no variable that the code does not know."""
    table = rows(section(page, SETTINGS))
    named = [name for row in table for name in spans(row[0])]
    assert sorted(named) == sorted(set(variables()) - {"JOB_COMPLETION_INDEX"})
    assert "JOB_COMPLETION_INDEX" in spans(section(page, SETTINGS))
    for row in table:
        for name in spans(row[0]):
            if default(name) is not None:
                assert row[1] == f"`{written(default(name))}`", name
            elif name not in ("OZH_TELEGRAM_PROXY", "MONGO_DB_NAME"):  # they come from elsewhere
                assert "`" not in row[1], name


def test_both_readmes_call_the_same_variables_unset() -> None:
    """By the words each language has for it."""
    unset = [
        {name for row in rows(section(page, SETTINGS)) if row[1] in words for name in spans(row[0])}
        for page, words in ((README, ("unset",)), (RUSSIAN, ("не задана", "не заданы")))
    ]
    assert unset[0] == unset[1]
    assert {"OZH_SHARDS", "API_KEY"} < unset[0]
    assert all(default(name) is None for name in unset[0])


@pytest.mark.parametrize("page", [*READMES, ROOT / ".env.example"], ids=lambda page: page.name)
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


@by_name
def test_every_variable_a_page_names_exists(page: Path) -> None:
    """A misspelled one would be a warning at best."""
    known = {*variables(), *(f"{secret}_FILE" for secret in SECRETS), "OZH_TEST_MONGO_URI"}
    own = set(re.findall(r'"(OZH_\w+)"', read(page))) if page.name == "campaigns.md" else set()
    for name in re.findall(r"\bOZH_[A-Z_]*[A-Z]\b(?!…|_)", read(page)):
        assert name in known | own, name


# --- codes, keys, states ---


@in_both
def test_the_readme_has_every_exit_code_and_every_key_of_the_result(page: Path) -> None:
    """The codes and the object that scripts rely on."""
    table = rows(section(page, EXITS))
    assert [int(row[0]) for row in table if row[0].isdigit()] == sorted(Exit)
    keys = [key for row in table if not row[0].isdigit() for key in spans(row[0])]
    assert sorted(keys) == sorted(RESULT_KEYS)
    [statuses] = [spans(row[1]) for row in table if row[0] == "`status`"]
    kinds: list[type[OzhError]] = [OzhError, *OzhError.__subclasses__()]
    ends = {kind.status for kind in kinds}
    assert set(statuses) == ends | {"ok", "outside_hours"}


@pytest.mark.parametrize("page", [*READMES, STATES], ids=lambda page: page.name)
def test_every_state_is_explained(page: Path) -> None:
    """As it is stored."""
    text = read(STATES) if page == STATES else section(page, PROMISE)
    first = [row[0].strip("`") for row in rows(text)]
    assert [cell for cell in first if cell in [*State]] == [state.value for state in State]


def test_the_runbook_has_every_exit_code_state_and_alert() -> None:
    """Whoever is woken up finds a heading for what woke them."""
    titles = [words for level, words in headings(read(OPERATING)) if level == 3]
    assert [int(title) for title in titles if title.isdigit()] == sorted(Exit)
    assert [title for title in titles if title in [*State]] == [state.value for state in State]
    groups = yaml.safe_load(read(ROOT / "contrib/prometheus/alerts.yml"))["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    assert [title for title in titles if title.startswith("Ozh")] == alerts


def test_the_runbook_quotes_what_the_program_says() -> None:
    """Whoever searches it for a message finds it."""
    code = " ".join(read(source) for source in SOURCES)
    said = re.sub(r'"\s*f?"', "", re.sub(r"\s+", " ", code))
    quoted = [text for row in rows(read(OPERATING)) for text in spans(row[0])]
    assert len(quoted) > 10
    for text in quoted:
        for part in text.split("…"):
            assert part.strip() in said, text


# --- both languages ---


def test_both_readmes_have_the_same_headings_blocks_and_links() -> None:
    """Whoever reads one has read the other."""
    english, russian = read(README), read(RUSSIAN)
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(russian)]
    assert markdown.fences(english) == markdown.fences(russian)
    assert markdown.links(english)[1:] == markdown.links(russian)[1:]
    assert (markdown.links(english)[0], markdown.links(russian)[0]) == (
        "README.ru.md",
        "README.md",
    )


@pytest.mark.parametrize("number", range(len(headings(read(README)))))
def test_both_readmes_name_the_same_in_every_section(number: int) -> None:
    """Commands, options, variables, states and codes; and the tables have the same rows."""
    english, russian = section(README, number), section(RUSSIAN, number)
    assert sorted(set(spans(english))) == sorted(set(spans(russian)))
    tables = [
        [(spans(row[0]) or row[0] if row[0].isdigit() else len(row)) for row in rows(text)]
        for text in (english, russian)
    ]
    assert tables[0] == tables[1]
    assert len(re.findall(r"^(?:- |\d\. )", english, re.MULTILINE)) == len(
        re.findall(r"^(?:- |\d\. )", russian, re.MULTILINE)
    )


# --- what pages point to ---


@by_name
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading of it."""
    for link in markdown.links(read(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        file, _, wanted = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if wanted:
            assert wanted in [markdown.anchor(words) for _, words in headings(read(target))], link


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(ROOT)))
def test_every_page_the_code_points_to_exists(source: Path) -> None:
    """A comment that says where to read more."""
    for name in re.findall(r"(?<![\w/])docs/[\w./-]*\w", read(source)):
        assert (ROOT / name).exists(), name


@by_name
def test_every_make_target_a_page_names_exists(page: Path) -> None:
    """Whatever is shown can be typed."""
    text = read(page)
    shown = [*spans(text), *(block for _, block in markdown.fences(text))]
    for name in re.findall(r"^make ([a-z][a-z-]*)", "\n".join(shown), re.MULTILINE):
        assert name in targets(), name


def targets() -> list[str]:
    """What the Makefile makes, in its own words."""
    return re.findall(r"^([a-z-]+):.*## ", read(ROOT / "Makefile"), re.MULTILINE)


@in_both
def test_the_readme_has_every_make_target_and_every_extra(page: Path) -> None:
    """Targets in the table, extras where installing is explained."""
    told = [span for row in rows(section(page, INSIDE)) for span in spans(row[0])]
    assert sorted(told) == sorted(f"make {name}" for name in targets() if name != "help")
    project = read(ROOT / "pyproject.toml").partition("[project.optional-dependencies]")[2]
    extras = re.findall(r"^(\w+) = \[", project.partition("\n[")[0], re.MULTILINE)
    [line] = [line for line in section(page, INSTALL).splitlines() if "xtras" in line]
    assert set(extras) <= set(spans(line))
    assert "demo" in extras


def test_the_map_names_every_module() -> None:
    """By its name, or by that of its folder."""
    named = [span for row in rows(read(ROOT / "docs/source-map.md")) for span in spans(row[0])]
    for source in SOURCES:
        name = source.relative_to(ROOT / "ozh_notify").as_posix()
        covered = name in named or any(name.startswith(f) for f in named if f.endswith("/"))
        assert covered or name == "__init__.py", name
    for name in named:
        assert (ROOT / "ozh_notify" / name).exists(), name


def test_the_tour_is_a_picture_that_needs_nothing_from_elsewhere() -> None:
    """A page that shows it fetches no font, and a browser can draw it."""
    svg = read(ROOT / "docs/tour.svg")
    assert ElementTree.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own file
    links = re.findall(r"(?:href|src)=|url\((?!#)|@import", svg)
    assert (links, len(svg) < 100_000) == ([], True)
    shown = svg.replace("&#160;", " ")
    for words in ("ozh-notify discount --dry-run", "to be messaged", "nobody got two."):
        assert words in shown
