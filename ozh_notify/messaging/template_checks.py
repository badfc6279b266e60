"""A rendered template, checked as Telegram would; what is wrong is told with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jinja2

from ozh_notify.errors import ConfigError
from ozh_notify.messaging import html as telegram_html


def check_rendered(
    path: str,
    source: str,
    template: jinja2.Template,
    variables: Mapping[str, Any],
    limit: int = telegram_html.TEXT_LIMIT,
) -> None:
    """Render a template once; Telegram would take the result, of at most ``limit`` characters.

    Raises:
        ConfigError: it would not, or an expression fails; with file and line.
    """
    try:
        html = template.render(variables)
        parsed = telegram_html.parse(html.strip())
    except telegram_html.HtmlError as error:
        line = _nearest_line(source, html, error)
        raise ConfigError(f"{path}:{line}: Telegram would refuse it: {error}") from None
    except jinja2.UndefinedError as error:
        hint = "not every user has it: write {% if … %} around it"
        raise ConfigError(f"{path}:{_failing_line(error, path)}: {error}; {hint}") from None
    except Exception as error:
        raise ConfigError(f"{path}:{_failing_line(error, path)}: {error}") from None
    if parsed.length > limit:
        what = " below a picture" if limit == telegram_html.CAPTION_LIMIT else ""
        raise ConfigError(f"{path}:1: {parsed.length} characters; Telegram takes {limit}{what}")
    if not parsed.text.strip():
        raise ConfigError(f"{path}:1: the message would be empty")


def renders(template: jinja2.Template, variables: Mapping[str, Any]) -> bool:
    """Whether no expression of a template fails for these variables."""
    try:
        template.render(variables)
    except Exception:
        return False
    return True


def _nearest_line(source: str, html: str, error: telegram_html.HtmlError) -> int:
    """The template's line nearest to the place of the tag in the rendered text."""
    named = re.search(r'start tag "([^"]+)"', str(error))
    before = html.encode()[: error.offset].decode(errors="ignore") if error.offset else html
    rendered = before.count("\n") + 1
    rest = html[len(before) :]
    tag = (re.match(r"</?[^\s>]*", rest) or [""])[0] or (f"<{named[1]}" if named else "")
    lines = [n for n, text in enumerate(source.splitlines(), 1) if tag and tag in text]
    last = source.count("\n") + 1
    return min(lines, key=lambda n: abs(n - rendered), default=min(rendered, last))


def _failing_line(error: Exception, path: str) -> int:
    """The template's line in a traceback; jinja2 rewrites tracebacks to the template's lines."""
    line, step = 1, error.__traceback__
    while step:
        if step.tb_frame.f_code.co_filename == path:
            line = step.tb_lineno
        step = step.tb_next
    return line
