"""Campaigns and their registry. A campaign says who, when and what; it never reads or sends."""

from ozh_notify.campaigns.base import (
    FAR,
    Button,
    Campaign,
    Criterion,
    Index,
    Kind,
    key_of,
    midnight_after,
    own_button,
)
from ozh_notify.campaigns.registry import BrokenCampaign, broken_campaigns, registry, use_folder

__all__ = [
    "FAR",
    "BrokenCampaign",
    "Button",
    "Campaign",
    "Criterion",
    "Index",
    "Kind",
    "broken_campaigns",
    "key_of",
    "midnight_after",
    "own_button",
    "registry",
    "use_folder",
]
