"""Pages are held to the code and to each other: what they name exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml

from ozh_notify.cli import app, run
from ozh_notify.config.experiment_settings import settings_class
from ozh_notify.config.settings import SECRETS, variables
from ozh_notify.errors import Exit
from ozh_notify.users.delivery_state import State
from tests.helpers import markdown
from tests.helpers.markdown import (
    CONTRIBUTING,
    OPERATING,
    README,
    REFERENCE,
    REFERENCE_RU,
    ROOT,
    RUSSIAN,
    STATES,
    headings,
    read,
    rows,
    spans,
)

PAGES = markdown.pages()
SOURCES = sorted((ROOT / "ozh_notify").rglob("*.py"))
PLACEHOLDERS = {"CAMPAIGN", "win-back"}
"""Names of campaigns that stand for any."""
EFFECT, EFFECT_RU = ROOT / "docs/effect.md", ROOT / "docs/effect.ru.md"
PAIRS = [(README, RUSSIAN), (REFERENCE, REFERENCE_RU), (EFFECT, EFFECT_RU)]
"""Pages in English and in Russian."""
MAP = ROOT / "docs/source-map.md"
README_LINES = 200

TYPED = re.compile(r"(?:\$ )?(?:\S*/)?ozh(?:-notify)? (CAMPAIGN|[a-z][\w-]*)([^#;|(]*)")
"""A command as one types it; `ozh` is what docs/deploying.md calls it for short."""

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
in_pairs = pytest.mark.parametrize(("english", "russian"), PAIRS, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def command_line() -> Any:
    """The whole command line, as Typer sees it."""
    run(["--version"])  # adds the commands
    return typer.main.get_command(app)


def options(command: Any) -> set[str]:
    """The options of a command."""
    own = {opt for param in command.params for opt in [*param.opts, *param.secondary_opts]}
    return {opt for opt in own if opt.startswith("-")}


# --- what pages show ---


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


@by_name
def test_every_variable_a_page_names_exists(page: Path) -> None:
    """A misspelled one would be a warning at best."""
    known = {*variables(settings_class({"win_back": "ever"})), "OZH_TEST_MONGO_URI"}
    known |= {f"{secret}_FILE" for secret in SECRETS}
    own = set(re.findall(r'"(OZH_\w+)"', read(page))) if page.name == "campaigns.md" else set()
    for name in re.findall(r"\bOZH_[A-Z_]*[A-Z]\b(?!…|_)", read(page)):
        assert name in known | own, name


def test_every_state_is_explained() -> None:
    """As it is stored."""
    first = [row[0].strip("`") for row in rows(read(STATES))]
    assert [cell for cell in first if cell in [*State]] == [state.value for state in State]


def test_the_runbook_has_every_exit_code_state_and_alert() -> None:
    """The person on call finds a heading for each alert."""
    titles = [words for level, words in headings(read(OPERATING)) if level == 3]
    assert [int(title) for title in titles if title.isdigit()] == sorted(Exit)
    assert [title for title in titles if title in [*State]] == [state.value for state in State]
    groups = yaml.safe_load(read(ROOT / "contrib/prometheus/alerts.yml"))["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    assert [title for title in titles if title.startswith("Ozh")] == alerts


def test_the_runbook_quotes_what_the_program_says() -> None:
    """A search for a message finds it."""
    code = " ".join(read(source) for source in SOURCES)
    said = re.sub(r'"\s*f?"', "", re.sub(r"\s+", " ", code))
    quoted = [text for row in rows(read(OPERATING)) for text in spans(row[0])]
    assert len(quoted) > 10
    for text in quoted:
        for part in text.split("…"):
            assert part.strip() in said, text


def test_the_readme_stays_short() -> None:
    """What is longer belongs on a page of its own."""
    assert len(read(README).splitlines()) <= README_LINES
    assert len(read(RUSSIAN).splitlines()) <= README_LINES


# --- both languages ---


def in_english(links: list[str]) -> list[str]:
    """Links, those to a Russian page as if to the English one."""
    return [link.replace(".ru.md", ".md") for link in links]


@in_pairs
def test_both_languages_have_the_same_headings_blocks_and_links(
    english: Path, russian: Path
) -> None:
    """A reader of one has read the other."""
    texts = read(english), read(russian)
    levels = [[level for level, _ in headings(text)] for text in texts]
    assert levels[0] == levels[1]
    assert markdown.fences(texts[0]) == markdown.fences(texts[1])
    first = [markdown.links(text)[0] for text in texts]
    assert first == [russian.name, english.name]
    assert in_english(markdown.links(texts[0])[1:]) == in_english(markdown.links(texts[1])[1:])


@in_pairs
def test_both_languages_name_the_same_in_every_section(english: Path, russian: Path) -> None:
    """Commands, options, variables, states and codes; and the tables have the same rows."""
    titles = headings(read(english))
    for number, (_, title) in enumerate(titles):
        one, other = (markdown.below(read(page), number) for page in (english, russian))
        assert sorted(set(spans(one))) == sorted(set(spans(other))), title
        tables = [
            [(spans(row[0]) or row[0] if row[0].isdigit() else len(row)) for row in rows(text)]
            for text in (one, other)
        ]
        assert tables[0] == tables[1], title
        points = [len(re.findall(r"^(?:- |\d\. )", text, re.MULTILINE)) for text in (one, other)]
        assert points[0] == points[1], title


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


def test_every_make_target_is_explained_to_those_who_change_the_code() -> None:
    """When to call it, and how long it takes."""
    named = {span for row in rows(read(CONTRIBUTING)) for span in spans(row[0])}
    shown = named | set(re.findall(r"^(make [a-z-]+)", fenced(CONTRIBUTING), re.MULTILINE))
    assert {f"make {name}" for name in targets() if name != "help"} <= shown


def fenced(page: Path) -> str:
    """All blocks of code of a page."""
    return "\n".join(block for _, block in markdown.fences(read(page)))


@pytest.mark.parametrize("page", [README, RUSSIAN], ids=lambda page: page.name)
def test_the_readme_has_every_extra(page: Path) -> None:
    """Where installing is explained."""
    project = read(ROOT / "pyproject.toml").partition("[project.optional-dependencies]")[2]
    extras = re.findall(r"^(\w+) = \[", project.partition("\n[")[0], re.MULTILINE)
    [line] = [line for line in read(page).splitlines() if "xtras" in line]
    assert set(extras) <= set(spans(line))
    assert "demo" in extras


def test_the_map_names_every_module() -> None:
    """By its name, or by that of its room."""
    named = [span for row in rows(read(MAP)) for span in spans(row[0])]
    for source in SOURCES:
        name = source.relative_to(ROOT / "ozh_notify").as_posix()
        covered = name in named or any(name.startswith(f) for f in named if f.endswith("/"))
        assert covered or name == "__init__.py", name
    for name in named:
        assert (ROOT / "ozh_notify" / name).exists(), name


@by_name
def test_every_file_of_the_code_a_page_names_exists(page: Path) -> None:
    """A reader opens it at the first try."""
    if page.parent.name == "reports":
        return  # of the code of that day
    for name in spans(read(page)):
        if re.fullmatch(r"(ozh_notify|tests|contrib|k8s|scripts|benchmarks|docs)/[\w./@-]+", name):
            is_new = page.name == "campaigns.md" and "win_back" in name
            assert is_new or (ROOT / name).exists(), name


def test_the_tour_is_a_picture_that_needs_nothing_from_elsewhere() -> None:
    """A page that shows it fetches no font, and a browser can draw it."""
    svg = read(ROOT / "docs/tour.svg")
    assert ElementTree.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own file
    links = re.findall(r"(?:href|src)=|url\((?!#)|@import", svg)
    assert (links, len(svg) < 100_000) == ([], True)
    shown = svg.replace("&#160;", " ")
    for words in ("ozh-notify discount --dry-run", "to be messaged", "no user got two."):
        assert words in shown
