"""Campaigns without Python: ``win_back.toml`` and ``win_back.html`` in `OZH_CAMPAIGNS_DIR`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any, ClassVar

from ozh_notify.campaigns.base import Campaign, Criterion, Index, Kind
from ozh_notify.campaigns.toml_file import CampaignFile, parse_campaign
from ozh_notify.errors import ConfigError


class TomlCampaign(Campaign):
    """A campaign that a file describes; each file makes a subclass."""

    file: ClassVar[CampaignFile]

    def population_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        return tuple(spec.criterion(now) for spec in self.file.population)

    def eligibility_criteria(self, now: datetime) -> tuple[Criterion, ...]:
        return tuple(spec.criterion(now) for spec in self.file.criteria)

    def sort_field(self) -> str:
        return self.file.newest_by

    def not_before(self) -> time | None:
        return self.file.not_before

    def template_variables(self) -> Mapping[str, str | None]:
        return self.file.variables

    def set_when_sent(self) -> Mapping[str, Any]:
        return self.file.set_when_sent

    def index(self) -> Index:
        """Flags first, then the hold, then the date: who was messaged is skipped in the index."""
        specs = (*self.file.population, *self.file.criteria)
        flags = [spec.field for spec in specs if spec.kind is Kind.FLAG]
        paths = [*flags, f"{self.state_path}.hold_until", self.file.newest_by]
        partial = {
            spec.field: spec.fixed["$eq"]
            for spec in self.file.population
            if spec.kind is Kind.NUMBER and "$eq" in spec.fixed
        }
        keys = tuple((path, 1) for path in dict.fromkeys(paths))
        return Index(f"ozh_{self.key}", keys, f"scan of {self.name}", partial or None)


def load_toml_campaign(path: Path) -> type[Campaign]:
    """The campaign of a file; its command has the file's name.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong; with file and line.
    """
    name = path.stem.replace("_", "-")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: it cannot be read: {error}") from None
    file = parse_campaign(text, str(path), name)
    members = {
        "name": name,
        "summary": file.summary,
        "population": file.described_as,
        "once": file.once,
        "folder": path.parent,
        "file": file,
        "__doc__": f"The campaign of {path}.",
    }
    return type(name, (TomlCampaign,), members)
