"""Who is messaged and who is not: users of every kind at once, and one pass over them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from bson import Decimal128, Int64

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Finished, Ozh
from tests.helpers.odd_users import (
    FAR,
    IN_AGES,
    LONG_AGO,
    NOWHERE,
    ODD,
    Someone,
    check_reached,
    every_type,
    insert,
    put,
)
from tests.helpers.users import (
    Users,
    ago,
    bonus_user,
    discount_user,
    user,
)

NEVER = {"missing", "null", "false"}
"""What a flag may be where its user is due."""
GOOD: dict[str, dict[str, set[str]]] = {
    "discount": {
        "generations_count": {"int 1", "long 1", "double 1", "decimal 1", "decimal 1.0"},
        "balance": {"int 0", "long 0", "double 0", "double -0", "decimal 0", "decimal 0.00"},
        "first_generation_at": {"date: 25 hours ago", "odd date: 1 BC"},
        "discount_offered": NEVER,
    },
    "daily-bonus": {
        "registered_at": {"date: 25 hours ago", "date: an hour ago"},
        "daily_bonus_claimed_today": NEVER,
    },
}
"""For each criterion's field the values that qualify; no others do."""

DUE = {"discount": discount_user, "daily-bonus": bonus_user}
SLOT = {"discount": "ozh_notify.discount", "daily-bonus": "ozh_notify.daily_bonus"}
OTHER = {"discount": "daily_bonus", "daily-bonus": "discount"}
EMPTY = {"missing", "null", "object {}", "object"}
"""What can hold a delivery's state."""
CAMPAIGNS = tuple(DUE)


def by_criteria(campaign: str) -> Iterator[Someone]:
    """Each criterion's field with values of every BSON type, all else being right."""
    for field, good in GOOD[campaign].items():
        values = every_type()
        assert good <= values.keys()
        for kind, value in values.items():
            document = put(DUE[campaign](), field, value)
            yield Someone(f"{field}: {kind}", document, due=kind in good)


def by_chat_id(campaign: str) -> Iterator[Someone]:
    """Chat ids of every form: positive whole numbers alone can be written to."""
    usable: dict[str, tuple[Any, int]] = {
        "int": (501, 501),
        "long": (Int64(7_000_000_502), 7_000_000_502),
        "double without fraction": (503.0, 503),
        "digits": ("504", 504),
        "many digits": ("7000000505", 7_000_000_505),
        "the longest": (Int64(2**52 - 1), 2**52 - 1),
        "one": (1, 1),
    }
    for kind, (value, chat) in usable.items():
        document = put(DUE[campaign](), "telegram_id", value)
        yield Someone(f"chat id: {kind}", document, due=True, usable=chat)
    others = {kind: v for kind, v in every_type().items() if not kind.endswith(" 1")}
    unusable = {
        **{k: v for k, v in others.items() if k not in ("int 2", "long 2**40", "string '1'")},
        **{"negative": -601, "a group": Int64(-1_001_234_567_890), "negative double": -602.0},
        **{"fraction": 603.5, "too long": Int64(2**52), "much too long": Int64(2**63 - 1)},
        **{"double too long": 1e300, "-infinity": float("-inf"), "decimal 604": Decimal128("604")},
        **{text: text for text in ("-605", "+606", "607.0", " 608", "609 ", "6e2", "@anna")},
        **{"not ASCII": "٦١٠", "digits too long": str(2**52), "endless digits": "6" * 40},
        **{"line break": "611\n", "array of digits": ["612"], "array": [613]},
    }
    for kind, value in unusable.items():
        document = put(DUE[campaign](), "telegram_id", value)
        yield Someone(f"chat id: {kind}", document, invalid=True, usable=0)


