"""Where one pass is to be reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ozh_notify.campaigns import Campaign
from ozh_notify.config.settings import Settings
from ozh_notify.errors import Exit
from ozh_notify.passes.result import PassOptions, Result


@dataclass(frozen=True)
class Targets:
    """Addresses with the campaign filled in; and what the figures are labelled with."""

    campaign: str
    daily: bool
    shard: str
    metrics_file: Path | None
    pushgateway_url: str | None
    ping_url: str | None
    admin_chat_id: int | None
    digest_of_all: bool

    @classmethod
    def of(
        cls, campaign: Campaign | type[Campaign], options: PassOptions, settings: Settings
    ) -> Targets:
        """By the settings; in a file's name a campaign is spelled with an underscore."""
        name, file, ping = campaign.name, settings.metrics_file, settings.ping_url
        index = options.shard[0] if options.shard else settings.shards and settings.shard_index
        return cls(
            campaign=name,
            daily=campaign.once == "day",
            shard=str(index or 0),
            metrics_file=Path(file.replace("{campaign}", name.replace("-", "_"))) if file else None,
            pushgateway_url=settings.pushgateway_url,
            ping_url=ping.replace("{campaign}", name) if ping else None,
            admin_chat_id=settings.admin_chat_id,
            digest_of_all=settings.admin_digest == "all",
        )

    def is_success(self, result: Result) -> bool:
        """Whether the campaign did what it is for.

        The discount has nothing to do in quiet hours: a success. A daily bonus that only ever
        comes at the wrong hour reaches nobody: none. Nor is a pass over an empty collection, as a
        mistyped name of the database has: somebody must hear of it.
        """
        if result.status == "outside_hours":
            return not self.daily
        return result.exit_code is Exit.OK and not result.no_users


def unwatched(options: PassOptions) -> bool:
    """Dry runs and passes for single users are reported nowhere."""
    return options.dry_run or bool(options.chats)
