"""aiogram's bare send loop: workers that share one list of chats; no database, nothing recorded."""

from __future__ import annotations

import asyncio
from typing import Any

from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from clocked import TEXT, TOKEN, chats, clocked, options


async def main() -> None:
    """Send to all."""
    json_of: dict[str, Any] = {}
    if asked.fast:
        import orjson  # noqa: PLC0415

        json_of = {
            "json_loads": orjson.loads,
            "json_dumps": lambda value: orjson.dumps(value).decode(),
        }
    server = TelegramAPIServer.from_base(asked.url)
    session = AiohttpSession(limit=asked.connections, api=server, **json_of)
    bot = Bot(TOKEN, session=session, default=DefaultBotProperties(parse_mode="HTML"))
    line = chats(asked.count)

    async def worker() -> None:
        for chat in line:
            await bot.send_message(chat, TEXT)

    await clocked(asked.count, lambda: asyncio.gather(*(worker() for _ in range(asked.in_flight))))
    await session.close()


if __name__ == "__main__":
    asked = options()
    if asked.fast:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
