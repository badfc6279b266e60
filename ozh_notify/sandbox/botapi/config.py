"""The options that a server is started with."""

from __future__ import annotations

from dataclasses import dataclass

DEMO_TOKEN = ":".join(("123456", "TEST-" + "a" * 30))
"""Looks like a bot's token, but only a server that was started with it accepts it."""


@dataclass(frozen=True)
class Config:
    """``port`` 0 takes a free one. ``rate_limit`` is messages per second, None without limit."""

    tokens: tuple[str, ...] = (DEMO_TOKEN,)
    port: int = 0
    username: str = "ozhivlyator_demo_bot"
    latency_ms: float = 0
    rate_limit: float | None = None
    seed: int = 0
