"""Runs the server as a process: ``python -m ozh_notify.sandbox.botapi``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence

from .config import DEMO_TOKEN, Config
from .server import start


def main(argv: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM, SIGINT or, if asked, the end of stdin."""
    options = _options(argv)
    config = Config(
        tokens=tuple(options.token or (DEMO_TOKEN,)),
        port=options.port,
        username=options.username,
        latency_ms=options.latency_ms,
        rate_limit=options.rate_limit,
        seed=options.seed,
    )
    asyncio.run(_serve(config, options.exit_with_stdin))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ozh_notify.sandbox.botapi",
        description="A Bot API server on 127.0.0.1 for tests and the demo.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--token", action="append", type=_token, help="repeatable")
    parser.add_argument("--username", default=Config.username)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--rate-limit", type=float, help="messages per second")
    parser.add_argument("--seed", type=int, default=0, help="for the probability of the rules")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when stdin ends")
    return parser.parse_args(argv)


def _token(text: str) -> str:
    if not text.partition(":")[0].isdecimal():
        raise argparse.ArgumentTypeError("a token begins with a number and a colon")
    return text


async def _serve(config: Config, exit_with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if exit_with_stdin:
        _at_end_of_stdin(lambda: loop.call_soon_threadsafe(stop.set))
    server = await start(config)
    print(f"listening on {server.url}", flush=True)
    await stop.wait()
    await server.stop()


def _at_end_of_stdin(then: Callable[[], object]) -> None:
    """A thread, because an event loop cannot watch every kind of stdin."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        then()

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
