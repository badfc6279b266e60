"""What came of a pass as Prometheus metrics: to a textfile and to a Pushgateway.

All are gauges of the last pass, but for the histogram of its sends: a process that ends counts
nothing beyond itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, pushadd_to_gateway
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import default_handler
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from ozh_notify.monitoring.background import ATTEMPT, without_credentials
from ozh_notify.monitoring.targets import Targets
from ozh_notify.passes.latency import SendTimes
from ozh_notify.passes.result import Result
from ozh_notify.users.delivery_state import State

JOB = "ozh-notify"
LAST_SUCCESS = "ozh_notify_last_success_timestamp_seconds"
STATES = [state.value for state in State if state is not State.SENDING]
COUNTS = {
    "eligible": "Users that matched the scan, invalid ones included.",
    "skipped": "Users that matched the scan but not the claim.",
    "invalid": "Users without a usable chat id or state field.",
    "remaining": "Eligible users not taken up.",
    "swept": "Claims of earlier passes that died, unknown now.",
    "duration_seconds": "How long the pass took.",
    "flood_wait_seconds": "How long it waited because Telegram asked to.",
    "exit_code": "Its exit code.",
}
LOCK_WAIT = 2.0
"""Seconds to wait for another pass that replaces the same file."""


class PassMetrics(Collector):
    """The metrics of one pass."""

    def __init__(self, targets: Targets, result: Result, latency: SendTimes) -> None:
        self._targets, self._result, self._latency = targets, result, latency
        self._labels = {"campaign": targets.campaign, "shard": targets.shard}

    def collect(self) -> Iterator[Metric]:
        """All of them; the last success only if this pass is one."""
        r, names, values = self._result, [*self._labels], [*self._labels.values()]
        outcomes = GaugeMetricFamily(
            "ozh_notify_pass_outcomes", "Users by what came of them.", labels=[*names, "state"]
        )
        for state in STATES:
            outcomes.add_metric([*values, state], getattr(r, state))
        yield outcomes
        for name, meaning in COUNTS.items():
            yield self._gauge(f"pass_{name}", meaning, float(getattr(r, name)))
        at = r.finished_at.timestamp()
        yield self._gauge("last_run_timestamp_seconds", "When the last pass ended.", at)
        if self._targets.is_success(r):
            name = LAST_SUCCESS.removeprefix("ozh_notify_")
            yield self._gauge(name, "When the last good pass ended.", at)
        sends = HistogramMetricFamily(
            "ozh_notify_send_seconds", "How long Telegram took to answer.", labels=names
        )
        sends.add_metric(values, self._latency.cumulative(), self._latency.total)
        yield sends
        info = GaugeMetricFamily(
            "ozh_notify_build_info", "The program; its value is 1.", labels=[*names, "version"]
        )
        info.add_metric([*values, r.version], 1)
        yield info

    def _gauge(self, name: str, meaning: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"ozh_notify_{name}", meaning, labels=[*self._labels])
        family.add_metric([*self._labels.values()], value)
        return family

    def push(self) -> None:
        """To the Pushgateway.

        By POST, which leaves the last success of an earlier pass in place where this one has
        none; grouped by campaign and shard, or pods would overwrite each other.
        """
        registry = CollectorRegistry()
        registry.register(self)
        push_registry(self._targets.pushgateway_url or "", registry, self._labels)

    def write(self) -> None:
        """To the textfile, replaced atomically; what it holds of others stays."""
        path = self._targets.metrics_file
        if path is None:
            return
        with _alone(path.parent):
            families = {family.name: family for family in self.collect()}
            for family in _read(path):
                mine = families.setdefault(family.name, family)
                kept = [s for s in family.samples if self._keeps(s.name, s.labels, mine, family)]
                mine.samples = kept if mine is family else mine.samples + kept
            _replace(path, families.values())

    def _keeps(self, name: str, labels: dict[str, str], mine: Metric, old: Metric) -> bool:
        """Samples of other campaigns and shards; and the last success, if this pass is none."""
        own = self._labels.items() <= labels.items()
        return not own or (name == LAST_SUCCESS and mine is old)


def push_registry(address: str, registry: CollectorRegistry, labels: dict[str, str]) -> None:
    """Push to a Pushgateway, with the credentials of its address in a header."""
    url, extra = without_credentials(address)

    def authorized(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        return default_handler(url, method, timeout, [*headers, *extra.items()], data)

    pushadd_to_gateway(url, JOB, registry, labels, ATTEMPT, authorized)


class _Fixed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = [family for family in families if family.samples]

    def collect(self) -> Iterable[Metric]:
        return self._families


def _read(path: Path) -> list[Metric]:
    try:
        return list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return []


def _replace(path: Path, families: Iterable[Metric]) -> None:
    registry = CollectorRegistry()
    registry.register(_Fixed(families))
    # Another ending, or node_exporter would read it half written.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(generate_latest(registry))
        draft.chmod(0o644)  # node_exporter is another user
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Not beside another pass that replaces the same file; but rather that than not at all."""
    descriptor, until = os.open(folder, os.O_RDONLY), time.monotonic() + LOCK_WAIT
    try:
        while time.monotonic() < until:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
