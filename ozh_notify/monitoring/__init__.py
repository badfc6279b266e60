"""What watches a pass: metrics, a dead-man's switch, a digest. None of it changes the outcome."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ozh_notify.campaigns import Campaign
from ozh_notify.logs import Redactor
from ozh_notify.monitoring.background import LIMIT, BackgroundReport, error_reason
from ozh_notify.monitoring.log_line import log_finished
from ozh_notify.monitoring.targets import Targets, unwatched
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
        watched = None if unwatched(options) else Targets.of(campaign, options, campaign.settings)
        return cls(watched, redact, stop)

    def begin(self) -> None:
        """Say that a pass begins; does not wait for it."""
        if self._targets and (url := self._targets.ping_url):
            from ozh_notify.monitoring import ping

            self._start = BackgroundReport("OZH_PING_URL", lambda: ping.start(url))

    async def ended(
        self, result: Result, running: Pass, sender: Callable[[], MessageSender]
    ) -> None:
        """Report a pass that came to a result, expected or not."""
        latency = running.delivery.send_times if running.delivery else SendTimes()
        await self.report(result, latency, sender, running.pacer)

    async def report(
        self, result: Result, latency: SendTimes, sender: Callable[[], MessageSender], pacer: Pacer
    ) -> None:
        """The line in the log, then everything else side by side; a failure is one warning."""
        log_finished(result)
        if self._targets is None:
            return
        try:
            began = time.monotonic()
            errands = self._errands(self._targets, result, latency)
            telling = asyncio.create_task(self._tell(self._targets, result, sender, pacer))
            while not (telling.done() and all(errand.done for errand in errands)):
                if self._left(began) <= 0:
                    break
                await asyncio.sleep(0.02)
            for errand in errands:
                errand.warn()
            await self._told(telling)
        except Exception as error:
            log.warning("the pass was not reported: %s", error_reason(error))

    def _errands(
        self, targets: Targets, result: Result, latency: SendTimes
    ) -> list[BackgroundReport]:
        errands = []
        if targets.ping_url:
            errands.append(BackgroundReport("OZH_PING_URL", lambda: self._ping(targets, result)))
        if targets.metrics_file or targets.pushgateway_url:
            from ozh_notify.monitoring.metrics import PassMetrics

            figures = PassMetrics(targets, result, latency)
            if targets.metrics_file:
                errands.append(BackgroundReport("OZH_METRICS_FILE", figures.write))
            if targets.pushgateway_url:
                errands.append(BackgroundReport("OZH_PUSHGATEWAY_URL", figures.push))
        return errands

    def _ping(self, targets: Targets, result: Result) -> None:
        from ozh_notify.monitoring import ping

        if self._start:
            self._start.join(1)  # so that they arrive in order, if they arrive
        ping.finish(targets.ping_url or "", result, self._redact)

    async def _tell(
        self, targets: Targets, result: Result, sender: Callable[[], MessageSender], pacer: Pacer
    ) -> str:
        from ozh_notify.monitoring import digest

        chat = targets.admin_chat_id
        if chat is None or not digest.wanted(result, of_all=targets.digest_of_all):
            return ""
        return await digest.send(chat, digest.compose(result, self._redact), sender(), pacer)

    async def _told(self, telling: asyncio.Task[str]) -> None:
        if not telling.done():
            telling.cancel()
            await asyncio.wait({telling}, timeout=AT_LEAST)
            problem = "Telegram did not take it in time"
        else:
            error = telling.exception()
            problem = error_reason(error) if error else telling.result()
        if problem:
            log.warning("OZH_ADMIN_CHAT_ID: no digest of the pass: %s", problem)

    def _left(self, began: float) -> float:
        spent, since = time.monotonic() - began, self._stop.since_signal()
        left = min(LIMIT - spent, AFTER_SIGNAL - since) if since else LIMIT - spent
        return max(AT_LEAST - spent, left)
