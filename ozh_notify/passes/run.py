"""One pass: look at the mapping, sweep, scan, then deliver; ends in one frozen result."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from ozh_notify.campaigns import Campaign
from ozh_notify.clock import Clock
from ozh_notify.config.problem import render
from ozh_notify.config.settings import database
from ozh_notify.errors import ConfigError, Exit, Incomplete, OzhError, Refused, Unavailable
from ozh_notify.messaging.message import Composer, plain_text
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.passes.context import PassContext
from ozh_notify.passes.delivery import DeliveryLoop
from ozh_notify.passes.ports import MessageSender, PassStore
from ozh_notify.passes.queues import OutcomeCounts
from ozh_notify.passes.result import DryRunDetails, PassOptions, Result
from ozh_notify.passes.stop import Stop
from ozh_notify.users import field_mapping
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidates
from ozh_notify.users.recipient import (
    at_path,
    clean_name,
    parse_chat_id,
    parse_language,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

WRITES_AFTER_SIGNAL = 6.0
"""Seconds for the writes after a signal: what is in flight is given 4, the whole end 10."""
FIRST_RECIPIENTS = 10
"""Recipients a dry run shows."""
FREE_RATE = 30
"""Messages per second above which paid broadcast is charged (Bots FAQ)."""
STARS_EACH = 0.1
"""Stars per message above the free rate (Bots FAQ)."""


class Pass:
    """One pass of one campaign."""

    def __init__(
        self, campaign: Campaign, options: PassOptions, stop: Stop, clock: Clock, version: str
    ) -> None:
        self.campaign, self.options, self.stop, self.clock = campaign, options, stop, clock
        self.settings = campaign.settings
        self.started_at, self._started = clock.now(), clock.monotonic()
        self.run_id = f"{self.started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self.rate = self.settings.rate_limit / (options.shard[1] if options.shard else 1)
        self.pacer = Pacer(self.rate, self.settings.flood_budget_seconds, clock)
        self.delivery: DeliveryLoop | None = None
        self.found = Candidates(0)
        self._version, self._swept = version, 0
        self._closed = campaign.closed_reason(
            options.at or self.started_at, any_time=options.any_time
        )
        self._held: dict[str, int] = {}
        self._preview: DryRunDetails | None = None
        self._bot: str | None = None
        self._no_users = False
        self._bug: OzhError | None = None

    async def run(
        self, open_store: Callable[[], PassStore], open_sender: Callable[[], MessageSender] | None
    ) -> Result:
        """Run it; whatever ends it is in the result, a bug too: what was sent before it counts.

        Servers are opened here, so that a pass outside its hours asks nothing of them.
        """
        try:
            await self._run(open_store, open_sender)
        except OzhError as error:
            self.stop.set(error)
        except Exception as bug:
            log.error("a bug in ozh-notify", exc_info=True)
            kind = type(bug).__name__
            self._bug = OzhError(f"a bug in ozh-notify: {kind}; its traceback is on stderr")
        return self.result()

    async def _run(
        self, open_store: Callable[[], PassStore], open_sender: Callable[[], MessageSender] | None
    ) -> None:
        composer = Composer(self.campaign)
        if self._closed and not self.options.dry_run:
            return
        sender = open_sender() if open_sender else None
        store = open_store()
        self.stop.on_signal(lambda: store.set_deadline(WRITES_AFTER_SIGNAL))
        try:
            if sender:
                self._bot = await self._unless_stopped(sender.open())
            self._announce()
            await self._unless_stopped(self._look(store))
            if sender:
                await self._deliver(store, sender, composer)
            else:
                await self._unless_stopped(self._show(store, composer))
        finally:
            await store.close()
            if sender:
                await sender.close()

    def _query(self) -> Query:
        again = self.started_at if self.options.again else None
        return Query(self.campaign, self.options.at or self.clock.now(), self.options.chats, again)

    async def _look(self, store: PassStore) -> None:
        """Sample, sweep and scan; then the fuse."""
        sample = await store.sample(field_mapping.SAMPLE_SIZE)
        self._no_users = not sample
        findings = field_mapping.check_mapping(sample, self.campaign)
        for warning in findings.warnings:
            log.warning("%s", warning)
        if findings.errors:
            head = "the field mapping looks wrong, nobody was messaged:"
            raise ConfigError(f"{render(head, findings.errors)}\nTry: ozh-notify check")
        if not self.options.dry_run:
            self._swept = await store.sweep(self.clock.now())
            if self._swept:
                log.warning("%d deliveries of an earlier pass are unknown now", self._swept)
        fuse, limit = self.settings.max_recipients, self.options.limit
        self.found = await store.scan(self._query(), max(fuse, 2 * (limit or 0) + 1000))
        would = min(self.found.valid, limit if limit is not None else self.found.valid)
        if self.found.invalid:
            log.warning(
                "%d users have no usable chat id or state field and are left alone; "
                "each is named at level INFO",
                self.found.invalid,
            )
        again = " --again" if self.options.again else ""
        if would > fuse and not self.options.dry_run:
            raise Refused(
                f"this pass would message {would} users, more than OZH_MAX_RECIPIENTS={fuse}. "
                f"Look at them: ozh-notify {self.campaign.name}{again} --dry-run. Then either "
                f"--limit N for a part of them, or --max-recipients {would} for all"
            )

    async def _deliver(self, store: PassStore, sender: MessageSender, composer: Composer) -> None:
        if self.options.shard:
            self.found.own_share_first(*self.options.shard)
        context = PassContext(
            campaign=self.campaign,
            query=self._query(),
            run=self.run_id,
            bot=self._bot or "",
            composer=composer,
            store=store,
            sender=sender,
            pacer=self.pacer,
            stop=self.stop,
            clock=self.clock,
            limit=self.options.limit,
            any_time=self.options.any_time,
        )
        self.delivery = DeliveryLoop(context)
        await self.delivery.run(self.found)

    async def _show(self, store: PassStore, composer: Composer) -> None:
        """The dry run: counts per reason, first recipients, a message, time and cost."""
        query = self._query()
        self._held = await store.funnel(query)
        s, limit = self.settings, self.options.limit
        first = self.found.first(
            min(FIRST_RECIPIENTS, FIRST_RECIPIENTS if limit is None else limit)
        )
        users = await store.users_by_id([candidate.id for candidate in first])
        recipients = tuple(
            {
                "id": str(user["_id"]),
                "chat_id": parse_chat_id(at_path(user, s.field_chat_id)),
                "first_name": clean_name(at_path(user, s.field_first_name)),
                "language": parse_language(at_path(user, s.field_language)),
            }
            for user in users
        )
        sample = recipients[0] if recipients else {"first_name": "Анна", "language": ""}
        message = composer.compose(str(sample["first_name"]), str(sample["language"]))
        count = self.found.valid if limit is None else min(limit, self.found.valid)
        share = max(0.0, 1 - FREE_RATE / s.rate_limit)
        self._preview = DryRunDetails(
            self.campaign.population,
            recipients,
            plain_text(message),
            f"{message.button.text} -> {message.button.target}" if message.button else None,
            seconds=round(count / self.rate, 1),
            stars=round(count * share * STARS_EACH, 1) if s.paid_broadcast else None,
        )

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """Nothing is claimed yet, so a signal ends this at once."""
        task = asyncio.ensure_future(work)
        self.stop.on_set(task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            if self.stop.reason is None:
                raise
            raise self.stop.reason from None

    def _announce(self) -> None:
        s, file = self.settings, self.settings.env_file or Path(".env")
        log.info(
            "ozh-notify %s, %s%s, env file %s, MongoDB %s.%s, bot %s, time zone %s, %g/s",
            self._version,
            self.campaign.name,
            " (dry run)" if self.options.dry_run else "",
            file if file.is_file() else "none",
            database(s),
            s.users_collection,
            f"@{self._bot}" if self._bot else "none",
            s.zone_name,
            self.rate,
            extra={"run": self.run_id, "campaign": self.campaign.name, "event": "start"},
        )

    def result(self) -> Result:
        """What has come of the pass so far."""
        tally = self.delivery.counts if self.delivery else OutcomeCounts()
        error = self._bug or self.stop.reason
        if isinstance(error, Unavailable) and tally.sent:
            error = Incomplete(str(error))
        if error is None and tally.retry:
            error = Incomplete(f"{tally.retry} deliveries are left in retry: run it again")
        return Result(
            campaign=self.campaign.name,
            run_id=self.run_id,
            version=self._version,
            bot=self._bot,
            status=error.status if error else "outside_hours" if self._closed else "ok",
            dry_run=self.options.dry_run,
            started_at=self.started_at,
            finished_at=self.clock.now(),
            duration_seconds=round(self.clock.monotonic() - self._started, 3),
            rate=self.rate,
            flood_wait_seconds=round(self.pacer.waited, 3),
            eligible=self.found.valid,
            **asdict(tally),
            swept=self._swept,
            invalid=self.found.invalid,
            remaining=self.found.valid - tally.claimed - tally.skipped,
            held=self._held,
            error=str(error) if error else self._closed,
            preview=self._preview,
            exit_code=error.exit_code if error else Exit.OK,
            no_users=self._no_users,
        )
