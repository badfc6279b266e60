"""One pass: look at the mapping, sweep, scan, then deliver; ends in one frozen result."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ozh_notify.campaigns import Campaign
from ozh_notify.clock import Clock
from ozh_notify.config.settings import Settings, database, local
from ozh_notify.errors import OzhError
from ozh_notify.messaging.composer import Composer
from ozh_notify.messaging.pacer import Pacer
from ozh_notify.messaging.template_files import all_unread_files
from ozh_notify.passes import dry_run, preparation
from ozh_notify.passes.context import PassContext
from ozh_notify.passes.delivery import DeliveryLoop
from ozh_notify.passes.ending import PassFacts, final_error
from ozh_notify.passes.ports import MessageSender, PassStore
from ozh_notify.passes.queues import OutcomeCounts
from ozh_notify.passes.recorder import log_journal_counts
from ozh_notify.passes.result import PassOptions, Result
from ozh_notify.passes.stop import Stop
from ozh_notify.users.audience import Query
from ozh_notify.users.candidates import Candidates

log = logging.getLogger(__name__)
T = TypeVar("T")

WRITES_AFTER_SIGNAL = 6.0
"""Seconds for the writes after a signal: what is in flight is given 4, the whole end 10."""


def new_run_id(started_at: datetime, settings: Settings) -> str:
    """An id that begins with the operator's local time, such as ``20261128T110500-1a2b3c4d``."""
    return f"{local(started_at, settings):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


