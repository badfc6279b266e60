"""Users who cannot be messaged: one warning, whatever their number."""

from __future__ import annotations

import re

from tests.conftest import Ozh
from tests.helpers.users import Users, ago, discount_user


def test_one_warning_names_the_first_invalid_users_and_what_to_do(ozh: Ozh, users: Users) -> None:
    """A number, five `_id`s with the reason and a filter; each user by name only with `-v`."""
    users.insert_many(
        discount_user(_id=n, telegram_id="@anna", first_generation_at=ago(hours=30 + n))
        for n in range(7)
    )
    users.insert_one(discount_user())
    result = ozh("discount", "--json")
    assert (result.code, result.json()["invalid"], result.json()["eligible"]) == (0, 7, 1)
    [warning] = [line for line in result.err.splitlines() if " WARNING " in line]
    assert "7 users are left alone" in warning
    assert re.findall(r"_id (\d)", warning) == ["0", "1", "2", "3", "4"]
    assert "no usable chat id in telegram_id" in warning
    assert "and 2 more" in warning
    assert """OZH_EXTRA_FILTER='{"telegram_id": {"$type": "number"}}'""" in warning
    assert len(result.err.splitlines()) == 3
    named = set(re.findall(r"user (\d) is left alone", ozh("-v", "discount", "--json").err))
    assert named == set("0123456")
