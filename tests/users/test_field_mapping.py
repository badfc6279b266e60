"""A wrong field mapping messages nobody: the newest users tell whether it can be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, Int64

from ozh_notify.campaigns import registry
from ozh_notify.config.load import load
from ozh_notify.sandbox.botapi.client import BotApiServer
from ozh_notify.users import field_mapping
from tests.conftest import Ozh
from tests.helpers.odd_users import NOWHERE, put
from tests.helpers.parameters import first_and_long
from tests.helpers.users import Users, ago, bonus_user, discount_user, now

Document = dict[str, Any]
Inspect = Callable[..., field_mapping.Findings]

FLAGS = {
    "discount": ("OZH_FIELD_DISCOUNT_OFFERED", "discount_offered"),
    "daily-bonus": ("OZH_FIELD_DAILY_BONUS_CLAIMED", "daily_bonus_claimed_today"),
}
MAKE = {"discount": discount_user, "daily-bonus": bonus_user}

# campaign, variable, what it names by mistake, what is said of it
WRONG: list[tuple[str, str, str | None, str]] = [
    ("discount", "OZH_FIELD_CHAT_ID", "first_name", "none of 100 users has a usable chat id"),
    ("discount", "OZH_FIELD_GENERATIONS", "first_name", "string (100), but number"),
    ("discount", "OZH_FIELD_BALANCE", "discount_offered", "bool (100), but number"),
    ("discount", "OZH_FIELD_FIRST_GENERATION_AT", "telegram_id", "int (100), but date"),
    ("discount", "OZH_FIELD_DISCOUNT_OFFERED", "balance", "int (100), but flag"),
    ("discount", "OZH_FIELD_DISCOUNT_OFFERED", None, "is in none of 100 users"),
    ("daily-bonus", "OZH_FIELD_CHAT_ID", "registered_at", "has a usable chat id"),
    ("daily-bonus", "OZH_FIELD_REGISTERED_AT", "balance", "int (100), but date"),
    ("daily-bonus", "OZH_FIELD_DAILY_BONUS_CLAIMED", "language_code", "string (100), but flag"),
    ("daily-bonus", "OZH_FIELD_DAILY_BONUS_CLAIMED", None, "is in none of 100 users"),
]


@pytest.mark.parametrize(("campaign", "variable", "field", "words"), first_and_long(WRONG))
def test_a_wrong_mapping_messages_nobody(
    campaign: str,
    variable: str,
    field: str | None,
    words: str,
    ozh: Ozh,
    users: Users,
    bot_api: BotApiServer,
) -> None:
    """Exit 78, with the variable, what was found, and the command that tells more."""
    people = [MAKE[campaign]() for _ in range(100)]
    if field is None:
        people = [put(one, FLAGS[campaign][1], NOWHERE) for one in people]
    users.insert_many(people)
    wrong: dict[str, Any] = {variable: field}
    options = ["--dry-run"] if field == "first_name" else []
    result = ozh(campaign, "--json", *options, **wrong)
    assert result.code == 78, result.err
    error = result.json()["error"]
    assert variable in error
    assert words in error
    assert "ozh-notify check" in error
    assert bot_api.control.messages() == []
    assert users.count_documents({"ozh_notify": {"$exists": True}}) == 0


def test_a_flag_nobody_has_yet_is_fine_once_it_is_named(
    ozh: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """A backend that adds it lazily: to set the variable says yes, that is its name."""
    users.insert_many([put(discount_user(), "discount_offered", NOWHERE) for _ in range(100)])
    result = ozh("discount", "--json", OZH_FIELD_DISCOUNT_OFFERED="discount_offered")
    assert (result.code, result.json()["sent"]) == (0, 100)
    assert "WARNING" not in result.err, "a warning that never ends"
    assert users.count_documents({"discount_offered": True}) == 100


@pytest.mark.long
def test_few_users_are_no_proof(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """In fewer than a hundred the same is a warning, and the pass goes on."""
    no_flag = [put(discount_user(), "discount_offered", NOWHERE) for _ in range(99)]
    users.insert_many(no_flag)
    result = ozh("discount", "--json", OZH_FIELD_DISCOUNT_OFFERED=None)
    assert (result.code, result.json()["sent"]) == (0, 99), result.err
    assert "WARNING OZH_FIELD_DISCOUNT_OFFERED" in result.err


def test_the_newest_two_hundred_decide(ozh: Ozh, users: Users, bot_api: BotApiServer) -> None:
    """What stood in older documents does not matter; what stands in all the newest does."""
    strings = [put(discount_user(), "generations_count", "1") for _ in range(150)]
    users.insert_many([*strings, *(discount_user() for _ in range(200))])
    result = ozh("discount", "--json")
    assert (result.code, result.json()["sent"]) == (0, 200), result.err
    assert "WARNING" not in result.err
    users.insert_many([put(discount_user(), "balance", "0") for _ in range(200)])
    assert ozh("discount", "--dry-run").code == 78


# --- thresholds, looked at without a server ---


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    """What the guard finds in a sample; variables are set as named."""
    file = tmp_path / "empty.env"
    file.touch()

    def find(
        sample: list[Document], campaign: str = "discount", **env: str
    ) -> field_mapping.Findings:
        settings, _ = load(file, {"MONGO_URI": "mongodb://127.0.0.1/bot", **env})
        return field_mapping.check_mapping(sample, registry()[campaign](settings), now())

    return find


def sample(size: int, field: str, value: Any, others: int = 0) -> list[Document]:
    """``size`` users with this value, and further ones without the field."""
    return [
        *(put(discount_user(), field, value) for _ in range(size)),
        *(put(discount_user(), field, NOWHERE) for _ in range(others)),
    ]


def serious(found: field_mapping.Findings) -> tuple[int, int]:
    """How many findings end a pass, and how many are warnings."""
    return len(found.errors), len(found.warnings)


@pytest.mark.parametrize("campaign", MAKE)
def test_what_is_right_is_not_mentioned(campaign: str, inspect: Inspect) -> None:
    """No warning that people learn to overlook."""
    assert serious(inspect([MAKE[campaign]() for _ in range(200)], campaign)) == (0, 0)


def test_a_hundred_users_are_proof_and_ninety_nine_are_not(inspect: Inspect) -> None:
    """For each kind of finding the same."""
    for field, value in (("telegram_id", "@x"), ("balance", "0"), ("discount_offered", NOWHERE)):
        assert serious(inspect(sample(100, field, value))) == (1, 0), field
        assert serious(inspect(sample(99, field, value))) == (0, 1), field


@pytest.mark.parametrize("field", ["generations_count", "first_generation_at", "discount_offered"])
def test_twenty_values_of_a_wrong_type_are_proof_and_nineteen_are_not(
    field: str, inspect: Inspect
) -> None:
    """A few odd documents are no wrong mapping."""
    assert serious(inspect(sample(20, field, "1", others=80))) == (1, 0)
    assert serious(inspect(sample(19, field, "1", others=81))) == (0, 1)


def test_one_right_value_clears_a_field(inspect: Inspect) -> None:
    """The mapping is right then; many values of a wrong type are still a warning."""
    assert serious(inspect([*sample(199, "telegram_id", None), discount_user()])) == (0, 0)
    for field, value in (("balance", "0"), ("discount_offered", "no")):
        assert serious(inspect([*sample(19, field, value), discount_user()])) == (0, 0), field
        assert serious(inspect([*sample(199, field, value), discount_user()])) == (0, 1), field


def test_a_few_dates_in_the_future_are_a_warning(inspect: Inspect) -> None:
    """Local time stored as UTC; a clock that is minutes fast and one test user are not."""
    for count, hours, warnings in ((2, 3, 0), (3, 3, 1), (200, 0.05, 0)):
        late = sample(count, "first_generation_at", ago(hours=-hours))
        assert serious(inspect([*late, *(discount_user() for _ in range(50))])) == (0, warnings)


def test_a_flag_that_was_named_may_be_in_nobody(inspect: Inspect) -> None:
    """The operator said that this is its name."""
    named = {"OZH_FIELD_DISCOUNT_OFFERED": "discount_offered"}
    assert serious(inspect(sample(200, "discount_offered", NOWHERE), **named)) == (0, 0)
    assert serious(inspect(sample(200, "discount_offered", NOWHERE))) == (1, 0)


def test_null_is_no_value_but_for_a_flag_it_is_a_good_one(inspect: Inspect) -> None:
    """A date or number that is null everywhere is a warning, a flag that is null is none."""
    assert serious(inspect(sample(200, "balance", None))) == (0, 1)
    assert serious(inspect([*sample(181, "balance", None), *sample(19, "balance", "0")])) == (0, 1)
    assert serious(inspect([*sample(180, "balance", None), *sample(20, "balance", "0")])) == (1, 0)
    assert serious(inspect(sample(200, "discount_offered", None))) == (0, 0)


@pytest.mark.parametrize("value", [Int64(1), 1.0, Decimal128("1")])
def test_every_type_of_number_is_a_number(value: Any, inspect: Inspect) -> None:
    """As MongoDB's own comparison has it."""
    assert serious(inspect(sample(200, "generations_count", value))) == (0, 0)


