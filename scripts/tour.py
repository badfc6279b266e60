"""Draw docs/tour.svg: a part of what a real `ozh-notify demo` prints. Used by `make tour`."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

WIDTH = 80
SHOWN = ("ozh-notify discount --dry-run", "ozh-notify discount", "the same passes again")
"""Headings of the parts that are drawn; each may come twice."""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
FONTS = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
"""What would be fetched from elsewhere."""


def main(target: Path) -> None:
    """Run the demo and draw it; nothing is written unless it ended well."""
    command = Path(sys.executable).with_name("ozh-notify")
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "PYTHONUTF8": "1"}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [command, "demo"], env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    console.print(Text("$ ozh-notify demo", style="bold"))
    for line in chosen(done.stdout):
        console.print(Text.from_ansi(line))
    svg = console.export_svg(
        title="ozh-notify demo", code_format=FONTS.sub("", CONSOLE_SVG_FORMAT), unique_id="tour"
    )
    target.write_text(svg, encoding="utf-8")


def chosen(output: str) -> Iterator[str]:
    """The lines that are drawn: chosen parts without the list of recipients, and the last line."""
    *lines, last = output.rstrip().splitlines()
    drawn = listing = False
    for line in lines:
        plain = ESCAPES.sub("", line)
        if plain.startswith("───"):
            drawn = plain.strip("─ ").startswith(SHOWN)
            yield from [""] if drawn else []
        if plain.strip() == "first recipients":
            listing = True
            yield "…"
        if drawn and plain and not listing:
            yield line
        if plain.strip() == "newest first":
            listing = False
    yield from ("", last)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
