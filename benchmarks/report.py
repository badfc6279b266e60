"""``RESULTS.md`` for people, ``results.json`` for machines."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.environment import BASELINES, LATENCY_MS, Environment
from benchmarks.figure import Figure

HERE = Path(__file__).parent
OURS = ("ozh-notify", "python-telegram-bot", "aiohttp", "motor", "pymongo")
THEIRS = ("aiogram", "python-telegram-bot", "httpx", "aiohttp", "uvloop", "orjson")


def table(found: Sequence[Figure]) -> str:
    """The figures in Markdown."""
    rows = ["| | figure | to reach | measured | reached |", "|---|---|---|---|---|"]
    for one in found:
        reached = "" if one.reached is None else "yes" if one.reached else "**no**"
        what = f"{one.what}<br>{one.note}" if one.note else one.what
        rows.append(f"| {one.name} | {what} | {one.target} | {one.measured} | {reached} |")
    return "\n".join(rows)


def write(found: Sequence[Figure], environment: Environment, seconds: float) -> None:
    """Write both files."""
    where = {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": "make bench",
        "minutes": round(seconds / 60, 1),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "server": _server(environment),
        "bot_api": f"benchmarks/bot_api.py, a process of its own, {LATENCY_MS} ms an answer",
        "versions": ", ".join(f"{name} {version(name)}" for name in OURS),
        "baselines": _versions_of_baselines(),
    }
    figures = [asdict(one) for one in found]
    text = json.dumps({**where, "figures": figures}, ensure_ascii=False, indent=1)
    (HERE / "results.json").write_text(text + "\n", encoding="utf-8")
    lines = [
        "# What `make bench` measured",
        "",
        table(found),
        "",
        "Rates are messages a second, times in ms are CPU a message: of ozh-notify the whole "
        "process from its start, of the others their send loop alone. Ratios are medians of what "
        "was measured in turn, against one Bot API process. All of it, the MongoDB server and the "
        "Bot API too, shares the one machine.",
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in where.items()),
    ]
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _server(environment: Environment) -> str:
    build = environment.client.admin.command("buildInfo").get("version", "?")
    return f"{environment.kind}, which says it is MongoDB {build}"


def _versions_of_baselines() -> str:
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    out = subprocess.run(
        [BASELINES, "-c", code, *THEIRS], check=True, capture_output=True, text=True
    ).stdout.split()
    return ", ".join(f"{name} {one}" for name, one in zip(THEIRS, out, strict=True))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.0f} GiB"
