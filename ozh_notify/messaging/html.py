"""Reads Telegram's HTML: its plain text, its length, and why Telegram would refuse it.

Behaves as ``parse_html`` of TDLib (tdlib/td, ``td/telegram/MessageEntity.cpp``), which is
what the Bot API server runs on a text with ``parse_mode=HTML``. No I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from ozh_notify.messaging.html_tags import (
    TAGS,
    argument_after,
    is_emoji_id,
    is_time_format,
    lower,
    unescape,
)

TEXT_LIMIT = 4096
"""Characters of a message. Bot API, sendMessage: "1-4096 characters after entities parsing"."""

CAPTION_LIMIT = 1024
"""Characters of a caption. Bot API, sendPhoto: "0-1024 characters after entities parsing"."""

_SURROGATE = re.compile("[\ud800-\udfff]")

# TDLib's is_space() has NUL among the blanks, and a C string ends with one: a NUL appended
# to the text stands for its end, and no pattern below runs past it.
_END = "\0"
_BLANKS = re.compile(r"[ \t\r\n\v]*")
_TAG_NAME = re.compile(r"[^ \t\r\n\v\0>]*")
_ATTRIBUTE_NAME = re.compile(r"""[^ \t\r\n\v\0=>/"']*""")
_NAME_TOKEN = re.compile(r"[A-Za-z0-9.\-]*")
_QUOTED = {'"': re.compile(r'[^"\0]*'), "'": re.compile(r"[^'\0]*")}
_BLANK_OR_CLOSE = frozenset(" \t\r\n\v\0>")


class HtmlError(ValueError):
    """Telegram would refuse this text; says why in Telegram's own words.

    Telegram's description of the error is ``Bad Request: can't parse entities: `` + ``str(self)``.
    ``offset`` counts bytes of the UTF-8 text, and is None where Telegram names no place.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True)
class Parsed:
    """An HTML text as the user sees it.

    ``text`` is the plain text, as written (Telegram trims blanks at its ends later);
    ``length`` its UTF-16 code units, the unit of message entities. Telegram's limits count
    code points (TDLib, ``MessageContent.cpp``), never more than these: a text whose
    ``length`` is within a limit passes. ``links`` are the targets of its ``<a>`` tags.
    """

    text: str
    length: int
    links: tuple[str, ...] = ()


@dataclass
class _Tag:
    name: str
    argument: str
    begin: int  # where its text begins among the pieces read so far


def parse(html: str) -> Parsed:
    """Reads ``html`` the way Telegram does; raises `HtmlError` where Telegram would refuse it."""
    try:
        html.encode()
    except UnicodeEncodeError:
        raise HtmlError("Text must be encoded in UTF-8") from None
    return _HtmlReader(html).read()


class _HtmlReader:
    """One pass over a text; ``pos`` is the character to be read next."""

    def __init__(self, html: str) -> None:
        self.html = html + _END
        self.size = len(html)
        self.pos = 0
        self.pieces: list[str] = []
        self.open: list[_Tag] = []
        self.links: list[str] = []

    def read(self) -> Parsed:
        while self.pos < self.size:
            if self.html[self.pos] != "<":
                end = self.html.find("<", self.pos, self.size)
                end = self.size if end < 0 else end
                self.pieces.append(unescape(self.html[self.pos : end]))
                self.pos = end
            elif self.html[self.pos + 1] == "/":
                self._end_tag()
            else:
                self._start_tag()
        if self.open:
            name = self.open[-1].name
            raise HtmlError(f'Can\'t find end tag corresponding to start tag "{name}"')
        return self._parsed()

    def _parsed(self) -> Parsed:
        text = "".join(self.pieces)
        if _SURROGATE.search(text):
            raise HtmlError(
                "Text contains invalid Unicode characters after decoding HTML entities,"
                " check for unmatched surrogate code units"
            )
        return Parsed(text, len(text.encode("utf-16-le")) // 2, tuple(self.links))

    def _start_tag(self) -> None:
        begin = self.pos
        self.pos += 1
        name = lower(self._take(_TAG_NAME))
        if self._at(_END):
            self._fail("Unclosed start tag", begin)
        if name not in TAGS:
            self._fail(f'Unsupported start tag "{name}"', begin)
        argument = ""
        while not self._at(">"):
            argument = self._attribute(name, argument, begin)
        self.pos += 1
        if name == "span" and argument != "spoiler":
            self._fail('Tag "span" must have class "tg-spoiler"', begin)
        self.open.append(_Tag(name, argument, len(self.pieces)))

    def _attribute(self, tag: str, argument: str, begin: int) -> str:
        """Reads one attribute; the tag's argument, changed if this is the one that counts."""
        self._take(_BLANKS)
        if self._at(">"):
            return argument
        name = self._take(_ATTRIBUTE_NAME)
        if not name:
            self._fail(f'Empty attribute name in the tag "{tag}"', begin)
        self._take(_BLANKS)
        value: str | None = None
        if self._at("="):
            self.pos += 1
            self._take(_BLANKS)
            if not self._at(_END):
                value = self._attribute_value()
                if self._at(_END):
                    self._fail("Unclosed start tag", begin)
        if self._at(_END):
            self._fail(f'Unclosed start tag "{tag}"', begin)
        return argument_after(tag, name, value, argument)

    def _attribute_value(self) -> str:
        quote = self.html[self.pos]
        if quote in _QUOTED:
            self.pos += 1
            value = unescape(self._take(_QUOTED[quote]))
            self.pos += self._at(quote)
            return value
        begin = self.pos
        value = lower(self._take(_NAME_TOKEN))
        if self.html[self.pos] not in _BLANK_OR_CLOSE:
            self._fail("Unexpected end of name token", begin)
        return value

    def _end_tag(self) -> None:
        begin = self.pos
        self.pos += 2
        if not self.open:
            self._fail("Unexpected end tag", begin)
        found = lower(self._take(_TAG_NAME))
        self._take(_BLANKS)
        if not self._at(">"):
            self._fail("Unclosed end tag", begin)
        self.pos += 1
        tag = self.open.pop()
        if found not in ("", tag.name):
            expected = f', expected "</{tag.name}>", found "</{found}>"'
            self._fail("Unmatched end tag", begin, expected)
        if text := "".join(self.pieces[tag.begin :]):
            self._close(tag, text)

    def _close(self, tag: _Tag, text: str) -> None:
        """Checks that Telegram makes only when there is text inside the tag."""
        if tag.name == "a":
            self.links.append(tag.argument or text)
        elif tag.name == "tg-emoji" and not is_emoji_id(tag.argument):
            raise HtmlError("Invalid custom emoji identifier specified")
        elif tag.name == "tg-time" and not is_time_format(tag.argument):
            raise HtmlError("Invalid date format used")

    def _at(self, character: str) -> bool:
        return self.html[self.pos] == character

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.html, self.pos)
        assert match  # noqa: S101  # every pattern also matches the empty text
        self.pos = match.end()
        return match[0]

    def _fail(self, message: str, pos: int, tail: str = "") -> NoReturn:
        offset = len(self.html[:pos].encode())
        raise HtmlError(f"{message} at byte offset {offset}{tail}", offset)
