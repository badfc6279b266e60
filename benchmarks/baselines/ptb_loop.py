"""python-telegram-bot's own defaults (httpx): workers that share one list of chats."""

from __future__ import annotations

import asyncio

from clocked import TEXT, TOKEN, chats, clocked, options
from telegram import Bot
from telegram.error import TimedOut


async def main() -> None:
    """Send to all; its pool times out under load, so what timed out is tried again."""
    async with Bot(TOKEN, base_url=f"{asked.url}/bot") as bot:
        line = chats(asked.count)

        async def worker() -> None:
            for chat in line:
                while True:
                    try:
                        await bot.send_message(chat, TEXT, parse_mode="HTML")
                        break
                    except TimedOut:
                        pass

        await clocked(
            asked.count, lambda: asyncio.gather(*(worker() for _ in range(asked.in_flight)))
        )


if __name__ == "__main__":
    asked = options()
    asyncio.run(main())
