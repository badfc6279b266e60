"""Test reports that really go out: ``ozh-notify check --report``.

Each goes where the reports of a pass go, and says that it is a test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from html import escape
from socket import gethostname

from ozh_notify.config.settings import Settings, database
from ozh_notify.errors import OzhError
from ozh_notify.monitoring.background import error_reason


@dataclass(frozen=True)
class TestReport:
    """One test report: the variable that says where it goes, and what went wrong, if anything."""

    __test__ = False
    variable: str
    error: str


async def send_test_reports(settings: Settings, campaigns: Iterable[str]) -> list[TestReport]:
    """Send one to each configured place; ``campaigns`` are the names that fill in addresses."""
    names = list(campaigns)
    work: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    if settings.ping_url:
        for url in sorted({settings.ping_url.replace("{campaign}", name) for name in names}):
            work.append(("OZH_PING_URL", lambda url=url: asyncio.to_thread(_ping, url)))  # type: ignore[misc]
    if gateway := settings.pushgateway_url:
        work.append(("OZH_PUSHGATEWAY_URL", lambda: asyncio.to_thread(_push, gateway)))
    if settings.admin_chat_id is not None:
        work.append(("OZH_ADMIN_CHAT_ID", lambda: _send_digest(settings)))
    return [await _attempt(variable, send) for variable, send in work]


async def _attempt(variable: str, send: Callable[[], Awaitable[None]]) -> TestReport:
    try:
        await send()
    except OzhError as error:
        return TestReport(variable, str(error))
    except Exception as error:
        return TestReport(variable, error_reason(error))
    return TestReport(variable, "")


def _ping(url: str) -> None:
    """To ``/log``, which neither starts nor ends anything at the watching service."""
    from ozh_notify.monitoring import ping

    ping.log_line(url, "ozh-notify check --report: a test")


def _push(url: str) -> None:
    from prometheus_client import CollectorRegistry, Gauge

    from ozh_notify.monitoring.metrics import push_registry

    registry = CollectorRegistry()
    gauge = Gauge("ozh_notify_test_report_timestamp_seconds", "A test.", registry=registry)
    gauge.set(time.time())
    push_registry(url, registry, {"campaign": "check", "shard": "0"})


async def _send_digest(settings: Settings) -> None:
    from ozh_notify.messaging.message import Message
    from ozh_notify.messaging.sender import TelegramSender
    from ozh_notify.users.delivery_state import State

    sender = TelegramSender(settings)
    try:
        bot = await sender.open()
        outcome = await sender.send(settings.admin_chat_id or 0, Message(_text(settings, bot)))
    finally:
        await sender.close()
    if outcome.state is not State.SENT:
        raise OzhError(outcome.error)


def _text(settings: Settings, bot: str) -> str:
    place = f"{database(settings)}.{settings.users_collection}"
    return (
        "<b>ozh-notify: a test digest</b>\n"
        f"host {escape(gethostname())}, database {escape(place)}, bot @{escape(bot)}\n"
        "Passes that need attention will be reported in this chat."
    )
