"""The filter of a claim, on the real server."""

from __future__ import annotations

from ozh_notify.campaigns.discount import Discount
from ozh_notify.config.load import load
from ozh_notify.mongo.pass_store import MongoPassStore
from ozh_notify.users.audience import Query, claimable
from tests.helpers.users import Users, ago, discount_user, now

NO_DATES = ("soon", 5, 1.5, True, {"a": 1}, [ago(days=1)])
GOOD = (None, ago(days=1))


async def test_a_user_whose_hold_became_odd_since_the_scan_is_left_unchanged(
    environment: dict[str, str], users: Users
) -> None:
    """The claim's filter leaves them out: a hold is a date, null or missing."""
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
