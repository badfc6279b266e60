"""Counts in messages: the number agrees with its noun."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """``1 user``, ``2 users``; ``1 delivery``, ``2 deliveries`` with a plural of its own."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"
