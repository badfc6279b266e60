"""Reports of a pass: metrics, ping, digest, closing log line; none changes the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ozh_notify.campaigns import Campaign
from ozh_notify.logs import Redactor
from ozh_notify.monitoring.background import LIMIT, BackgroundReport, error_reason
from ozh_notify.monitoring.log_line import log_finished
from ozh_notify.monitoring.targets import Targets, is_reported
from ozh_notify.passes.latency import SendTimes
from ozh_notify.passes.result import PassOptions, Result
from ozh_notify.passes.stop import Stop

if TYPE_CHECKING:
    from ozh_notify.messaging.pacer import Pacer
    from ozh_notify.passes.ports import MessageSender
    from ozh_notify.passes.run import Pass

log = logging.getLogger(__name__)

AFTER_SIGNAL = 9.0
"""Seconds after a signal by which all is reported or not: the pass has promised 10."""
AT_LEAST = 0.3
"""Seconds that even a pass that is out of time spends on its reports."""


class Monitoring:
    """Reports one pass wherever its operator asked to."""

    def __init__(self, targets: Targets | None, redact: Redactor, stop: Stop) -> None:
        self._targets, self._redact, self._stop = targets, redact, stop
        self._start: BackgroundReport | None = None

    @classmethod
    def of(
        cls, campaign: Campaign, options: PassOptions, redact: Redactor, stop: Stop
    ) -> Monitoring:
        """By the settings of a campaign."""
        targets = Targets.of(campaign, options, campaign.settings)
        return cls(targets if is_reported(options) else None, redact, stop)

    def begin(self) -> None:
        """Say that a pass begins; does not wait for the answer."""
        if self._targets and (url := self._targets.ping_url):
            from ozh_notify.monitoring import ping

            self._start = BackgroundReport("OZH_PING_URL", lambda: ping.start(url))

    async def ended(
        self, result: Result, running: Pass, sender: Callable[[], MessageSender]
    ) -> None:
        """Report a pass that came to a result, expected or not."""
        send_times = running.delivery.send_times if running.delivery else SendTimes()
        await self.report(result, send_times, sender, running.pacer)

    async def report(
        self,
        result: Result,
        send_times: SendTimes,
        sender: Callable[[], MessageSender],
        pacer: Pacer,
    ) -> None:
        """Write the closing log line, then send all reports side by side.

        A report that fails is one warning.
        """
        log_finished(result)
        if self._targets is None:
            return
        try:
            reports = self._start_reports(self._targets, result, send_times)
            digest = asyncio.create_task(self._send_digest(self._targets, result, sender, pacer))
            waited: list[asyncio.Future[Any]] = [digest]
            waited += [asyncio.wrap_future(report.finished) for report in reports]
            await asyncio.wait(waited, timeout=self._seconds_left())
            for report in reports:
                _warn(report.variable, report.problem())
            _warn("OZH_ADMIN_CHAT_ID", await _digest_problem(digest))
        except Exception as error:
            log.warning("the pass was not reported: %s", error_reason(error))

    def _start_reports(
        self, targets: Targets, result: Result, send_times: SendTimes
    ) -> list[BackgroundReport]:
        reports = []
        if targets.ping_url:
            reports.append(BackgroundReport("OZH_PING_URL", lambda: self._ping(targets, result)))
        if targets.metrics_file or targets.pushgateway_url:
            from ozh_notify.monitoring.metrics import PassMetrics

            metrics = PassMetrics(targets, result, send_times)
            if targets.metrics_file:
                reports.append(BackgroundReport("OZH_METRICS_FILE", metrics.write))
            if targets.pushgateway_url:
                reports.append(BackgroundReport("OZH_PUSHGATEWAY_URL", metrics.push))
        return reports

    def _ping(self, targets: Targets, result: Result) -> None:
        from ozh_notify.monitoring import ping

        if self._start:
            self._start.wait(1)  # so that both arrive in order
        ping.finish(targets.ping_url or "", result, self._redact)

    async def _send_digest(
        self, targets: Targets, result: Result, sender: Callable[[], MessageSender], pacer: Pacer
    ) -> str:
        """Send the digest, if the pass is worth one; returns what went wrong."""
        from ozh_notify.monitoring import digest

        chat = targets.admin_chat_id
        if chat is None or not digest.is_wanted(result, of_all=targets.digest_of_all):
            return ""
        text = digest.compose(result, self._redact, targets.place)
        return await digest.send(chat, text, sender(), pacer)

    def _seconds_left(self) -> float:
        since = self._stop.since_signal()
        left = min(LIMIT, AFTER_SIGNAL - since) if since else LIMIT
        return max(AT_LEAST, left)


async def _digest_problem(digest: asyncio.Task[str]) -> str:
    """What went wrong with the digest; one that still waits is given up."""
    if not digest.done():
        digest.cancel()
        await asyncio.wait({digest}, timeout=AT_LEAST)
        return "Telegram did not take it in time"
    error = digest.exception()
    return error_reason(error) if error else digest.result()


def _warn(variable: str, problem: str) -> None:
    if problem:
        log.warning("%s: the pass was not reported there: %s", variable, problem)
