"""A folder of campaigns that are made of a TOML file and a text."""

from __future__ import annotations

from pathlib import Path


def campaign_folder(parent: Path, key: str, toml: str, text: str) -> Path:
    """A new folder with one campaign, for `OZH_CAMPAIGNS_DIR`."""
    folder = parent / "campaigns"
    folder.mkdir()
    (folder / f"{key}.toml").write_text(toml, encoding="utf-8")
    (folder / f"{key}.html").write_text(text, encoding="utf-8")
    return folder
