"""The dry run: what it counts and shows, and that it leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Finished, Ozh
from tests.helpers.odd_users import (
    FAR,
    Someone,
    insert,
    put,
)
from tests.helpers.passes import table_rows
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    user,
)
from tests.users.test_eligibility import (
    CAMPAIGNS,
    DUE,
    GOOD,
    everybody,
)

MAKE = {"discount": discount_user, "daily-bonus": bonus_user}
SOON = ago(hours=-2)
EXTRA = '{"banned": {"$ne": true}}'
NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def delivery(key: str, **fields: Any) -> dict[str, Any]:
    """A state field that holds one delivery."""
    return {"ozh_notify": {key: {"at": ago(days=3), **fields}}}


def held(key: str, sent: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Reasons of both campaigns: how many users, and their fields."""
    yield "held: sending", 1, delivery(key, state="sending", hold_until=SOON, claim="c")
    yield "held: sending", 1, delivery(key, state="sending", hold_until=ago(hours=1))
    yield sent, 3, delivery(key, state="sent", hold_until=SOON)
    yield sent, 1, delivery(key, state="sent", hold_until=FAR)
    yield "held: unknown", 2, delivery(key, state="unknown", hold_until=FAR, claim="c")
    yield "held: unreachable", 3, delivery(key, state="unreachable", hold_until=SOON)
    yield "held: rejected", 1, delivery(key, state="rejected", hold_until=SOON)
    yield "held: other", 2, delivery(key, state="retry", hold_until=SOON)
    yield "held: other", 1, delivery(key, hold_until=SOON)
    yield "muted", 2, {"ozh_notify": {"muted": True}}
    yield "kept out by OZH_EXTRA_FILTER", 3, {"banned": True}
    yield "invalid", 2, {"telegram_id": None}
    yield "invalid", 1, {"ozh_notify": "text"}
    yield "due", 3, {}
    yield "due", 1, delivery(key, state="unreachable", hold_until=ago(minutes=1))
    yield "due", 1, delivery(key, state="retry")


