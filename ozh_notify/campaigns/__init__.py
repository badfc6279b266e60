"""Campaigns and their registry; a campaign says who, when and what, and never reads or sends."""

from ozh_notify.campaigns.base import (
    FAR,
    Button,
    Campaign,
    Criterion,
    Index,
    Kind,
    midnight_after,
    own_button,
)
from ozh_notify.campaigns.registry import registry

__all__ = [
    "FAR",
    "Button",
    "Campaign",
    "Criterion",
    "Index",
    "Kind",
    "midnight_after",
    "own_button",
    "registry",
]
