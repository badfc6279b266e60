"""The demo: both passes, for real, against throw-away servers on this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import pymongo
from rich.console import Console
from rich.text import Text

from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.botapi import client as botapi
from ozh_notify.sandbox.demo import output
from ozh_notify.sandbox.demo.experiment import past_experiment
from ozh_notify.sandbox.demo.users import DemoUser, demo_users
from ozh_notify.sandbox.processes import started

DATABASE = "ozhivlyator_demo"
JOURNAL = "ozh_notify_journal"
OURS = ("OZH_", "MONGO_", "TELEGRAM_", "API_", "JOB_COMPLETION_INDEX", "LOGGING_ENABLED")
"""Variables of this program: the demo reads none of them from its surroundings."""
OPTIONS = """\
photo = "{{ user.last_picture.file_id }}"

[[button]]
text = "Выбрать картинку"
data = "discount:buy"
"""
"""The demo's ``discount.toml``: each user's own last picture, and a button."""


@dataclass(frozen=True)
class Environment:
    """Both servers, the users in them, and the environment of a pass against them."""

    users: Any
    bot: botapi.BotApiServer
    people: list[DemoUser]
    environment: dict[str, str]
    folder: str


@contextmanager
def environment(count: int, seed: int) -> Iterator[Environment]:
    """Both servers up, with made-up users; everything is gone afterwards."""
    with ExitStack() as stack:
        server = stack.enter_context(mongo.run())
        bot = stack.enter_context(botapi.run())
        client = stack.enter_context(pymongo.MongoClient[dict[str, Any]](server.uri, tz_aware=True))
        users = client[DATABASE].users
        now = datetime.now(timezone.utc)
        people = demo_users(count, seed, now)
        users.insert_many([dict(person.document) for person in people])
        client[DATABASE][JOURNAL].insert_many(past_experiment(now))
        rules = [
            {"chat_id": person.document["telegram_id"], "do": person.chat}
            for person in people
            if person.chat
        ]
        bot.control.rules(rules)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ozh-notify-"))
        texts = _texts(Path(folder))
        yield Environment(users, bot, people, _environment(server.uri, bot, texts), folder)


def serve(console: Console, count: int, seed: int) -> None:
    """Leave both servers up until a signal ends this process, and say how to use them."""
    with environment(count, seed) as up:
        console.print(
            f"Both servers are up, with {count} made-up users. Paste this into another terminal,\n"
            "in a folder without a .env, which would fill in the rest:\n"
        )
        exports = {name: shlex.quote(value) for name, value in up.environment.items()}
        for name, value in {**exports, **_way_there()}.items():
            console.print(f"export {name}={value}", markup=False, soft_wrap=True)
        console.print(
            "\nThen try: ozh-notify discount --dry-run; ozh-notify discount; "
            "ozh-notify daily-bonus --any-time; ozh-notify effect"
            f"\nWhat arrived in the chats: {up.bot.url}/control/messages"
            "\nCtrl-C ends both servers.",
            soft_wrap=True,
        )
        while True:
            time.sleep(3600)


def run_demo(console: Console, count: int, seed: int) -> list[str]:
    """Show the main job; returns what was not as it should be."""
    console.print("Starting a MongoDB-compatible server and a Telegram Bot API on 127.0.0.1 ...")
    with environment(count, seed) as up:
        output.print_users(console, up.people)
        before = {user["telegram_id"]: user for user in up.users.find()}
        problems = []
        for command in ("discount --dry-run", "discount", "daily-bonus"):
            problems += _show(console, up, command)
        output.chats(console, up.bot.control.messages())
        output.pictures(console, up.bot.control.messages())
        after = {user["telegram_id"]: user for user in up.users.find()}
        output.documents(console, up.people, before, after)
        output.heading(console, "the same passes again reach nobody")
        for command in ("discount", "daily-bonus"):
            problems += _show(console, up, command)
        output.heading(console, "did an experiment of last month bring people back?")
        problems += _show(console, up, "effect discount")
        return problems + failures(up)


def failures(up: Environment) -> list[str]:
    """Expectations that do not hold: from the users' cases, not from what the passes said."""
    got = Counter((m.chat_id, output.campaign(m.raw_text)) for m in up.bot.control.messages())
    wanted = {
        (person.document["telegram_id"], person.gets)
        for person in up.people
        if person.gets and not person.chat
    }
    problems = [f"chat {chat} got {n} messages" for (chat, _), n in got.items() if n > 1]
    problems += [f"chat {chat} got no {name}" for chat, name in wanted - got.keys()]
    problems += [f"chat {chat} got a {name} unasked" for chat, name in got.keys() - wanted]
    pictures = {
        (person.document["telegram_id"], person.picture)
        for person in up.people
        if person.gets == "discount" and not person.chat
    }
    if pictures != {
        (m.chat_id, m.media)
        for m in up.bot.control.messages()
        if output.campaign(m.raw_text) == "discount"
    }:
        problems.append("not every offer shows the user's own picture")
    offered = {
        user["telegram_id"]
        for user in up.users.find({"discount_offered": True, "ozh_notify.discount.state": "sent"})
    }
    if offered != {chat for chat, name in wanted if name == "discount"}:
        problems.append("discount_offered is not set for exactly those who got the offer")
    return problems


