"""The users a scan found, kept as ids only."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

NAMED_INVALID = 5
"""Invalid users that a warning names."""


class PackedIds:
    """Ids in order. While all are ObjectIds, each takes 12 bytes here instead of 96."""

    def __init__(self) -> None:
        self._packed, self._kind = bytearray(), bytes
        self._objects: list[Any] | None = None

    def append(self, value: Any) -> None:
        """One more id."""
        if self._objects is None and type(value).__name__ == "ObjectId":
            self._packed += value.binary
            self._kind = type(value)
            return
        if self._objects is None:
            self._objects = list(self)
            self._packed = bytearray()
        self._objects.append(value)

    def __len__(self) -> int:
        return len(self._packed) // 12 if self._objects is None else len(self._objects)

    def __getitem__(self, number: int) -> Any:
        if self._objects is not None:
            return self._objects[number]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self._kind(bytes(self._packed[12 * number : 12 * number + 12]))

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))


class Candidates:
    """Ids in the order they are to be claimed, at most ``keep`` of them."""

    def __init__(self, keep: int) -> None:
        self._ids = PackedIds()
        self._chats = array("q")
        self._keep = keep
        self.found = 0
        """Users the scan matched, ``invalid`` ones included."""
        self.invalid = 0
        self.controls = 0
        """Users among the valid ones that a running experiment would hold out."""
        self.first_invalid: list[tuple[Any, str]] = []
        """The first ids of invalid users, each with the reason."""

    def add(self, user_id: Any, chat_id: int) -> None:
        """Count a valid user, and keep the ids while there is room."""
        self.found += 1
        if len(self._ids) < self._keep:
            self._ids.append(user_id)
            self._chats.append(chat_id)

    def reject(self, user_id: Any, reason: str) -> None:
        """Count a user who cannot be claimed."""
        self.found += 1
        self.refuse(user_id, reason)

    def refuse(self, user_id: Any, reason: str) -> None:
        """Count a kept user as invalid: the server refuses to update the document."""
        self.invalid += 1
        if len(self.first_invalid) < NAMED_INVALID:
            self.first_invalid.append((user_id, reason))

    @property
    def valid(self) -> int:
        """How many users can be messaged."""
        return self.found - self.invalid

    def __iter__(self) -> Iterator[Any]:
        return iter(self._ids)

    def first(self, count: int) -> list[Any]:
        """The first ids in line."""
        return list(islice(self, count))

    def shared_chats(self) -> dict[int, list[Any]]:
        """Chat ids that several of the kept users have, each with the users' ids."""
        counts = Counter(self._chats)
        shared: dict[int, list[Any]] = {chat: [] for chat in counts if counts[chat] > 1}
        for number, chat in enumerate(self._chats if shared else ()):
            if chat in shared:
                shared[chat].append(self._ids[number])
        return shared

    def own_share_first(self, index: int, count: int) -> None:
        """Put the share of shard ``index`` of ``count`` first, then the shares of the others."""
        order = sorted(
            range(len(self._ids)), key=lambda n: (shard_of(self._ids[n], count) - index) % count
        )
        ids = PackedIds()
        for n in order:
            ids.append(self._ids[n])
        self._ids = ids
        self._chats = array("q", (self._chats[n] for n in order))


def shard_of(user_id: Any, count: int) -> int:
    """The shard of a user. Unlike Python's ``hash`` it is the same in every process."""
    return zlib.crc32(repr(user_id).encode()) % count
