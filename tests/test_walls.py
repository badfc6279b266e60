"""The shape of the code: who may import whom, how long a room may be, and plain words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ozh_notify"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = sorted(folder for folder in PACKAGE.rglob("*/") if (folder / "__init__.py").exists())

EVERYWHERE = {"errors", "wording", "__version__"}
"""What any package may import."""
ALLOWED: dict[str, set[str]] = {
    "config": set(),
    "campaigns": {"config"},
    "users": {"campaigns", "config"},
    "effect": {"campaigns", "users"},
    "messaging": {"campaigns", "users", "config", "clock", "logs"},
    "mongo": {"campaigns", "users", "effect", "config", "clock"},
    "passes": {"campaigns", "users", "effect", "messaging", "config", "clock"},
    "operator": {"campaigns", "users", "effect", "messaging", "mongo", "passes", "config", "clock"},
    "monitoring": {"campaigns", "users", "messaging", "passes", "config", "clock", "logs"},
    "sandbox": {"messaging"},
    "cli": {
        *("campaigns", "users", "effect", "messaging", "mongo", "passes", "operator"),
        *("monitoring", "sandbox", "config", "clock", "logs"),
    },
    "__main__": {"cli"},
    "clock": set(),
    "logs": set(),
    "errors": set(),
    "wording": set(),
    "__init__": set(),
}
"""The packages each package may import; read from the top, nothing imports upward."""

MAX_MODULE = 250
MAX_FUNCTION = 40

PROSE = [
    *(
        ROOT / n
        for n in ("README.md", ".env.example", "crontab.example", "CHANGELOG.md", "Makefile")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
    *SOURCES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "k8s").rglob("*.yaml")),
    *sorted((ROOT / "contrib").rglob("*.yml")),
    *sorted((ROOT / "contrib" / "systemd").iterdir()),
]
HARD_WORDS = re.compile(
    r"\b(whom|whoever|whomever|but for|fuse|lately"
    r"|(?:is|are) no (?:file|object|folder|date|variable|number|text|chat|campaign|bot|user"
    r"|terminal|template|code|name|key|id|language|part|place|reason|success|secret|problem))\b",
    re.IGNORECASE,
)
"""Words and turns that stop a reader with school English."""


def room(source: Path) -> str:
    """The package a file is in, or the module at the top."""
    return source.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source: Path) -> Iterator[str]:
    """The packages of this project that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ozh_notify"):
            _, _, rest = str(node.module).partition(".")
            names = [rest] if rest else [alias.name for alias in node.names]
            yield from (name.partition(".")[0] for name in names)


@pytest.mark.parametrize("name", sorted({room(source) for source in SOURCES}))
def test_a_package_imports_only_the_packages_below_it(name: str) -> None:
    """So there is no circle, and a reader knows where a line belongs."""
    used = {one for s in SOURCES if room(s) == name for one in imported(s)}
    assert used - {name} - EVERYWHERE <= ALLOWED[name]


def test_the_allowed_imports_have_no_circle() -> None:
    """Each package can be put below all that import it."""
    left = dict(ALLOWED)
    while left:
        lowest = {name for name, below in left.items() if not below & left.keys()}
        assert lowest, f"a circle among {sorted(left)}"
        left = {name: below for name, below in left.items() if name not in lowest}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_package_says_what_belongs_there(package: Path) -> None:
    """Its docstring is the first thing a reader looks for."""
    assert ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    """A longer file is two rooms."""
    long = {
        source.relative_to(PACKAGE).as_posix()
        for source in SOURCES
        if len(source.read_text(encoding="utf-8").splitlines()) > MAX_MODULE
    }
    assert long == set()


def test_no_function_is_longer_than_a_screen() -> None:
    """A longer function does two things."""
    long = {
        f"{source.relative_to(PACKAGE).as_posix()}:{node.name}"
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION
    }
    assert long == set()


def test_the_prose_uses_plain_words() -> None:
    """Messages, help, docstrings, comments and pages are read at 3 a.m."""
    found = [
        f"{file.relative_to(ROOT)}:{number}: {match[0]}"
        for file in PROSE
        if file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (match := HARD_WORDS.search(line))
    ]
    assert found == []