def _show(console: Console, up: Environment, command: str) -> list[str]:
    """Run a command as a process of its own; its log lines are left out, its errors are not."""
    output.heading(console, f"ozh-notify {command}")
    environment = {**up.environment, "OZH_TIMEZONE": _where_it_is_noon(), "PYTHONUTF8": "1"}
    environment["LOGGING_ENABLED"] = "False"
    environment["FORCE_COLOR"] = "1"  # a table, as on a terminal
    if not console.is_terminal:
        environment["TERM"] = "dumb"
    with started(
        [sys.executable, "-m", "ozh_notify", *command.split()],
        env={**_surroundings(), **environment, "COLUMNS": str(console.width)},
        cwd=up.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        said, _ = process.communicate()
    console.print(Text.from_ansi(said.rstrip()))
    return [] if process.returncode == 0 else [f"{command} ended with {process.returncode}"]


def _where_it_is_noon() -> str:
    """A zone where it is about noon: the bonus may be sent, and midnight is far."""
    east = 12 - datetime.now(timezone.utc).hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


def _surroundings() -> dict[str, str]:
    """This process's environment without settings, and without a proxy: all is on 127.0.0.1."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(OURS) and not name.lower().endswith("_proxy")
    }


def _way_there() -> dict[str, str]:
    """What another shell needs to find this command, and to pass by a proxy, as shell words."""
    ours = Path(sys.executable).with_name("ozh-notify")
    found = shutil.which("ozh-notify")
    way = {}
    if ours.exists() and not (found and os.path.samefile(found, ours)):
        way["PATH"] = f'{shlex.quote(str(ours.parent))}:"$PATH"'  # that shell's own, not ours
    if getproxies().get("http"):
        direct = ",".join(filter(None, ["127.0.0.1", os.environ.get("NO_PROXY")]))
        way["NO_PROXY"] = shlex.quote(direct)
    return way


def _texts(folder: Path) -> Path:
    """The folder of templates: what the discount has besides its built-in text."""
    texts = folder / "templates"
    texts.mkdir()
    (texts / "discount.toml").write_text(OPTIONS, encoding="utf-8")
    return texts


def _environment(uri: str, bot: botapi.BotApiServer, texts: Path) -> dict[str, str]:
    return {
        "MONGO_URI": uri,
        "MONGO_DB_NAME": DATABASE,
        "TELEGRAM_BOT_TOKEN": bot.token,
        "OZH_TELEGRAM_API_URL": bot.url,
        "OZH_TEMPLATES_DIR": str(texts),
        "OZH_DISCOUNT_PACK": "10 оживашек",
        "OZH_DISCOUNT_PRICE": "149 ₽",
        "OZH_DISCOUNT_OLD_PRICE": "249 ₽",
        "OZH_DAILY_BONUS_BUTTON_TEXT": "Забрать бонус",
        "OZH_DAILY_BONUS_BUTTON": "bonus:claim",
    }
