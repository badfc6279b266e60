"""What watches the passes: the file of metrics, and who is told when passes stop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ozh_notify.campaigns import Campaign
from ozh_notify.config.settings import Settings
from ozh_notify.operator.check.result import CheckResult, ok, warning

VARIABLES = ("OZH_METRICS", "OZH_PUSHGATEWAY", "OZH_PING", "OZH_ADMIN")


def monitoring_results(
    settings: Settings, campaigns: Sequence[Campaign], is_skipped: Callable[..., bool]
) -> Iterator[CheckResult]:
    """One result for the metrics file, and one for all that is configured."""
    yield from _metrics_file(settings, campaigns)
    if not is_skipped(*VARIABLES):
        yield _configured(settings)


def _metrics_file(settings: Settings, campaigns: Sequence[Campaign]) -> Iterator[CheckResult]:
    subject, file = "OZH_METRICS_FILE", settings.metrics_file
    if not file:
        return
    paths = [Path(file.replace("{campaign}", campaign.key)) for campaign in campaigns]
    closed = sorted(str(path.parent) for path in paths if not _is_writable(path.parent))
    if closed:
        remedy = "no metrics would be written; nothing else depends on them"
        yield warning(subject, f"{closed[0]} is not a folder this user may write to", remedy)
    elif "{" in file.replace("{campaign}", ""):
        yield warning(subject, file, "only {campaign} is filled in")
    elif not file.endswith(".prom"):
        yield warning(subject, file, "node_exporter reads only files that end with .prom")
    else:
        yield ok(subject, file)


def _is_writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _configured(settings: Settings) -> CheckResult:
    """Addresses hold keys, so only the variables are named."""
    values = {
        "OZH_METRICS_FILE": settings.metrics_file,
        "OZH_PUSHGATEWAY_URL": settings.pushgateway_url,
        "OZH_PING_URL": settings.ping_url,
        "OZH_ADMIN_CHAT_ID": settings.admin_chat_id,
    }
    named = [name for name, value in values.items() if value]
    if not named:
        remedy = "docs/watching.md: how to learn that passes have stopped"
        return warning("monitoring", "not configured", remedy)
    return ok("monitoring", f"{', '.join(named)}; try them: ozh-notify check --report")
