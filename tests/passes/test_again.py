"""A flag that was reset: nobody is messaged again, unless `--again` says it was meant."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.cli.test_cli import wait_until
from tests.conftest import Ozh
from tests.helpers.odd_users import (
    FAR,
    Someone,
    check_reached,
    insert,
)
from tests.helpers.users import Users, ago, discount_user


def offered(kind: str, state: str, count: int = 1, **fields: Any) -> list[Someone]:
    """Users with a delivery of two days ago, whose flag says they were never offered."""
    past = {"state": state, "at": ago(days=2), "run": "earlier", "hold_until": FAR, "attempts": 1}
    delivery = {"ozh_notify": {"discount": {**past, **fields.pop("delivery", {})}}}
    due = fields.pop("due", False)
    return [Someone(kind, discount_user(**{**delivery, **fields}), due) for _ in range(count)]


@contextmanager
def stale_backend(users: Users) -> Iterator[None]:
    """A backend that keeps saving ``discount_offered: false``."""
    done = threading.Event()

    def save() -> None:
        while not done.wait(0.02):
            users.update_many({"discount_offered": True}, {"$set": {"discount_offered": False}})

    thread = threading.Thread(target=save)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.long
def test_a_reset_flag_alone_does_not_offer_again(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Without `--again` the delivery state decides, and the dry run counts these users.

    With it, a `sent` user who meets all other criteria gets another message; an `unknown` never.
    """
    others = [
        *offered("flag still set", "sent", discount_offered=True),
        *offered("has a balance now", "sent", balance=3),
        *offered("muted", "sent", ozh_notify={"muted": True}),
        *offered("unknown", "unknown", delivery={"claim": "c"}),
        *offered("unreachable", "unreachable", delivery={"hold_until": ago(days=-3)}),
        *offered("rejected", "rejected", delivery={"hold_until": ago(days=-3)}),
        *offered("sending", "sending", delivery={"claim": "c", "hold_until": ago(hours=-1)}),
        *offered("sent in a moment", "sent", delivery={"at": ago(hours=-1)}),
        *offered("sent at no time", "sent", delivery={"at": None}),
    ]
    reset = offered("sent, flag reset", "sent", 3, due=True)
    insert(users, [*others, *reset])
    dry = ozh("discount", "--dry-run", "--json").json()
    assert dry["held"] == {
        **{"already offered": 1, "offered before, flag reset": 5, "muted": 1},
        **{f"held: {state}": 1 for state in ("sending", "unknown", "unreachable", "rejected")},
    }
    assert ozh("discount", "--json").json()["sent"] == 0
    assert bot_api.control.messages() == []

    again = ozh("discount", "--dry-run", "--json", "--again").json()
    assert again["eligible"] == 3
    assert "offered before, flag reset" not in again["held"]
    assert sum(again["held"].values()) + 3 == sum(dry["held"].values())
    assert ozh("discount", "--again", "--json").json()["sent"] == 3
    check_reached([*others, *reset], bot_api.control.messages())
    renewed = {one.document["_id"]: one for one in reset}
    for user in users.find({"_id": {"$in": list(renewed)}}):
        assert user["discount_offered"] is True
        assert user["ozh_notify"]["discount"]["run"] != "earlier"
        assert user["ozh_notify"]["discount"]["attempts"] == 2
    assert ozh("discount", "--again", "--json").json()["sent"] == 0


@pytest.mark.long
def test_again_never_takes_users_that_this_pass_or_a_parallel_one_reached(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """While a backend resets every flag, two parallel passes still send each message once."""
    people = [Someone("eligible", discount_user(), due=True) for _ in range(30)]
    insert(users, people)
    with stale_backend(users):
        slow = ozh.start("discount", "--again", "--json", "--rate", "5")
        wait_until(lambda: bool(bot_api.control.messages()), "the first message")
        fast = ozh("discount", "--json", "--rate", "200")
        result = ozh.finished(slow, *slow.communicate(timeout=60))
    assert (fast.code, result.code) == (0, 0), result.err
    check_reached(people, bot_api.control.messages())
    assert fast.json()["sent"] + result.json()["sent"] == 30
    assert result.json()["skipped"] == fast.json()["sent"] > 0


@pytest.mark.long
@pytest.mark.parametrize("options", [("--user", "9009"), ("--limit", "1")])
def test_again_works_with_options_that_narrow_a_pass(
    options: tuple[str, ...], ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """One user can get another offer on purpose; the others are left alone."""
    newest: dict[str, Any] = {"telegram_id": 9009, "first_generation_at": ago(hours=25)}
    insert(users, [*offered("this one", "sent", **newest), *offered("others", "sent", 3)])
    result = ozh("discount", "--again", "--json", *options).json()
    assert result["sent"] == 1
    assert [message.chat_id for message in bot_api.control.messages()] == [9009]
