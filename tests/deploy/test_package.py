"""The wheel: what is in it, and that it works where nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ozh_notify import __version__
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, discount_user

pytestmark = pytest.mark.deploy

ROOT = Path(__file__).parents[2]
PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
VERSIONS = ("3.10", "3.11", "3.12", "3.13")


def python(version: str) -> str | None:
    """A Python of a version that can make environments, be it switched on in pyenv or not."""
    known = sorted(PYENV.glob(f"versions/{version}.*/bin/python"))
    for candidate in [*map(str, known), f"python{version}"]:
        if not shutil.which(candidate):
            continue
        tried = subprocess.run(
            [candidate, "-c", "import venv, ensurepip"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return candidate
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what it is made of: no build leaves a trace here."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in ("ozh_notify", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={built}"]
    done = subprocess.run([*command, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = built.iterdir()
    return found


def test_the_wheel_holds_the_program_its_templates_and_types_and_no_tests(wheel: Path) -> None:
    """Whatever the package needs at run time is in it, and nothing else is."""
    names = zipfile.ZipFile(wheel).namelist()
    source = [path for path in (ROOT / "ozh_notify").rglob("*") if path.is_file()]
    wanted = {str(p.relative_to(ROOT)) for p in source if "__pycache__" not in p.parts}
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert {"ozh_notify/py.typed", "ozh_notify/templates/discount.html"} <= wanted
    assert wheel.name == f"ozh_notify-{__version__}-py3-none-any.whl"


def works(command: list[str], ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """Version, help, and a pass that reaches its users."""

    def run(*arguments: str) -> str:
        extra = {"PYTHONPATH": ozh.environment.get("PYTHONPATH", "")}
        done = subprocess.run(
            [*command, *arguments],
            env={**ozh.environment, **extra},
            cwd=ozh.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        ozh.outputs += [done.stdout, done.stderr]
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    users.insert_one(discount_user())
    assert run("--version").strip() == f"ozh-notify {__version__}"
    assert "daily-bonus" in run("--help")
    assert '"sent": 1' in run("discount", "--json")
    assert len(bot_api.control.messages()) == 1


def test_the_wheel_works_without_the_source(
    wheel: Path, tmp_path: Path, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Installed into a folder of its own, beside the libraries that are here."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    subprocess.run([*command, "--target", tmp_path / "installed", wheel], check=True)
    ozh.environment["PYTHONPATH"] = str(tmp_path / "installed")
    where = "import ozh_notify; print(ozh_notify.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        env=ozh.environment,
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert str(tmp_path) in found.stdout.decode()
    works([sys.executable, "-m", "ozh_notify"], ozh, users, bot_api)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_works_in_a_clean_environment(
    version: str, wheel: Path, tmp_path: Path, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """`pip install` of the wheel is all that it takes."""
    found = python(version)
    if found is None:
        pytest.skip(f"no Python {version} with venv and ensurepip was found")
    subprocess.run([found, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [str(tmp_path / "venv/bin/python"), "-m", "pip"]
    pinned = ["-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "install", "--quiet", *pinned, str(wheel)], check=True)
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    works([str(tmp_path / "venv/bin/ozh-notify")], ozh, users, bot_api)