class Pass:
    """One pass of one campaign."""

    def __init__(
        self, campaign: Campaign, options: PassOptions, stop: Stop, clock: Clock, version: str
    ) -> None:
        self.campaign, self.options, self.stop, self.clock = campaign, options, stop, clock
        self.settings = campaign.settings
        self.started_at, self._started = clock.now(), clock.monotonic()
        self.run_id = new_run_id(self.started_at, self.settings)
        self.rate = self.settings.rate_limit / (options.shard[1] if options.shard else 1)
        self.pacer = Pacer(self.rate, self.settings.flood_budget_seconds, clock)
        self.delivery: DeliveryLoop | None = None
        self._version = version
        self._closed = campaign.closed_reason(
            options.at or self.started_at, any_time=options.any_time
        )
        self._facts = PassFacts()
        self._store: PassStore | None = None

    @property
    def found(self) -> Candidates:
        """The users the scan found."""
        return self._facts.found

    async def run(
        self, open_store: Callable[[], PassStore], open_sender: Callable[[], MessageSender] | None
    ) -> Result:
        """Run it, or with no sender the dry run; every ending is in the result, a bug too.

        Servers are opened here, so that a pass outside its hours asks nothing of them. The caller
        closes the sender, which a digest still needs.
        """
        bug: OzhError | None = None
        async with AsyncExitStack() as servers:
            try:
                await self._run(open_store, open_sender, servers)
            except OzhError as error:
                self.stop.set(error)
            except Exception as error:
                log.error("a bug in ozh-notify", exc_info=True)
                kind = type(error).__name__
                bug = OzhError(f"a bug in ozh-notify: {kind}; its traceback is on stderr")
            result = self._result(bug)
            if self._store and not self.options.dry_run:
                await self._store.end_run(result.as_document(self.settings.journal_days))
        return result

    async def _run(
        self,
        open_store: Callable[[], PassStore],
        open_sender: Callable[[], MessageSender] | None,
        servers: AsyncExitStack,
    ) -> None:
        composer = Composer(self.campaign, self.run_id)
        preparation.refuse_slow_rate(self.rate)
        for unread in all_unread_files(self.settings, self.campaign):
            log.warning("%s", unread)
        if self._closed and not self.options.dry_run:
            return
        sender = open_sender() if open_sender else None
        self._store = store = open_store()
        store.also_read(composer.user_paths)
        servers.push_async_callback(store.close)
        self.stop.on_signal(lambda: store.set_deadline(WRITES_AFTER_SIGNAL))
        if sender:
            self._facts.bot = await self._unless_stopped(sender.open())
        self._log_start()
        if sender:
            await self._unless_stopped(self._begin_run(store))
        await self._unless_stopped(self._prepare(store))
        if sender:
            await self._deliver(store, sender, composer)
        else:
            await self._unless_stopped(self._describe(store, composer))

    async def _begin_run(self, store: PassStore) -> None:
        bot_id, username = self.settings.bot_id, self._facts.bot or ""
        begun = self._result(None).as_document(self.settings.journal_days)
        known = await store.begin_run({**begun, "status": "running"})
        preparation.check_bot(known, bot_id, username, self.options.new_bot)
        store.deliver_as(bot_id, username, self.started_at)
        # A bot that takes over has not delivered, whatever the users' documents say.
        is_known = known is not None and known.get("bot_id") == bot_id
        self._facts.has_delivered = is_known or (known is None and await store.has_delivered())

    async def _prepare(self, store: PassStore) -> None:
        facts, options = self._facts, self.options
        if not options.dry_run:
            await store.check_clock(self.clock)
        now = self.clock.now()
        facts.no_users = not await preparation.check_sample(store, self.campaign, now)
        if not options.dry_run:
            facts.swept = await preparation.sweep(store, self.clock.now())
            facts.in_other_hands = await store.in_hand()
        facts.found = await preparation.scan(store, self._query(), options.limit)
        if not options.dry_run:
            preparation.refuse_too_many(facts.found, self.campaign, options)

    async def _deliver(self, store: PassStore, sender: MessageSender, composer: Composer) -> None:
        if self.options.shard:
            self.found.own_share_first(*self.options.shard)
        context = PassContext(
            campaign=self.campaign,
            query=self._query(),
            run=self.run_id,
            bot=self._facts.bot or "",
            composer=composer,
            store=store,
            sender=sender,
            pacer=self.pacer,
            stop=self.stop,
            clock=self.clock,
            has_delivered=self._facts.has_delivered,
            limit=self.options.limit,
            any_time=self.options.any_time,
        )
        self.delivery = DeliveryLoop(context)
        await self.delivery.run(self.found)
        log_journal_counts(self.delivery.counts)

    async def _describe(self, store: PassStore, composer: Composer) -> None:
        self._facts.held = await dry_run.hold_counts(store, self._query())
        self._facts.preview = await dry_run.describe(
            store, self.campaign, composer, self.found, self.options.limit, self.rate
        )

    def _query(self) -> Query:
        again = self.started_at if self.options.again else None
        return Query(self.campaign, self.options.at or self.clock.now(), self.options.chats, again)

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

    def _log_start(self) -> None:
        s, file = self.settings, self.settings.env_file or Path(".env")
        log.info(
            "ozh-notify %s, %s%s, env file %s, MongoDB %s.%s, bot %s, time zone %s, %g/s",
            self._version,
            self.campaign.name,
            " (dry run)" if self.options.dry_run else "",
            file if file.is_file() else "none",
            database(s),
            s.users_collection,
            f"@{self._facts.bot}" if self._facts.bot else "none",
            s.zone_name,
            self.rate,
            extra={"run": self.run_id, "campaign": self.campaign.name, "event": "start"},
        )

    def _result(self, bug: OzhError | None) -> Result:
        counts = self.delivery.counts if self.delivery else OutcomeCounts()
        return self._facts.result(
            counts,
            self._final_error(bug, counts),
            campaign=self.campaign.name,
            run_id=self.run_id,
            version=self._version,
            dry_run=self.options.dry_run,
            started_at=self.started_at,
            finished_at=self.clock.now(),
            duration_seconds=round(self.clock.monotonic() - self._started, 3),
            rate=self.rate,
            flood_wait_seconds=round(self.pacer.waited, 3),
            closed=self._closed,
        )

    def _final_error(self, bug: OzhError | None, counts: OutcomeCounts) -> OzhError | None:
        unrecorded = self.delivery.delivered_unrecorded if self.delivery else 0
        return final_error(bug or self.stop.reason, counts, unrecorded, self.campaign.name)
