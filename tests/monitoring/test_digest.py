"""The digest to the operator's own chat."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from socket import gethostname
from typing import Any

import pytest

from ozh_notify.errors import ConfigError, Exit
from ozh_notify.logs import Redactor
from ozh_notify.messaging import html as telegram_html
from ozh_notify.monitoring import digest
from ozh_notify.passes.result import Result
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, discount_user

ADMIN = 424242


def digests(bot_api: BotApiServer) -> list[str]:
    """What the operator reads."""
    return [m.text for m in bot_api.control.messages() if m.chat_id == ADMIN]


def test_a_pass_without_trouble_is_told_only_to_who_wants_all(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """By default silence is good news; ``all`` tells of each pass that sent something."""
    users.insert_one(discount_user())
    assert ozh("discount", OZH_ADMIN_CHAT_ID=str(ADMIN)).code == 0
    assert digests(bot_api) == []
    users.insert_many([discount_user(), discount_user()])
    assert ozh("discount", OZH_ADMIN_CHAT_ID=str(ADMIN), OZH_ADMIN_DIGEST="all").code == 0
    [told] = digests(bot_api)
    assert "ozh-notify discount: ok (exit 0)" in told
    assert "2 of 2 sent" in told
    nobody = Result.without_pass("discount", datetime.now(timezone.utc))
    assert not digest.is_wanted(nobody, of_all=True)


def test_users_left_unknown_are_told_with_the_command_that_settles_them(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """One message, and what to type."""
    users.insert_many([discount_user() for _ in range(5)])
    bot_api.control.rules([{"do": "cut_after", "skip": 1, "times": 1}])
    done = ozh("discount", "--json", OZH_ADMIN_CHAT_ID=str(ADMIN))
    assert (done.code, done.json()["unknown"]) == (0, 1), done.err
    [told] = digests(bot_api)
    assert "unknown 1" in told
    assert "ozh-notify reconcile discount" in told


@pytest.mark.long
def test_many_lost_users_are_told(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """A fifth of the pass cannot be written to: here is who."""
    people = [discount_user() for _ in range(50)]
    users.insert_many(people)
    chats = [person["telegram_id"] for person in people[:10]]
    bot_api.control.rules([{"do": "blocked", "chat_id": chats}])
    done = ozh("discount", "--json", OZH_ADMIN_CHAT_ID=str(ADMIN))
    assert (done.code, done.json()["unreachable"]) == (0, 10)
    [told] = digests(bot_api)
    assert "40 of 50 sent; 10 blocked the bot or are gone" in told
    assert "ozh-notify reconcile discount --state unreachable" in told


@pytest.mark.long
def test_a_pass_that_reached_nobody_is_told(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """Few users, all of them refused: too few for "many", and nobody got anything."""
    earlier = discount_user()
    users.insert_one(earlier)
    assert ozh("discount", "--json").json()["sent"] == 1
    users.insert_many(discount_user() for _ in range(3))
    bot_api.control.rules([{"do": "blocked"}])
    done = ozh("discount", "--json", OZH_ADMIN_CHAT_ID=str(ADMIN))
    assert done.json()["unreachable"] == 3
    assert "the pass was not reported there" in done.err  # the emulator blocks the digest too
    result = replace(
        Result.without_pass("discount", datetime.now(timezone.utc)), rejected=3, claimed=3
    )
    assert digest.is_wanted(result, of_all=False)
    assert "--state rejected" in digest.compose(result, Redactor())


def test_a_digest_names_host_database_and_bot(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """One chat may watch several bots."""
    users.insert_one(discount_user())
    ozh("discount", OZH_ADMIN_CHAT_ID=str(ADMIN), OZH_ADMIN_DIGEST="all")
    [told] = digests(bot_api)
    assert f"database {users.database.name}" in told
    assert "127.0.0.1" in told
    assert f"host {gethostname()}, bot @" in told
    # The digest uses the connection of the pass: Telegram is asked once who the bot is.
    assert bot_api.control.requests()["by_method"] == {"getMe": 1, "sendMessage": 2}


def test_controls_of_an_experiment_do_not_hide_how_many_are_lost() -> None:
    """They were not messaged, so the share is that of the others."""
    result = Result.without_pass("discount", datetime.now(timezone.utc))
    result = replace(result, unreachable=10, claimed=100, held_out=50, sent=40)
    assert digest.is_wanted(result, of_all=False)


def test_outcomes_that_are_not_recorded_are_told_with_the_command() -> None:
    """74: a person must look before the next pass."""
    result = replace(
        Result.without_pass("discount", datetime.now(timezone.utc)), unrecorded=2, sent=5, claimed=5
    )
    text = digest.compose(result, Redactor())
    assert "2 not recorded" in text
    assert "reconcile discount --mark-sent --user @LOG" in text
    assert digest.is_wanted(result, of_all=False)


@pytest.mark.parametrize(
    ("unreachable", "claimed", "many"),
    [(9, 9, False), (10, 50, True), (10, 51, False), (11, 51, True), (0, 0, False)],
)
def test_many_are_a_fifth_and_no_fewer_than_ten(unreachable: int, claimed: int, many: bool) -> None:
    """A small pass, or a usual share, is no trouble."""
    result = replace(
        Result.without_pass("discount", datetime.now(timezone.utc)),
        unreachable=unreachable,
        claimed=claimed,
        sent=1,
    )
    assert digest.is_many(unreachable, result) is many
    assert digest.is_wanted(result, of_all=False) is many


@pytest.mark.parametrize(
    ("extra", "code", "command"),
    [
        ({"OZH_MAX_RECIPIENTS": "2"}, 77, "ozh-notify discount --dry-run"),
        ({"OZH_DAILY_BONUS_DAYS": "soon"}, 78, "ozh-notify check"),
    ],
)
def test_a_pass_that_ended_badly_is_told_with_what_to_do(
    ozh: Ozh, users: Users, bot_api: BotApiServer, extra: dict[str, Any], code: int, command: str
) -> None:
    """Also where the pass could not begin."""
    users.insert_many([discount_user() for _ in range(3)])
    assert ozh("discount", OZH_ADMIN_CHAT_ID=str(ADMIN), **extra).code == code
    [told] = digests(bot_api)
    assert f"(exit {code})" in told
    assert command in told


def test_with_a_proxy_that_is_misspelled_nothing_is_sent_past_it(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Where Telegram's own settings are wrong, the token goes nowhere."""
    done = ozh("discount", OZH_ADMIN_CHAT_ID=str(ADMIN), OZH_TELEGRAM_PROXY="sock:/typo")
    assert done.code == 78
    assert bot_api.control.requests()["by_method"] == {}


