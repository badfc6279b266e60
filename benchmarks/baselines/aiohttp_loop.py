"""Bare aiohttp: no Bot API library at all; what a client of this kind can reach."""

from __future__ import annotations

import asyncio

import aiohttp
from clocked import TEXT, TOKEN, chats, clocked, options


async def main() -> None:
    """Send to all."""
    url, line = f"{asked.url}/bot{TOKEN}/sendMessage", chats(asked.count)
    connector = aiohttp.TCPConnector(limit=asked.connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def worker() -> None:
            for chat in line:
                message = {"chat_id": chat, "text": TEXT, "parse_mode": "HTML"}
                async with session.post(url, json=message) as response:
                    await response.json()

        await clocked(
            asked.count, lambda: asyncio.gather(*(worker() for _ in range(asked.in_flight)))
        )


if __name__ == "__main__":
    asked = options()
    asyncio.run(main())
