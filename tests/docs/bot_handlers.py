"""Runs the handlers of docs/backend.md in a bot library's own dispatcher, against a local Bot API.

``python bot_handlers.py LIBRARY FILE MONGO_URI DATABASE``, with made-up updates as JSON on stdin.
A program of its own, because aiogram does not fit into the environment of the tests.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from aiohttp import web
from pymongo import AsyncMongoClient

TOKEN = "987654321:AAtests-only-token_abcdefghijklmnop"
ME = {"id": 987654321, "is_bot": True, "first_name": "Bot", "username": "a_bot"}


async def answer(request: web.Request) -> web.Response:
    """Every method succeeds."""
    result: Any = ME if request.path.endswith("getMe") else True
    return web.json_response({"ok": True, "result": result})


async def feed_aiogram(names: dict[str, Any], base: str, updates: list[Any]) -> None:
    """By `Dispatcher.feed_raw_update`, as a webhook does."""
    aiogram = import_module("aiogram")
    session = import_module("aiogram.client.session.aiohttp").AiohttpSession
    server = import_module("aiogram.client.telegram").TelegramAPIServer
    async with aiogram.Bot(TOKEN, session=session(api=server.from_base(base))) as bot:
        dispatcher = aiogram.Dispatcher()
        dispatcher.include_router(names["router"])
        for update in updates:
            await dispatcher.feed_raw_update(bot, update)


async def feed_telegram(names: dict[str, Any], base: str, updates: list[Any]) -> None:
    """By `Application.process_update`, as a webhook does."""
    telegram, ext = import_module("telegram"), import_module("telegram.ext")
    builder = ext.Application.builder().token(TOKEN).base_url(f"{base}/bot").updater(None)
    async with builder.build() as application:
        application.add_handlers(names["handlers"])
        for update in updates:
            await application.process_update(telegram.Update.de_json(update, application.bot))


async def main(library: str, code: str, uri: str, database: str) -> None:
    """Start the server, make the handlers, feed them."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    names: dict[str, Any] = {"users": client[database]["users"]}
    exec(compile(code, "docs/backend.md", "exec"), names)  # noqa: S102 - it is our own page
    feed = feed_aiogram if library == "aiogram" else feed_telegram
    await feed(names, base, json.load(sys.stdin))
    await client.close()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_text("utf-8"), *sys.argv[3:]))
