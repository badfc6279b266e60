"""`OZH_CAMPAIGNS_DIR`, which decides which commands there are, before all other settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NAME = "OZH_CAMPAIGNS_DIR"


def find_campaigns_dir(
    env_file: Path | None, environ: Mapping[str, str] = os.environ
) -> Path | None:
    """The folder, if it is one. Loading the settings tells what is wrong with any other value."""
    text = environ.get(NAME) or _in_file(env_file or Path(".env"))
    folder = Path((text or "").strip().strip("\"'") or os.devnull)
    return folder.absolute() if os.path.isdir(folder) else None


def _in_file(path: Path) -> str | None:
    if not os.path.isfile(path):  # unlike Path.is_file, it never raises
        return None
    from dotenv import dotenv_values  # noqa: PLC0415 - most have no such file at hand

    try:
        return dotenv_values(path, encoding="utf-8-sig").get(NAME)
    except (OSError, UnicodeDecodeError):
        return None
