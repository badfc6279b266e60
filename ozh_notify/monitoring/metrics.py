"""The metrics of a pass for Prometheus, in a textfile and at a Pushgateway.

The histogram of sends and all gauges are about the last pass: a process that ends cannot count
beyond itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, pushadd_to_gateway, write_to_textfile
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
    "eligible": "Users that matched the scan and can be messaged.",
    "skipped": "Users that matched the scan but not the claim.",
    "invalid": "Users without a usable chat id or state field.",
    "remaining": "Eligible users that were not claimed.",
    "swept": "Claims of earlier passes that died, unknown now.",
    "duplicates": "Claimed users whose chat another delivery has dealt with.",
    "unrecorded": "Outcomes that stand nowhere in the database.",
    "overwritten": "Outcomes that only the journal has: the document was replaced.",
    "duration_seconds": "How long the pass took.",
    "flood_wait_seconds": "How long the pass waited because Telegram asked it to.",
    "exit_code": "The exit code of the pass.",
}


class PassMetrics(Collector):
    """The metrics of one pass."""

    def __init__(self, targets: Targets, result: Result, latency: SendTimes) -> None:
        self._targets, self._result, self._latency = targets, result, latency
        self._earlier_success: float | None = None
        self._labels = {"campaign": targets.campaign, "shard": targets.shard}

    def collect(self) -> Iterator[Metric]:
        """All of them; the last success is this pass, or the one that the file knows."""
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
        success = at if self._targets.is_success(r) else self._earlier_success
        if success is not None:
            name = LAST_SUCCESS.removeprefix("ozh_notify_")
            yield self._gauge(name, "When the last good pass ended.", success)
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
        """To the textfile of this campaign and shard, replaced atomically."""
        path = self._targets.metrics_file
        if path is None:
            return
        self._earlier_success = last_success(path)
        registry = CollectorRegistry()
        registry.register(self)
        write_to_textfile(str(path), registry)
        path.chmod(0o644)  # node_exporter is another user


def push_registry(address: str, registry: CollectorRegistry, labels: dict[str, str]) -> None:
    """Push to a Pushgateway, with the credentials of its address in a header."""
    url, extra = without_credentials(address)

    def authorized(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        return default_handler(url, method, timeout, [*headers, *extra.items()], data)

    pushadd_to_gateway(url, JOB, registry, labels, ATTEMPT, authorized)


def last_success(path: Path) -> float | None:
    """When the last good pass ended, by a textfile; None where it does not say."""
    try:
        text = path.read_text(encoding="utf-8")
        families = list(text_string_to_metric_families(text))
    except (OSError, ValueError):
        return None
    samples = (sample for family in families for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == LAST_SUCCESS), None)
