"""Messages that a pass is measured with: the built-in text, one with fields, one with a photo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PLAIN, FIELDS, PHOTO = "the built-in text", "three fields of the user", "a photo by file_id"
FILE_ID = "AgACAgIAAxkBMadeUpPictureOfTheBench"

TEXT = """\
🎨 <b>{% if first_name %}{{ first_name }}, ваша{% else %}Ваша{% endif %} картинка ожила!</b>

«{{ user.last_picture.title }}» — оживим ещё? Осталось {{ user.credits|number }}, \
до {{ user.expires_at|date }}.
"""
"""Each field is of another type: a text inside an object, a number, a date."""


@contextmanager
def folders() -> Iterator[dict[str, Path | None]]:
    """The folder of templates of each message; None for the built-in text."""
    with TemporaryDirectory(prefix="ozh-notify-bench-") as name:
        fields, photo = Path(name, "fields"), Path(name, "photo")
        fields.mkdir()
        photo.mkdir()
        (fields / "discount.html").write_text(TEXT, encoding="utf-8")
        (photo / "discount.toml").write_text(f'photo = "{FILE_ID}"\n', encoding="utf-8")
        yield {PLAIN: None, FIELDS: fields, PHOTO: photo}
