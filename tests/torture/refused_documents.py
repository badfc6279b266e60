"""A collection validator that refuses every update of some documents."""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure

from tests.helpers.users import ago, discount_user
from tests.torture.checker import judge
from tests.torture.environment import Environment
from tests.torture.final_passes import settle
from tests.torture.report import Report, Skipped


def some_refused(place: Environment, report: Report, rounds: int, users: int) -> None:
    """Before a pass or in the middle of one, the server begins to refuse some documents.

    Everybody else gets the message; once the validator is gone, the others get it too.
    """
    for number in range(rounds):
        # The newest are scanned first: a first batch of refused documents alone would be 78.
        people = [discount_user(first_generation_at=ago(hours=30 + n)) for n in range(users)]
        refused = {person["telegram_id"] for person in place.rng.sample(people[30:], users // 10)}
        for person in people:
            person["old"] = person["telegram_id"] in refused
        place.fresh(people)
        if number % 2:
            running = place.start("discount")
            place.await_moment(running, users)
            _refuse(place, {"old": {"$ne": True}})
        else:
            _refuse(place, {"old": {"$ne": True}})
            running = place.start("discount")
        ended = running.wait()
        report.expect(ended.code == 0, f"exit {ended.code}: {ended.err}")
        got = {message["chat_id"] for message in place.messages()}
        everybody = {person["telegram_id"] for person in people}
        report.expect(everybody - got <= refused, f"not messaged: {everybody - got - refused}")
        documents = list(place.users.find())
        judge(report, documents, place.messages(), "discount", everybody, ended=False)
        _refuse(place, {})
        states = settle(place, report, everybody)
        report.expect(states["sent"] == users, f"not all were sent: {states}")
        report.rounds += 1
        report.tried += users


def _refuse(place: Environment, validator: dict[str, Any]) -> None:
    """Let the server refuse every update of a document that breaks the validator."""
    collection = place.users
    try:
        collection.database.command(
            "collMod", collection.name, validator=validator, validationLevel="strict"
        )
    except OperationFailure as error:
        raise Skipped(f"{place.kind} has no validators: {error.details}") from None