@pytest.mark.parametrize("kind", ["blocked", "flood"])
def test_a_digest_that_cannot_be_delivered_is_a_warning(
    ozh: Ozh, users: Users, bot_api: BotApiServer, kind: str
) -> None:
    """The outcome is the pass's own, and the digest is tried once."""
    users.insert_one(discount_user())
    bot_api.control.rules([{"do": kind, "chat_id": ADMIN, "retry_after": 60}])
    done = ozh("discount", OZH_ADMIN_CHAT_ID=str(ADMIN), OZH_ADMIN_DIGEST="all")
    assert done.code == 0
    warning = "WARNING OZH_ADMIN_CHAT_ID: the pass was not reported there"
    assert done.err.count(warning) == done.err.count("WARNING") == 1
    assert bot_api.control.requests()["by_method"]["sendMessage"] == 2


def test_a_digest_is_valid_html_whatever_the_error_says() -> None:
    """Errors are escaped, redacted and cut; Telegram would refuse the message otherwise."""
    error = ConfigError("<b>& hunter-2-password " + "<" * 3000)
    result = Result.without_pass("discount", datetime.now(timezone.utc), error=error)
    html = digest.compose(result, Redactor(["hunter-2-password"]))
    text = telegram_html.parse(html).text
    assert "<b>& *** <<<" in text
    assert len(text) < 2000


def test_advice_is_given_for_every_bad_ending() -> None:
    """No exit code leaves the operator without a next step."""
    result = Result.without_pass("discount", datetime.now(timezone.utc))
    for code in set(Exit) - {Exit.OK, Exit.USAGE}:
        assert digest.is_wanted(replace(result, exit_code=code), of_all=False)
        assert digest.advice(replace(result, exit_code=code)), code
    assert digest.advice(result) == []
