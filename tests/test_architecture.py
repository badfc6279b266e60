"""Rooms: which module may import what; and documents that name what the code knows."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from dotenv import dotenv_values

from ozh_notify.config.load import load
from ozh_notify.config.settings import SECRETS, variables

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ozh_notify"
EXAMPLE = ROOT / ".env.example"
SOURCES = sorted(PACKAGE.rglob("*.py"))

ROOMS: dict[str, tuple[str, ...]] = {
    "motor": ("mongo/",),
    "pymongo": ("mongo/", "sandbox/"),
    "bson": ("mongo/", "config/types.py", "sandbox/"),
    "telegram": ("messaging/",),
    "aiohttp": ("messaging/connections.py", "sandbox/botapi/"),
    "aiohttp_socks": ("messaging/connections.py",),
    "aiolimiter": ("messaging/pacer.py",),
    "jinja2": ("messaging/",),
    "typer": ("cli/",),
    "rich": ("cli/", "sandbox/"),
    "pydantic": ("config/",),
    "dotenv": ("config/",),
    "prometheus_client": ("monitoring/",),
    "tomli": ("campaigns/toml_file.py", "messaging/message_options_file.py"),
    "tzlocal": ("config/",),
}
"""Where each vendor package may be imported; a name that ends with / is a folder."""

PURE = (
    "users/audience.py",
    "users/delivery_state.py",
    "users/journal_copy.py",
    "users/journal_entry.py",
    "users/field_mapping.py",
    "users/recipient.py",
    "users/restraints.py",
    "users/state_update.py",
    "passes/breaker.py",
    "messaging/html.py",
    "messaging/html_tags.py",
    "messaging/classify.py",
    "messaging/replies.py",
)


@cache
def imports(source: Path) -> frozenset[str]:
    """The top-level packages a file imports, wherever in it."""
    return frozenset(_imports(source))


def _imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "ozh_notify" if node.level else str(node.module).partition(".")[0]


def within(source: Path, rooms: tuple[str, ...]) -> bool:
    """Whether a file is one of these, or in one of these folders."""
    name = source.relative_to(PACKAGE).as_posix()
    return any(name == room or (room.endswith("/") and name.startswith(room)) for room in rooms)


@pytest.mark.parametrize("vendor", ROOMS)
def test_a_vendor_package_is_imported_in_its_room_only(vendor: str) -> None:
    """So that replacing it is a change of one file."""
    users = [source for source in SOURCES if vendor in imports(source)]
    assert [str(u) for u in users if not within(u, ROOMS[vendor])] == []
    assert users, f"{vendor} has a room, but nobody imports it"


def test_every_vendor_package_has_a_room() -> None:
    """A new dependency is a decision; the embedded server is only ever a process of its own."""
    known = sys.stdlib_module_names | ROOMS.keys() | {"ozh_notify"}
    strangers = {(name, str(s)) for s in SOURCES for name in imports(s) if name not in known}
    assert strangers == set()
    assert not {"secantus", "click"} & known


@pytest.mark.parametrize("name", PURE)
def test_the_functional_core_knows_no_clock_and_no_io(name: str) -> None:
    """Time is an argument there, and nothing waits."""
    source = PACKAGE / name
    assert not set(imports(source)) & {"asyncio", "time", "os", "socket", "logging", "random"}
    assert not re.search(r"\bnow\(|\butcnow\(|\bopen\(", source.read_text(encoding="utf-8"))


def test_the_environment_is_read_in_one_file() -> None:
    """And what else looks at it is no setting: where logs go, and the sandbox."""
    readers = {
        source.relative_to(PACKAGE).as_posix()
        for source in SOURCES
        if re.search(r"\bos\.(environ|getenv)\b", source.read_text(encoding="utf-8"))
    }
    assert {r for r in readers if not r.startswith("sandbox/")} == {
        "config/load.py",
        "config/campaigns_dir.py",
        "logs.py",
    }


def test_nothing_in_the_package_listens_but_the_sandbox() -> None:
    """No port is ever opened by a pass."""
    for source in SOURCES:
        if not within(source, ("sandbox/",)):
            text = source.read_text(encoding="utf-8")
            assert not re.search(r"start_server|TCPSite|\.listen\(\d|socketserver", text), source


# --- documents ---


def test_the_example_names_every_variable() -> None:
    """A reader of `.env.example` has read them all, and no unknown one."""
    named = re.findall(
        r"^(?:# )?([A-Z][A-Z_]+)=", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(named) == sorted([*variables(), *(f"{secret}_FILE" for secret in SECRETS)])


def test_the_example_is_understood(tmp_path: Path) -> None:
    """As it is, and with every line in force that is commented out."""
    file = tmp_path / "all.env"
    file.touch(0o600)
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    settings, warnings = load(file, {}, needs_token=False)
    assert warnings == []
    text = re.sub(r"^# (?=[A-Z_]+=)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = re.sub(r"^[A-Z_]+_FILE=.*\n", "", text, flags=re.MULTILINE)
    for name in ("templates", "campaigns"):
        (tmp_path / name).mkdir()
    text = text.replace("/etc/ozh-notify", str(tmp_path))
    file.write_text(text, encoding="utf-8")
    everything, warnings = load(file, {})
    assert warnings == []
    assert everything.extra_filter == {"banned": {"$ne": True}}
    assert settings.mongo_db_name == "your_db_name"


def test_the_examples_defaults_are_the_defaults() -> None:
    """A commented line shows what holds without it, unless it says otherwise."""
    text = EXAMPLE.read_text(encoding="utf-8")
    plain, _ = load(EXAMPLE, {})
    shown = dict(
        re.findall(r'^# (OZH_(?:FIELD|USERS|STATE|RATE|MAX)_\w+)="(.*)"', text, re.MULTILINE)
    )
    assert len(shown) > 10
    again, _ = load(EXAMPLE, shown)
    for name in shown:
        field = next(n for n, f in type(plain).model_fields.items() if f.alias == name)
        assert getattr(plain, field) in (getattr(again, field), None)


def test_the_example_holds_no_secret() -> None:
    """Nothing in it opens anything."""
    values = dotenv_values(EXAMPLE)
    assert "password@host" in unquote(str(values["MONGO_URI"]))
    assert values["TELEGRAM_BOT_TOKEN"] == "123456789:the-token-of-your-main-bot"