@pytest.mark.parametrize("value", [True, "1", [1], {"n": 1}, ago(days=1)])
def test_what_is_no_number_is_none(value: Any, inspect: Inspect) -> None:
    """A flag, a text, a list, an object and a date are not."""
    [problem] = inspect(sample(200, "generations_count", value)).errors
    assert problem.variable == "OZH_FIELD_GENERATIONS"
    assert "number is expected" in problem.text


def test_a_criterions_field_nobody_has_is_a_warning(inspect: Inspect) -> None:
    """Nobody can qualify by it, so nothing can go wrong."""
    for variable in ("OZH_FIELD_GENERATIONS", "OZH_FIELD_BALANCE", "OZH_FIELD_FIRST_GENERATION_AT"):
        found = inspect(sample(200, "x", 1), **{variable: "no_such"})
        assert serious(found) == (0, 1), variable
        assert f"{variable}: the field 'no_such' is in none of 200 users" in str(found.warnings[0])
        assert f"name the right field in {variable}, or nobody is eligible" in str(
            found.warnings[0]
        )


def test_all_that_is_wrong_is_told_at_once(inspect: Inspect) -> None:
    """The operator mends it in one go."""
    fields = ("CHAT_ID", "GENERATIONS", "BALANCE", "FIRST_GENERATION_AT", "DISCOUNT_OFFERED")
    wrong = {f"OZH_FIELD_{field}": "first_name" for field in fields}
    found = inspect([discount_user() for _ in range(100)], **wrong)
    assert serious(found) == (len(fields), 0)
    assert [problem.variable for problem in found.errors] == [*wrong]


def test_a_field_inside_an_array_is_of_a_wrong_type(inspect: Inspect) -> None:
    """MongoDB would match values inside it, but a criterion never does."""
    people = sample(200, "wallets", [{"left": 0}])
    found = inspect(people, OZH_FIELD_BALANCE="wallets.left")
    assert "holds array (200), but number is expected" in found.errors[0].text


def test_an_empty_collection_is_a_warning(inspect: Inspect) -> None:
    """A new bot has no users yet; a wrong name of the collection has none either."""
    found = inspect([])
    assert found.errors == []
    assert "MONGO_DB_NAME and OZH_USERS_COLLECTION" in str(found.warnings[0])
