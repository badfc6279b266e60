"""Reports a pass to metrics, a dead-man's switch and a digest; none of them changes its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING

from ozh_notify.campaigns import Campaign
from ozh_notify.logs import Redactor
from ozh_notify.monitoring.background import LIMIT, TOO_LATE, BackgroundReport, error_reason
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
"""Seconds after a signal by which every report is sent or given up: a pass has promised 10."""
AT_LEAST = 0.3
"""Seconds that even a pass that is out of time spends on its reports."""
START_PING_LIMIT = 1.0
"""Seconds that the last ping waits for the first one, so that they arrive in order."""


class Monitoring:
    """Reports one pass to every place its operator named."""

    def __init__(self, targets: Targets | None, redact: Redactor, stop: Stop) -> None:
        self._targets, self._redact, self._stop = targets, redact, stop
        self._start: BackgroundReport | None = None

    @classmethod
    def of(
        cls, campaign: Campaign, options: PassOptions, redact: Redactor, stop: Stop
    ) -> Monitoring:
        """Take the places from the settings of a campaign."""
        reported = is_reported(options)
        targets = Targets.of(campaign, options, campaign.settings) if reported else None
        return cls(targets, redact, stop)

    def begin(self) -> None:
        """Ping that a pass begins, without waiting for the answer."""
        if self._targets and (url := self._targets.ping_url):
            from ozh_notify.monitoring import ping

            self._start = BackgroundReport("OZH_PING_URL", lambda: ping.start(url))

    async def ended(
        self, result: Result, running: Pass, open_sender: Callable[[], MessageSender]
    ) -> None:
        """Report a pass that came to a result, expected or not."""
        send_times = running.delivery.send_times if running.delivery else SendTimes()
        await self.report(result, send_times, open_sender, running.pacer)

    async def report(
        self,
        result: Result,
        send_times: SendTimes,
        open_sender: Callable[[], MessageSender],
        pacer: Pacer,
    ) -> None:
        """Log the result, then report it everywhere at once; a report that fails is one warning."""
        log_finished(result)
        if self._targets is None:
            return
        try:
            reports = self._start_reports(self._targets, result, send_times)
            digest = asyncio.create_task(
                self._send_digest(self._targets, result, open_sender, pacer)
            )
            problems = [asyncio.wrap_future(report.problem) for report in reports]
            await asyncio.wait([digest, *problems], timeout=self._seconds_left())
            for problem in problems:
                problem.cancel()  # whatever still runs has no loop to tell
            for report in reports:
                report.warn()
            await self._digest_result(digest)
        except Exception as error:
            log.warning("the pass was not reported: %s", error_reason(error))

    def _start_reports(
        self, targets: Targets, result: Result, send_times: SendTimes
    ) -> list[BackgroundReport]:
        work: list[tuple[str, Callable[[], None]]] = []
        if url := targets.ping_url:
            work.append(("OZH_PING_URL", partial(self._ping, url, result)))
        if targets.metrics_file or targets.pushgateway_url:
            from ozh_notify.monitoring.metrics import PassMetrics

            metrics = PassMetrics(targets, result, send_times)
            if targets.metrics_file:
                work.append(("OZH_METRICS_FILE", metrics.write))
            if targets.pushgateway_url:
                work.append(("OZH_PUSHGATEWAY_URL", metrics.push))
        return [BackgroundReport(variable, send) for variable, send in work]

    def _ping(self, url: str, result: Result) -> None:
        from ozh_notify.monitoring import ping

        if self._start:
            wait([self._start.problem], START_PING_LIMIT)
        ping.finish(url, result, self._redact)

    async def _send_digest(
        self,
        targets: Targets,
        result: Result,
        open_sender: Callable[[], MessageSender],
        pacer: Pacer,
    ) -> str:
        """Send a digest where one is wanted; returns what went wrong, or an empty text."""
        from ozh_notify.monitoring import digest

        chat = targets.admin_chat_id
        if chat is None or not digest.is_wanted(result, of_all=targets.digest_of_all):
            return ""
        text = digest.compose(result, self._redact, targets.place)
        return await digest.send(chat, text, open_sender, pacer)

    async def _digest_result(self, digest: asyncio.Task[str]) -> None:
        """Log one warning if the digest did not arrive."""
        if not digest.done():
            digest.cancel()
            await asyncio.wait({digest}, timeout=AT_LEAST)
            problem = TOO_LATE
        else:
            error = digest.exception()
            problem = error_reason(error) if error else digest.result()
        if problem:
            log.warning("OZH_ADMIN_CHAT_ID: the pass was not reported there: %s", problem)

    def _seconds_left(self) -> float:
        since = self._stop.since_signal()
        return max(AT_LEAST, min(LIMIT, AFTER_SIGNAL - since)) if since else LIMIT
