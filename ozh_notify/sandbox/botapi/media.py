"""Photos, animations and videos: which files Telegram takes, and what it answers.

After ``Client.cpp`` of tdlib/telegram-bot-api and ``FileManager.cpp`` of tdlib/td. Nothing is
downloaded: an address whose host ends with ``.invalid`` cannot be reached, and one whose path
ends with ``.html`` is a page.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from .replies import bad_request

KINDS = {"sendPhoto": "photo", "sendAnimation": "animation", "sendVideo": "video"}
"""Each method's parameter that holds the file."""

_FILE_ID = re.compile("[A-Za-z0-9_-]{20,}")
_FILE = {"file_id": "AgAD", "file_unique_id": "AQAD", "file_size": 1}
_FRAME = {**_FILE, "width": 90, "height": 90}


def check_file(value: str) -> None:
    """A ``file_id``, an address, or the name of an uploaded file; raises Telegram's refusal."""
    if "://" not in value:
        if "." not in value and not _FILE_ID.fullmatch(value):
            raise bad_request("wrong file identifier/HTTP URL specified")
        return
    address = urlsplit(value)
    if address.scheme not in ("http", "https"):
        raise bad_request("wrong file identifier/HTTP URL specified")
    if (address.hostname or "").endswith(".invalid"):
        raise bad_request("failed to get HTTP URL content")
    if address.path.endswith(".html"):
        raise bad_request("wrong type of the web page content")


def answer_of(method: str) -> dict[str, Any]:
    """The part of a delivered message that holds the medium."""
    if method == "sendPhoto":
        return {"photo": [_FRAME]}
    medium = {**_FRAME, "duration": 1}
    if method == "sendVideo":
        return {"video": medium}
    return {"animation": medium, "document": _FILE}
