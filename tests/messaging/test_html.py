"""Telegram's HTML: what is shown, and what is refused in which words."""

from __future__ import annotations

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ozh_notify.messaging.html import HtmlError, parse
from ozh_notify.messaging.html_tags import TAGS

MARKUP = st.lists(
    st.sampled_from(
        ["<", ">", "</", "=", '"', "'", "&", "#", "x", ";", " ", "\0", "\n", "/", "é", "😀"]
    )
    | st.sampled_from(sorted(TAGS))
    | st.sampled_from(["lt", "&#55296;", "href", "class", "tg-spoiler", "emoji-id", "9" * 30])
).map("".join)


@given(MARKUP | st.text(st.characters()))
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_is_refused_for_its_markup(text: str) -> None:
    """Nothing but `HtmlError` ever comes out of the parser."""
    refused: HtmlError | None = None
    try:
        parse(text)
    except HtmlError as error:
        refused = error
    if refused and refused.offset is not None:
        assert text.encode()[refused.offset :]
        assert f"byte offset {refused.offset}" in str(refused)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_an_escaped_text_comes_back_as_it_was(text: str) -> None:
    """What `html.escape` made safe, Telegram shows unchanged."""
    parsed = parse(html.escape(text))
    assert parsed.text == text
    assert parsed.length == len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("tag", sorted(TAGS - {"span", "tg-emoji"}))
def test_every_tag_of_telegram_is_known_and_not_shown(tag: str) -> None:
    """Markup takes no room in the text, and tags are not case sensitive."""
    assert parse(f"1<{tag}>2</{tag.upper()}>3").text == "123"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("&lt;&gt;&amp;&quot;", '<>&"'),
        ("&lt &#65 &#x42;", "< A B"),
        ("&nbsp;&apos;&LT;", "&nbsp;&apos;&LT;"),
        ("&#0;&#X41;&#1114111;&#00000065;", "&#0;&#X41;&#1114111;&#00000065;"),
        ("&#x1F600;", "😀"),
        ("R & D &", "R & D &"),
        ('<span class="tg-spoiler">s</span>', "s"),
        ("<tg-emoji emoji-id='5368324170671202286'>👍</tg-emoji>", "👍"),
        ("<blockquote expandable>q</blockquote>", "q"),
        ('<pre><code class="language-python">x</code></pre>', "x"),
        ("<b>any</>", "any"),
        ("<b>x</b >", "x"),
        ('<tg-time unix="1" format="wDT">x</tg-time>', "x"),
    ],
)
def test_markup_shows_what_telegram_shows(source: str, shown: str) -> None:
    """Only Telegram's own entities and tags mean anything; the rest is literal."""
    assert parse(source).text == shown


def test_length_is_counted_in_utf_16() -> None:
    """The unit of Telegram's entities: a letter outside the basic plane counts twice."""
    assert parse("<b>й😀</b>").length == 3


def test_links_are_listed_with_the_target_telegram_would_take() -> None:
    """An address without href is its own text; a link without text is none."""
    source = '<a href="https://a.example/?x=1&amp;y=2">a</a> <a>b.example</a> <a href="c"></a>'
    assert parse(source).links == ("https://a.example/?x=1&y=2", "b.example")


@pytest.mark.parametrize(
    ("source", "message", "offset"),
    [
        ("я <x>", 'Unsupported start tag "x" at byte offset 3', 3),
        ("1 < 2", 'Unsupported start tag "" at byte offset 2', 2),
        ("<br/>", 'Unsupported start tag "br/" at byte offset 0', 0),
        ("a<b", "Unclosed start tag at byte offset 1", 1),
        ("<b c", 'Unclosed start tag "b" at byte offset 0', 0),
        ("<b c=", 'Unclosed start tag "b" at byte offset 0', 0),
        ("<a href='x", "Unclosed start tag at byte offset 0", 0),
        ("<a href=x", "Unclosed start tag at byte offset 0", 0),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"', None),
        ("x</b>", "Unexpected end tag at byte offset 1", 1),
        ("<b></b", "Unclosed end tag at byte offset 3", 3),
        (
            "<b></i>",
            'Unmatched end tag at byte offset 3, expected "</b>", found "</i>"',
            3,
        ),
        ("<b =x>", 'Empty attribute name in the tag "b" at byte offset 0', 0),
        ("<a href=a/b>", "Unexpected end of name token at byte offset 8", 8),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0', 0),
        ("<tg-emoji emoji-id=x>x</tg-emoji>", "Invalid custom emoji identifier specified", None),
        ("<tg-time format=x>x</tg-time>", "Invalid date format used", None),
        (
            "&#xD83D;",
            "Text contains invalid Unicode characters after decoding HTML entities,"
            " check for unmatched surrogate code units",
            None,
        ),
        ("\ud800", "Text must be encoded in UTF-8", None),
    ],
)
def test_refusals_are_worded_and_placed_as_telegram_does(
    source: str, message: str, offset: int | None
) -> None:
    """An operator finds the same sentence here and in Telegram's answer."""
    with pytest.raises(HtmlError) as caught:
        parse(source)
    assert str(caught.value) == message
    assert caught.value.offset == offset
