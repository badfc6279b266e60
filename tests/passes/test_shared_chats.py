"""Two documents of one chat, as a race at `/start` leaves them."""

from __future__ import annotations

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.passes import chats
from tests.helpers.users import Users, discount_user


@pytest.mark.long
@pytest.mark.parametrize(
    ("journal", "messages", "words"),
    [
        (None, 3, "Such a chat gets one message"),
        ("off", 5, "Such a chat gets a message for each of its documents"),
    ],
)
def test_a_chat_in_several_documents_is_named(
    journal: str | None,
    messages: int,
    words: str,
    ozh: Ozh,
    users: Users,
    bot_api: BotApiServer,
) -> None:
    """The dry run and the pass name the chats and the documents, so that somebody can mend them."""
    users.insert_many(discount_user(_id=n, telegram_id=500 + n % 3) for n in range(5))
    command = ("discount", "--json")
    for result in (
        ozh(*command, "--dry-run", OZH_JOURNAL_COLLECTION=journal),
        ozh(*command, OZH_JOURNAL_COLLECTION=journal),
    ):
        assert result.code == 0, result.err
        assert "WARNING 2 chat ids are in more than one document: chat 50" in result.err
        assert words in result.err
    assert len(chats(bot_api)) == messages


def test_chats_with_one_document_each_are_no_warning(ozh: Ozh, users: Users) -> None:
    """Nothing is said where nothing is wrong."""
    users.insert_many(discount_user() for _ in range(3))
    assert "more than one document" not in ozh("discount", "--json").err
