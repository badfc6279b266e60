"""The places a pass is reported to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ozh_notify.campaigns import Campaign, key_of
from ozh_notify.config.settings import Settings, database
from ozh_notify.errors import Exit
from ozh_notify.passes.result import PassOptions, Result


@dataclass(frozen=True)
class Targets:
    """Addresses with the campaign filled in; and what the figures are labelled with."""

    campaign: str
    has_period: bool
    shard: str
    metrics_file: Path | None
    pushgateway_url: str | None
    ping_url: str | None
    admin_chat_id: int | None
    digest_of_all: bool
    place: str = ""
    """Hosts and database, for a digest; holds no credentials."""

    @classmethod
    def of(
        cls, campaign: Campaign | type[Campaign], options: PassOptions, settings: Settings
    ) -> Targets:
        """By the settings; in a file's name a campaign is spelled with an underscore."""
        name, file, ping = campaign.name, settings.metrics_file, settings.ping_url
        index = options.shard[0] if options.shard else settings.shards and settings.shard_index
        return cls(
            campaign=name,
            has_period=campaign.once != "ever",
            shard=str(index or 0),
            metrics_file=_metrics_file(file, campaign, index) if file else None,
            pushgateway_url=settings.pushgateway_url,
            ping_url=ping.replace("{campaign}", name) if ping else None,
            admin_chat_id=settings.admin_chat_id,
            digest_of_all=settings.admin_digest == "all",
            place=_place(settings),
        )

    def is_success(self, result: Result) -> bool:
        """Whether the campaign did what it is for.

        Outside its hours the discount is a success. The daily bonus is not, because a wrong
        schedule would look fine forever. An empty collection is never a success: the database
        name may be mistyped.
        """
        if result.status == "outside_hours":
            return not self.has_period
        return result.exit_code is Exit.OK and not result.no_users


def _metrics_file(file: str, campaign: Campaign | type[Campaign], shard: int | None) -> Path:
    """The file of one campaign, and of one shard where the work is shared."""
    path = Path(file.replace("{campaign}", key_of(campaign.name)))
    return path.with_name(f"{path.stem}_{shard}{path.suffix}") if shard else path


def _place(settings: Settings) -> str:
    address = settings.mongo_uri.get_secret_value().partition("://")[2]
    hosts = address.rpartition("@")[2].partition("/")[0].partition("?")[0]
    return f"{hosts}, database {database(settings)}"


def is_reported(options: PassOptions) -> bool:
    """Whether a pass is reported; a dry run and a pass for single users are not."""
    return not options.dry_run and not options.chats