def by_state_field(campaign: str) -> Iterator[Someone]:
    """Whatever stands where the delivery's state belongs: an object, null or nothing will do."""
    for where in ("ozh_notify", SLOT[campaign]):
        for kind, value in every_type().items():
            good = kind in EMPTY
            document = put(DUE[campaign](), where, value)
            yield Someone(f"{where}: {kind}", document, due=good, invalid=not good)
    for kind, value in every_type().items():
        document = put(DUE[campaign](), "ozh_notify.muted", value)
        yield Someone(f"muted: {kind}", document, due=kind != "true")
    for kind, value in every_type().items():
        document = put(DUE[campaign](), f"ozh_notify.{OTHER[campaign]}", value)
        yield Someone(f"the other campaign's state: {kind}", document, due=True)
    other = put(DUE[campaign](), f"ozh_notify.{OTHER[campaign]}", {"hold_until": FAR})
    yield Someone("held by the other campaign", other, due=True)


def by_hold(campaign: str) -> Iterator[Someone]:
    """Held or not: by date alone; only `sending` is different, which no pass ever claims."""
    holds = {
        **{"over": ago(seconds=5), f"over, {ODD}": LONG_AGO, "none": NOWHERE, "null": None},
        **{"lasting": ago(minutes=-5), "for good": FAR, f"lasting, {ODD}": IN_AGES},
    }
    lasting = {"lasting", "for good", f"lasting, {ODD}"}
    states = ("sent", "retry", "unreachable", "rejected", "unknown", "sending", "strange", NOWHERE)
    for state in states:
        for kind, until in holds.items():
            # Without a claim no sweep moves a `sending`, so that its hold alone could free it.
            delivery = put(put({"at": ago(days=3)}, "state", state), "hold_until", until)
            document = put(DUE[campaign](), SLOT[campaign], delivery)
            name = "no state" if state is NOWHERE else f"state {state}"
            due = kind not in lasting and state != "sending"
            yield Someone(f"{name}, hold {kind}", document, due=due)
    for kind, value in every_type().items():
        if kind.startswith(("date", ODD, "missing", "null")):
            continue
        delivery = {"state": "sent", "at": ago(days=3), "hold_until": value}
        document = put(DUE[campaign](), SLOT[campaign], delivery)
        yield Someone(f"hold_until: {kind}", document, invalid=True)
        sending = put(DUE[campaign](), SLOT[campaign], {**delivery, "state": "sending"})
        yield Someone(f"sending, hold_until: {kind}", sending)


def everybody(campaign: str) -> list[Someone]:
    """All kinds of users, and enough ordinary ones for the mapping to look right."""
    rules = (by_criteria, by_chat_id, by_state_field, by_hold)
    ordinary = (Someone("ordinary", user()) for _ in range(200))
    return [*(one for rule in rules for one in rule(campaign)), *ordinary]


def one_pass(ozh: Ozh, campaign: str, *options: str, **extra: Any) -> Finished:
    """A pass that runs to its end."""
    result = ozh("-v", campaign, "--json", *options, **extra)
    assert result.code == 0, result.err
    return result


def check_invalid(people: Sequence[Someone], result: Finished) -> None:
    """Exactly the unusable ones are logged with their ``_id``, and counted."""
    logged = set(re.findall(r"user (\S+) is left alone", result.err))
    wrong = [p.kind for p in people if p.invalid != (repr(p.document["_id"]) in logged)]
    assert wrong == []
    assert result.json()["invalid"] == sum(p.invalid for p in people)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_a_pass_reaches_exactly_those_it_is_for(
    campaign: str, ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """Whatever stands in a document decides about that user alone, and about nobody else."""
    people = insert(users, everybody(campaign))
    result = one_pass(ozh, campaign)
    check_reached(people, bot_api.control.messages())
    check_invalid(people, result)
    counts = result.json()
    assert counts["sent"] == counts["claimed"] == sum(p.due for p in people)
    assert counts["eligible"] == counts["sent"]
    assert (counts["skipped"], counts["remaining"]) == (0, 0)
