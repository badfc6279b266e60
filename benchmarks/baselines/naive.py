"""The naive worker: find the users, await each send, then update; MONGO_URI says where."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from clocked import TEXT, TOKEN, clocked, options
from pymongo import AsyncMongoClient
from telegram import Bot


async def main() -> None:
    """Send to as many as asked for."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["MONGO_URI"])
    users = client[os.environ["MONGO_DB_NAME"]].users

    async def work() -> None:
        wanted = {"generations_count": 1, "balance": 0, "discount_offered": False}
        for user in await users.find(wanted).limit(asked.count).to_list():
            await bot.send_message(user["telegram_id"], TEXT, parse_mode="HTML")
            await users.update_one({"_id": user["_id"]}, {"$set": {"discount_offered": True}})

    async with Bot(TOKEN, base_url=f"{asked.url}/bot") as bot:
        await clocked(asked.count, work)
    await client.close()


if __name__ == "__main__":
    asked = options()
    asyncio.run(main())
