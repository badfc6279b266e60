"""Passes that are measured beside the plain one: other messages, and without the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PLAIN, FIELDS, PHOTO = "the built-in text", "three fields of the user", "a photo by file_id"
NO_JOURNAL = "the journal off"
FILE_ID = "AgACAgIAAxkBMadeUpPictureOfTheBench"

TEXT = """\
🎨 <b>{% if first_name %}{{ first_name }}, ваша{% else %}Ваша{% endif %} картинка ожила!</b>

«{{ user.last_picture.title }}» — оживим ещё? Осталось {{ user.credits|number }}, \
до {{ user.expires_at|date }}.
"""
"""Each field is of another type: a text inside an object, a number, a date."""


@contextmanager
def variants() -> Iterator[dict[str, dict[str, str]]]:
    """The variables of each pass that is measured; none for the plain one."""
    with TemporaryDirectory(prefix="ozh-notify-bench-") as name:
        fields, photo = Path(name, "fields"), Path(name, "photo")
        fields.mkdir()
        photo.mkdir()
        (fields / "discount.html").write_text(TEXT, encoding="utf-8")
        (photo / "discount.toml").write_text(f'photo = "{FILE_ID}"\n', encoding="utf-8")
        yield {
            PLAIN: {},
            FIELDS: {"OZH_TEMPLATES_DIR": str(fields)},
            PHOTO: {"OZH_TEMPLATES_DIR": str(photo)},
            NO_JOURNAL: {"OZH_JOURNAL_COLLECTION": "off"},
        }