def reasons(campaign: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """How many users each reason holds back, and why they are held back."""
    if campaign == "discount":
        yield "no date in first_generation_at", 1, {"first_generation_at": None}
        yield "no date in first_generation_at", 1, {"first_generation_at": [ago(days=2)]}
        yield "too recent", 2, {"first_generation_at": ago(hours=3)}
        yield "too recent", 1, {"first_generation_at": ago(hours=-3)}
        yield "already offered", 4, {"discount_offered": True}
        yield "already offered", 1, {"discount_offered": "no"}
        yield from held("discount", "offered before, flag reset")
    else:
        yield "registered in the future", 2, {"registered_at": ago(hours=-3)}
        yield "claimed today", 3, {"daily_bonus_claimed_today": True}
        yield "claimed today", 1, {"daily_bonus_claimed_today": [False]}
        yield from held("daily_bonus", "already reminded today")


def fill(users: Users, campaign: str) -> dict[str, int]:
    """Users held back for each reason, and others; returns how many of each reason."""
    counts: dict[str, int] = {}
    for reason, count, fields in reasons(campaign):
        users.insert_many([DUE[campaign](**fields) for _ in range(count)])
        counts[reason] = counts.get(reason, 0) + count
    # Not in the population.
    users.insert_many([user(), user(discount_offered=True, ozh_notify={"muted": True})])
    return counts


def dry_run(ozh: Ozh, campaign: str, *options: str, **extra: Any) -> Finished:
    """A dry run that ends well, without a token."""
    result = ozh(campaign, "--dry-run", *options, TELEGRAM_BOT_TOKEN=None, **extra)
    assert result.code == 0, result.err
    return result


def everything(users: Users) -> Any:
    """Every document, byte by byte, and every collection and index."""
    raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
    documents = [bytes(document.raw) for document in users.with_options(codec_options=raw).find()]
    names = sorted(users.database.list_collection_names())
    return sorted(documents), names, users.index_information()


@pytest.mark.long
@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_every_reason_to_hold_a_user_back_is_counted(campaign: str, ozh: Ozh, users: Users) -> None:
    """Each user of the population is eligible or held back for one reason: they sum up."""
    counts = fill(users, campaign)
    result = dry_run(ozh, campaign, "--json", OZH_EXTRA_FILTER=EXTRA).json()
    wanted = {reason: n for reason, n in counts.items() if reason not in ("due", "invalid")}
    assert result["held"] == wanted
    assert result["invalid"] == counts["invalid"]
    assert result["eligible"] == counts["due"]
    assert result["eligible"] + result["invalid"] + sum(result["held"].values()) == sum(
        counts.values()
    )


@pytest.mark.long
@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_table_says_it_in_words(campaign: str, ozh: Ozh, users: Users) -> None:
    """What the JSON counts, a person reads: with recipients, message, button and time."""
    counts = fill(users, campaign)
    key = campaign.replace("-", "_").upper()
    button = {f"OZH_{key}_BUTTON_TEXT": "Открыть", f"OZH_{key}_BUTTON": "https://t.me/x?start=1"}
    result = dry_run(ozh, campaign, OZH_EXTRA_FILTER=EXTRA, OZH_RATE_LIMIT="0.5", **button)
    rows = table_rows(result.out)
    population = {
        "discount": "one generation and no balance",
        "daily-bonus": "registered in the last days",
    }
    assert rows[population[campaign]] == str(sum(counts.values()))
    assert rows["to be messaged"] == str(counts["due"])
    for reason, count in counts.items():
        if reason != "due":
            assert rows[reason] == str(count), reason
    assert "Анна" in result.out
    assert "[ Открыть -> https://t.me/x?start=1 ]" in result.out
    assert "a pass would take 10.0 s at 0.5/s" in result.out
    assert "Stars" not in result.out
    assert "dry run, nothing was written or sent" in result.out


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_a_dry_run_leaves_no_trace(
    campaign: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Not one byte of a document differs, nothing is swept, Telegram is never asked; the
    users that it counts and those that it leaves out are all users.
    """
    lapsed = {"state": "sending", "claim": "c", "hold_until": ago(hours=1), "at": ago(hours=2)}
    delivery = f"ozh_notify.{campaign.replace('-', '_')}"
    people = [
        *everybody(campaign),
        Someone("a lapsed claim", put(DUE[campaign](), delivery, lapsed)),
    ]
    people = insert(users, people)
    before = everything(users)
    result = dry_run(ozh, campaign, "--json").json()
    dry_run(ozh, campaign, "--limit", "2", "--again" if campaign == "discount" else "--any-time")
    assert everything(users) == before
    assert bot_api.control.requests()["by_method"] == {}
    assert (result["claimed"], result["sent"], result["swept"]) == (0, 0, 0)
    assert result["eligible"] == sum(one.due for one in people)
    assert result["remaining"] == result["eligible"]
    fields = GOOD[campaign].keys() - {"first_generation_at", "discount_offered"}
    outside = sum(
        one.kind == "ordinary" or (not one.due and one.kind.partition(":")[0] in fields)
        for one in people
    )
    if campaign == "daily-bonus":  # who claimed or registers in the future is of the population
        outside -= sum(
            not one.due and one.kind.startswith("daily_bonus_claimed_today:") for one in people
        )
        in_future = ("registered_at: date: in an hour", "registered_at: odd date: year 10000")
        outside -= sum(one.kind in in_future for one in people)
    counted = result["eligible"] + result["invalid"] + sum(result["held"].values())
    assert counted == len(people) - outside


def test_a_date_inside_an_array_is_not_a_date(ozh: Ozh, users: Users) -> None:
    """The reason says so."""
    first = {"first": ago(hours=30)}
    dates = [first, [first], [first, first], None, "none", {"first": "yesterday"}]
    users.insert_many([discount_user(dates=date) for date in dates])
    result = dry_run(ozh, "discount", "--json", OZH_FIELD_FIRST_GENERATION_AT="dates.first").json()
    assert (result["held"], result["eligible"]) == ({"no date in dates.first": 5}, 1)


@pytest.mark.long
def test_it_shows_the_first_ten_newest_first(ozh: Ozh, users: Users) -> None:
    """The users a pass would reach first; with a limit, only as many."""
    ages = [31, 45, 27, 39, 50, 33, 29, 36, 48, 26, 41, 30]
    users.insert_many(
        discount_user(_id=age, first_generation_at=ago(hours=age), first_name=f"Ю{age}")
        for age in ages
    )
    shown = dry_run(ozh, "discount", "--json").json()["preview"]
    assert [r["id"] for r in shown["recipients"]] == [str(age) for age in sorted(ages)[:10]]
    newest = users.find_one(26)
    assert newest
    assert shown["recipients"][0] == {
        "id": "26",
        "chat_id": newest["telegram_id"],
        "first_name": "Ю26",
        "language": "ru",
        "template": "built in",
    }
    assert "Ю26" in shown["text"]
    limited = dry_run(ozh, "discount", "--json", "--limit", "2", OZH_RATE_LIMIT="0.1").json()
    assert [r["id"] for r in limited["preview"]["recipients"]] == ["26", "27"]
    assert limited["preview"]["seconds"] == 20
    assert limited["eligible"] == 12
    table = dry_run(ozh, "discount").out
    assert table.index("Ю26") < table.index("Ю27") < table.index("Ю41")
    assert "Ю48" not in table


@pytest.mark.long
@pytest.mark.parametrize("campaign", ["discount", "daily-bonus"])
def test_every_word_of_the_message_is_shown(campaign: str, ozh: Ozh, users: Users) -> None:
    """Long lines are folded, not cut: the operator approves the whole text."""
    users.insert_one(MAKE[campaign]())
    pack = "10 оживашек " * 20
    variables: dict[str, Any] = {"OZH_DISCOUNT_PACK": pack, "OZH_DISCOUNT_PRICE": "149 ₽"}
    line = (campaign, "--dry-run", "--any-time")
    text = ozh(*line, "--json", **variables).json()["preview"]["text"]
    shown = ozh(*line, **variables).out
    assert any(len(row) > 72 for row in text.splitlines())
    framed = shown.partition("the message")[2].partition("\n")[2].replace("│", " ").split()
    assert framed[: len(text.split())] == text.split()


@pytest.mark.long
def test_with_paid_broadcast_it_shows_the_stars(ozh: Ozh, users: Users) -> None:
    """0.1 Star for each message above the free 30 a second, and none at a free rate."""
    users.insert_many([discount_user() for _ in range(40)])
    paid = {"OZH_PAID_BROADCAST": "True"}
    fast = dry_run(ozh, "discount", "--json", "--rate", "120", **paid).json()["preview"]
    assert fast["stars"] == 3.0
    assert fast["seconds"] == 0.3
    assert (
        dry_run(ozh, "discount", "--json", "--rate", "30", **paid).json()["preview"]["stars"] == 0
    )
    assert "about 3 Stars" in dry_run(ozh, "discount", "--rate", "120", **paid).out


def test_the_recipient_limit_does_not_refuse_a_dry_run(ozh: Ozh, users: Users) -> None:
    """Its refusal says to look with a dry run, so a dry run shows all users."""
    users.insert_many([discount_user() for _ in range(12)])
    result = dry_run(ozh, "discount", "--json", "--max-recipients", "2").json()
    assert (result["status"], result["eligible"], result["remaining"]) == ("ok", 12, 12)


@pytest.mark.long
def test_it_can_look_at_another_moment(ozh: Ozh, users: Users) -> None:
    """`--at`: ages, holds and hours are those of that moment; no offset is `OZH_TIMEZONE`."""
    due, day = NOON - timedelta(hours=24), timedelta(days=1)
    blocked = {"discount": {"state": "unreachable", "hold_until": NOON + day}}
    people = {"soon": {}, "held": {"ozh_notify": blocked}}
    users.insert_many(
        discount_user(_id=name, first_generation_at=due, **fields)
        for name, fields in people.items()
    )

    def seen(moment: str, **extra: str | None) -> tuple[list[str], dict[str, int], str]:
        got = dry_run(ozh, "discount", "--json", "--at", moment, **extra).json()
        return [r["id"] for r in got["preview"]["recipients"]], got["held"], got["status"]

    assert seen("2026-11-24T12:00:00Z") == ([], {"too recent": 2}, "ok")
    assert seen("2026-11-24T12:00:00.001+00:00") == (["soon"], {"held: unreachable": 1}, "ok")
    moscow = {"OZH_TIMEZONE": "Europe/Moscow"}
    assert seen("2026-11-24T15:00", **moscow) == ([], {"too recent": 2}, "ok")
    assert seen("2026-11-24T15:01", **moscow) == (["soon"], {"held: unreachable": 1}, "ok")
    quiet = {"OZH_QUIET_HOURS": "13:00-14:00"}
    later = seen("2026-11-25T13:30Z", **quiet)
    assert (sorted(later[0]), later[1:]) == (["held", "soon"], ({}, "outside_hours"))


@pytest.mark.long
@pytest.mark.parametrize("moment", ["", "12:00", "0001-01-01", "9999-12-31T23:59:59"])
def test_an_impossible_moment_is_wrong_usage(moment: str, ozh: Ozh, users: Users) -> None:
    """Also a moment that is too far away to compute with."""
    users.insert_one(discount_user())
    result = ozh("discount", "--dry-run", "--json", "--at", moment)
    assert (result.code, result.out) == (2, ""), result.err
    assert "--at" in result.err
