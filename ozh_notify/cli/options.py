"""The global options, and what every command does with them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ozh_notify import logs
from ozh_notify.campaigns import key_of, registry

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings

log = logging.getLogger(__name__)


def now() -> datetime:
    """The moment, as MongoDB keeps it: in milliseconds."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def campaign_settings() -> tuple[tuple[str, ...], dict[str, str]]:
    """What campaigns add to the settings: variables of their own; each key with its ``once``."""
    campaigns = registry().values()
    declared = tuple(name for one in campaigns for name in one.environment_variables)
    return declared, {key_of(one.name): one.once for one in campaigns}


@dataclass(frozen=True)
class GlobalOptions:
    """Options of every command."""

    env_file: Path | None
    verbose: bool
    quiet: bool

    def load(
        self, *, needs_token: bool = False, options: Mapping[str, float | None] | None = None
    ) -> tuple[Settings, logs.Redactor]:
        """Settings, with logging set up by them.

        Raises:
            ConfigError: all problems of the settings at once.
        """
        from ozh_notify.config.load import load

        declared, periods = campaign_settings()
        loaded, warnings = load(
            self.env_file,
            needs_token=needs_token,
            declared=declared,
            periods=periods,
            options=options,
        )
        redact = logs.Redactor(loaded.secrets)
        logs.setup(
            loaded.log_format,
            redact,
            enabled=loaded.logging_enabled,
            verbose=self.verbose,
            quiet=self.quiet,
            zone=loaded.zone,
        )
        for warning in warnings:
            log.warning("%s", warning)
        return loaded, redact
