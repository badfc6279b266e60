"""The filter of a claim, on the real server."""

from __future__ import annotations

from ozh_notify.campaigns import registry
from ozh_notify.campaigns.discount import Discount
from ozh_notify.config.load import load
from ozh_notify.mongo.pass_store import MongoPassStore
from ozh_notify.users.audience import Query, claim_filter, claimable
from tests.helpers.users import Users, ago, discount_user, now

NO_DATES = ("soon", 5, 1.5, True, {"a": 1}, [ago(days=1)])
GOOD = (None, ago(days=1))


async def test_a_user_whose_hold_became_odd_since_the_scan_is_left_unchanged(
    environment: dict[str, str], users: Users
) -> None:
    """The claim leaves them out: a hold is a date, null or missing."""
    held = [discount_user(ozh_notify={"discount": {"hold_until": at}}) for at in NO_DATES]
    free = [discount_user(ozh_notify={"discount": {"hold_until": at}}) for at in GOOD]
    free += [discount_user(), discount_user(ozh_notify=None)]
    users.insert_many([*held, *free])
    campaign = Discount(load(None, environment)[0])
    store, query = MongoPassStore(campaign.settings, campaign), Query(campaign, now())
    batch = [user["_id"] for user in (*held, *free)]
    before = list(users.find({"_id": {"$in": [user["_id"] for user in held]}}))
    wanted = {user["_id"] for user in users.find(claimable(query))}
    taken = (await store.claim(batch, query, "claim-1", "run")).recipients
    await store.close()
    assert {who.id for who in taken} == {user["_id"] for user in free} == wanted
    assert list(users.find({"_id": {"$in": [user["_id"] for user in held]}})) == before


def test_the_filter_of_a_claim_names_fields_only(environment: dict[str, str]) -> None:
    """Beside an operator, some servers read the whole collection for each batch of a claim."""
    environment["OZH_MIN_GAP_HOURS"] = "4"
    settings = load(None, environment)[0]
    for campaign in registry().values():
        conditions = claim_filter(Query(campaign(settings), now()))
        assert [name for name in conditions if name.startswith("$")] == []
