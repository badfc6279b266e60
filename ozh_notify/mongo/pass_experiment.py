"""The experiment of a pass: its document in the journal, and the judgements that are due."""

from __future__ import annotations

import logging
from datetime import datetime

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import DuplicateKeyError

from ozh_notify.campaigns import Campaign
from ozh_notify.effect.experiment import Experiment, changed_settings, running_experiment
from ozh_notify.errors import ConfigError, OzhError
from ozh_notify.mongo.client import Document
from ozh_notify.mongo.effect_queries import EffectQueries
from ozh_notify.mongo.retry import Retry

log = logging.getLogger(__name__)


class PassExperiment:
    """What one pass does for the experiment that its settings ask for."""

    def __init__(
        self,
        journal: AsyncIOMotorCollection[Document],
        users: AsyncIOMotorCollection[Document],
        campaign: Campaign,
        retry: Retry,
    ) -> None:
        self._queries, self._campaign = EffectQueries(journal, users), campaign
        self._journal, self._retry = journal, retry
        self._kept: Experiment | None = None

    async def check(self, now: datetime) -> None:
        """Compare the settings with the first assignment of the experiment of this name.

        Raises:
            ConfigError: share, goal or end of the experiment differ.
        """
        wanted = running_experiment(self._campaign, now)
        if wanted is None:
            return
        found = await self._queries.experiments(wanted.campaign, wanted.name)
        if found:
            _compare(wanted, found[0])

    async def begin(self, now: datetime, chats: tuple[int, ...]) -> None:
        """Write the experiment's document before its first assignment.

        Raises:
            ConfigError: another pass has written other values under this name meanwhile.
        """
        wanted = running_experiment(self._campaign, now, chats)
        if wanted is None or self._kept:
            return
        self._kept = await self._keep(wanted)
        _compare(wanted, self._kept)

    async def _keep(self, experiment: Experiment) -> Experiment:
        """Write an experiment's document, unless it is there; returns the one that is there."""
        document = experiment.as_document()

        async def insert() -> None:
            try:
                await self._journal.insert_one(document)
            except DuplicateKeyError:
                log.debug("another pass, or an earlier try, has written it")

        doing = "write the experiment's document"
        await self._retry(insert, doing)
        kept = await self._retry(lambda: self._journal.find_one({"_id": experiment.id}), doing)
        return Experiment.from_document(kept or document)

    async def judge(self, now: datetime) -> None:
        """Judge who is due, a bounded number; a failure is a warning, and the pass goes on."""
        try:
            judged = await self._queries.judge(self._campaign, now)
        except OzhError as error:
            log.warning("could not judge the users of an experiment: %s", error)
            return
        if judged:
            log.info("judged %d users of an experiment", judged)


def _compare(wanted: Experiment, kept: Experiment) -> None:
    changed = changed_settings(wanted, kept)
    if changed:
        raise ConfigError(
            f"the experiment {wanted.name!r} of {wanted.campaign} began with other values: "
            f"{', '.join(changed)}. Set the old values again, or give the experiment a new name"
        )
