"""What the demo shows besides the passes: the users, the chats, and documents before and after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ozh_notify.sandbox.botapi.client import ReceivedMessage
from ozh_notify.sandbox.demo.users import DemoUser

CHATS_SHOWN = 4
CASES_SHOWN = ("one picture, nothing left", "has blocked the bot", "registered yesterday")
FIELDS_SHOWN = ("telegram_id", "discount_offered", "ozh_notify")

Documents = Mapping[int, Mapping[str, Any]]
"""User documents by chat id."""


def heading(console: Console, title: str) -> None:
    """Where the next part begins."""
    console.print()
    console.print(Rule(title))


def campaign(text: str) -> str:
    """Which campaign a message is of."""
    return "daily-bonus" if "Бонусы" in text else "discount"


def print_users(console: Console, people: Sequence[DemoUser]) -> None:
    """How many users there are of each case, and what is to come of them."""
    heading(console, f"{len(people)} made-up users")
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    in_order = sorted(people, key=lambda p: (not p.gets, bool(p.chat), p.gets != "discount"))
    for (case, expected), count in Counter((p.case, _expected(p)) for p in in_order).items():
        table.add_row(str(count), case, Text(expected, style="dim"))
    console.print(table)


def _expected(person: DemoUser) -> str:
    if not person.gets:
        return "left alone"
    return "cannot be written to" if person.chat else f"gets the {person.gets.replace('-', ' ')}"


def chats(console: Console, messages: Sequence[ReceivedMessage]) -> None:
    """The first and the last messages, as their readers see them."""
    heading(console, f"what arrived in the chats: {len(messages)} messages")
    half = CHATS_SHOWN // 2
    shown = [*messages[:half], *messages[half:][-half:]]
    for message in shown:
        rows = (message.reply_markup or {}).get("inline_keyboard", [])
        buttons = "".join(f"\n\n[ {key['text']} ]" for row in rows for key in row)
        title = f"chat {message.chat_id}"
        picture = f"< {medium(message)} >\n\n" if message.media else ""
        console.print(Panel(Text(picture + message.text + buttons), title=title, width=72))
    if len(shown) < len(messages):
        console.print(f"... and {len(messages) - len(shown)} more")


def pictures(console: Console, messages: Sequence[ReceivedMessage]) -> None:
    """How many of the messages were pictures with the text below."""
    sent = sum(message.media is not None for message in messages)
    console.print(f"{sent} of them show the user's own last picture, sent by its file_id.")
    console.print("Users without one got the text alone.")


def medium(message: ReceivedMessage) -> str:
    """What a message shows above its text."""
    return f"{message.method.removeprefix('send').lower()} {message.media}"


def documents(
    console: Console, people: Sequence[DemoUser], before: Documents, after: Documents
) -> None:
    """What the passes have written, for a few users."""
    heading(console, "user documents, before and after")
    for case in CASES_SHOWN:
        person = next((p for p in people if p.case == case), None)
        if person:
            chat = person.document["telegram_id"]
            console.print(Text(f"{case}:", style="bold"))
            console.print(f"before {_shown(before[chat])}", markup=False)
            console.print(f"after  {_shown(after[chat])}", markup=False, soft_wrap=True)


def _shown(user: Mapping[str, Any]) -> str:
    """The fields that matter here; a short document is one line."""
    fields = {name: user[name] for name in FIELDS_SHOWN if name in user}
    indent = 2 if "ozh_notify" in fields else None
    return json.dumps(
        fields, indent=indent, default=lambda moment: f"{moment:%Y-%m-%d %H:%M:%S %Z}"
    )
