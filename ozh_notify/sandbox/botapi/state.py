"""The state of a server: deliveries, counts, and its rules and settings."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .checks import Draft
from .config import Config
from .replies import bad_request
from .rules import SENDING, Rule, pick

DELETE_WITHIN_SECONDS = 48 * 3600
"""Bot API, deleteMessage: "A message can only be deleted if it was sent less than 48 hours ago"."""


class EmulatorState:
    """Everything that is kept between two requests; `reset` forgets all but the last ids."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.last_message_id = 0
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Go back to the start, but let message ids go on: an id is never used twice."""
        self.rules: list[Rule] = []
        self.messages: list[dict[str, Any]] = []
        self.first_seq = self.last_message_id + 1
        self.by_method: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.send_times: list[float] = []
        self.max_in_flight = 0
        self.latency_ms = self.config.latency_ms
        self.rate_limit = self.config.rate_limit
        self.chance = random.Random(self.config.seed)  # noqa: S311  # no secret is made of it
        self._recent: deque[float] = deque()

    @contextmanager
    def arrival(self, method: str) -> Iterator[None]:
        """Counts a request as in flight from its arrival to its end."""
        self.by_method[method] += 1
        if method.lower() in SENDING:
            self.send_times.append(time.time())
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    def over_rate(self) -> bool:
        """Whether one more message would exceed the rate limit of the last second."""
        if not self.rate_limit:
            return False
        now, recent = time.monotonic(), self._recent
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= self.rate_limit:
            return True
        recent.append(now)
        return False

    def pick(self, method: str, chat_id: int | None) -> Rule | None:
        return pick(self.rules, method, chat_id, self.chance) if self.rules else None

    def deliver(self, method: str, draft: Draft, bot_id: int) -> dict[str, Any]:
        """Records a message as delivered; its ``message_id`` is also its sequence number."""
        self.last_message_id += 1
        record = {
            "seq": self.last_message_id,
            "message_id": self.last_message_id,
            "chat_id": draft.chat_id,
            "method": method,
            "text": draft.text,
            "raw_text": draft.raw_text,
            "reply_markup": draft.reply_markup,
            "allow_paid_broadcast": draft.allow_paid_broadcast,
            "media": draft.media,
            "silent": draft.silent,
            "protect": draft.protect,
            "link_preview": draft.link_preview,
            "deleted": False,
            "time": time.time(),
            "bot_id": bot_id,
        }
        self.messages.append(record)
        return record

    def delete(self, chat_id: int, message_id: int) -> None:
        """Marks a message as deleted; raises Telegram's refusal where it cannot be."""
        for record in self.messages:
            if (record["chat_id"], record["message_id"]) == (chat_id, message_id):
                if record["deleted"]:
                    break
                if time.time() - record["time"] > DELETE_WITHIN_SECONDS:
                    raise bad_request("message can't be deleted for everyone")
                record["deleted"] = True
                return
        raise bad_request("message to delete not found")

    def since(self, seq: int) -> list[dict[str, Any]]:
        return self.messages[max(0, seq - self.first_seq + 1) :]

    def counts(self) -> dict[str, Any]:
        return {
            "by_method": self.by_method,
            "by_status": self.by_status,
            "send_times": self.send_times,
            "max_in_flight": self.max_in_flight,
        }
