"""Reading Markdown pages as the tests of the documents need it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README, RUSSIAN = ROOT / "README.md", ROOT / "README.ru.md"
REFERENCE, REFERENCE_RU = ROOT / "docs/reference.md", ROOT / "docs/reference.ru.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
OPERATING, STATES = ROOT / "docs/operating.md", ROOT / "docs/states.md"
FOLDERS = ("docs", "contrib", "k8s", "benchmarks")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def pages() -> list[Path]:
    """Every page of this project."""
    within = [page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md"))]
    return [*sorted(ROOT.glob("*.md")), *within]


def read(page: Path) -> str:
    """A page as it is."""
    return page.read_text(encoding="utf-8")


def fences(text: str) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    return FENCE.findall(text)


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


def headings(text: str) -> list[tuple[int, str]]:
    """Level and words of each heading."""
    return [(len(marks), words.strip("`")) for marks, words in HEADING.findall(prose(text))]


def sections(text: str) -> list[str]:
    """What stands before the first heading, and below each."""
    return re.split(r"^#+ .+$", prose(text), flags=re.MULTILINE)


def below(text: str, number: int) -> str:
    """What stands below the heading with this number, from 0."""
    return sections(text)[number + 1]


def rows(text: str) -> list[list[str]]:
    """Cells of all tables' rows, without their heads."""
    lines = re.findall(r"^\|(.+)\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    ruled = [n for n, row in enumerate(lines) if not row.strip("-| ")]
    heads = {n - 1 for n in ruled} | set(ruled)
    return [[c.strip("| ") for c in row] for n, row in enumerate(cells) if n not in heads]


def spans(text: str) -> list[str]:
    """Inline code."""
    return SPAN.findall(prose(text))


def options(text: str) -> set[str]:
    """Options that inline code names."""
    return {option for span in spans(text) for option in OPTION.findall(span)}


def links(text: str) -> list[str]:
    """Where a page's links and pictures lead."""
    return LINK.findall(prose(text))


def anchor(words: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
