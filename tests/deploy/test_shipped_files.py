"""What is handed out beside the program: files that must agree with it and with each other."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.helpers.kustomize import load

pytestmark = pytest.mark.deploy

ROOT = Path(__file__).parents[2]
CAMPAIGNS = ("discount", "daily-bonus")
CRONTAB = (ROOT / "crontab.example").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
SERVICE = (ROOT / "contrib/systemd/ozh-notify@.service").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DEPLOYING = ROOT / "docs/deploying.md"


def shipped() -> list[Path]:
    """Every file of the project that git knows, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [ROOT / name for name in names.splitlines() if (ROOT / name).is_file()]


def pins(name: str) -> dict[str, set[str]]:
    """The versions that a file of constraints names, by normalized package name."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text("utf-8").splitlines():
        package, version = line.partition(";")[0].strip().split("==")
        found.setdefault(normalized(package), set()).add(version)
    return found


def normalized(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


REQUIRED = [Requirement(text) for text in metadata.requires("ozh-notify") or []]


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_every_scheduler_keeps_the_same_hours(campaign: str) -> None:
    """cron and Kubernetes name one schedule; test_systemd.py compares the timers with it."""
    [cronjob] = load(ROOT / f"k8s/base/{campaign}.yaml")
    [line] = re.findall(rf"^(\S+ \S+ \S+ \S+ \S+) .* {campaign} ", CRONTAB, re.MULTILINE)
    assert cronjob["spec"]["schedule"] == line


def test_every_scheduler_keeps_the_same_zone() -> None:
    """Who changes it finds one name to look for, in each."""
    assert "OZH_TIMEZONE=" not in CRONTAB, "what is run by hand would have another zone"
    [example] = re.findall(r'^OZH_TIMEZONE="(\S+)"$', EXAMPLE, re.MULTILINE)
    [systemd] = re.findall(r"^Environment=OZH_TIMEZONE=(\S+)$", SERVICE, re.MULTILINE)
    zones = {load(ROOT / f"k8s/base/{c}.yaml")[0]["spec"]["timeZone"] for c in CAMPAIGNS}
    configured = load(ROOT / "k8s/base/configmap.yaml")[0]["data"]["OZH_TIMEZONE"]
    assert {example, systemd, configured, *zones} == {"Europe/Moscow"}


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    """No home directory, and no credential but the documents' examples."""
    home = re.compile(r"(?<![\w.~-])/(root|home|work)/\w")
    token = re.compile(r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b")
    texts = {p: p.read_text("utf-8", "replace") for p in shipped() if "tests" not in p.parts}
    assert len(texts) > 50
    assert [str(p) for p, text in texts.items() if home.search(text) or token.search(text)] == []


def test_documents_and_scripts_name_only_targets_that_exist() -> None:
    """`make something` in a text works when it is typed."""
    named: set[str] = set()
    for path in [*PAGES, ROOT / ".ci/run"]:
        text = path.read_text("utf-8")
        named |= set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", text, re.MULTILINE))
    assert named <= TARGETS, named - TARGETS
    assert {"demo", "test", "test-long", "test-lowest", "lint", "types", "audit"} <= TARGETS


def test_the_hooks_before_a_commit_are_the_targets_of_the_gate() -> None:
    """Nobody's own tool version decides what is well formatted."""
    plan = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook for repository in plan["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in plan["repos"]} == {"local"}
    assert [hook["entry"] for hook in hooks] == ["make lint", "make types"]
    assert not any(hook["pass_filenames"] for hook in hooks)


def test_what_the_deploying_page_names_is_there() -> None:
    """Its links, its folders and the files it tells to copy."""
    text = DEPLOYING.read_text("utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    paths = re.findall(r"(?<![\w/.-])((?:k8s|contrib)/[\w./@-]*[\w@])", text)
    assert links
    assert paths
    assert [link for link in sorted(links) if not (DEPLOYING.parent / link).exists()] == []
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_the_lowest_versions_are_those_of_the_ranges() -> None:
    """`make test-lowest` tries what pyproject.toml promises, and nothing newer."""
    lowest = {
        name: versions.pop() for name, versions in pins("tests/lowest-constraints.txt").items()
    }
    needed = {normalized(r.name): r for r in REQUIRED if not r.marker and r.specifier}
    assert lowest.keys() == needed.keys()
    for name, version in lowest.items():
        [bound] = [s.version for s in needed[name].specifier if s.operator == ">="]
        assert re.fullmatch(rf"{re.escape(bound)}(\.0)*", version), name


def test_every_requirement_has_its_exact_version() -> None:
    """An installation with constraints.txt gets what the tests ran with, within the ranges."""
    exact = pins("constraints.txt")
    for requirement in REQUIRED:
        if requirement.name == "ozh-notify":
            continue
        versions = exact[normalized(requirement.name)]
        assert all(requirement.specifier.contains(v, prereleases=True) for v in versions)
