"""What is handed to Prometheus and Grafana fits what the program reports."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from ozh_notify.monitoring.metrics import PassMetrics
from ozh_notify.monitoring.targets import Targets
from ozh_notify.passes.latency import SendTimes
from ozh_notify.passes.result import Result
from tests.helpers import watching

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "contrib/prometheus/alerts.yml"
DASHBOARD = ROOT / "contrib/grafana/dashboard.json"
WATCHING = ROOT / "docs/watching.md"


def reported() -> set[str]:
    """Names of all series a good pass reports."""
    targets = Targets("discount", False, "0", None, None, None, None, False)
    registry = CollectorRegistry()
    registry.register(
        PassMetrics(
            targets, Result.without_pass("discount", datetime.now(timezone.utc)), SendTimes()
        )
    )
    return {sample.name for family in registry.collect() for sample in family.samples}


def named(text: str) -> set[str]:
    """Series that an expression, or a page, names."""
    return set(re.findall(r"\bozh_notify_[a-z_]*[a-z]\b", text))


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    """PromQL of all panels."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


@watching.needs("promtool")
@pytest.mark.parametrize("command", [("check", ALERTS.name), ("test", "alerts_test.yml")])
def test_promtool_accepts_the_alerts_and_they_fire_when_they_should(
    command: tuple[str, str],
) -> None:
    """The rules are valid, and their own tests pass."""
    verb, file = command
    done = subprocess.run(
        ["promtool", verb, "rules", file],
        cwd=ALERTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_that_lets_it_fire() -> None:
    """An alert nobody has seen firing is none."""
    tests = yaml.safe_load(ALERTS.with_name("alerts_test.yml").read_text(encoding="utf-8"))
    fired = {
        case["alertname"]
        for test in tests["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in alerts()}


def test_alerts_and_dashboard_name_only_what_is_reported() -> None:
    """A renamed metric cannot silence an alert or empty a panel."""
    assert len(dashboard_queries()) > 8
    for query in [*dashboard_queries(), *(rule["expr"] for rule in alerts())]:
        assert named(query), query
        assert named(query) <= reported(), query


def test_no_share_counts_users_that_an_experiment_holds_out() -> None:
    """A pass with half of its audience held out looks no worse, and no better, than without."""
    queries = [*dashboard_queries(), *(rule["expr"] for rule in alerts())]
    shares = [query.partition("/")[2] for query in queries if "outcomes" in query and "/" in query]
    assert len(shares) >= 3
    for whole in shares:
        assert 'state!="held_out"' in whole, whole


@watching.needs("prometheus")
def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """No panel shows an error."""
    with watching.prometheus({}, tmp_path) as url:
        for query in dashboard_queries():
            assert watching.query(url, query.replace("$campaign", ".*")) == []


def test_the_page_explains_every_metric_and_every_alert() -> None:
    """What is reported and what fires is in docs/watching.md, and nothing else."""
    page = WATCHING.read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in reported()}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named(page)} == families
    assert {rule["alert"] for rule in alerts()} == set(re.findall(r"\bOzhNotify\w+", page))
