"""Recipient -> text and button; templates are checked before anybody is claimed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jinja2
from jinja2 import meta, nodes

from ozh_notify.campaigns import Button, Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.messaging import html as telegram_html
from ozh_notify.users.recipient import MAX_NAME, parse_language

ENCODING = "utf-8-sig"
"""UTF-8; a byte order mark, as some editors write it, is no part of the message."""

SAMPLE_NAMES = ("Анна", "", "<" * MAX_NAME)
"""A name, none, and the longest one that needs escaping."""

NAMES_KEPT = 1000
"""Messages kept, by first name and language."""


class Unrenderable(ConfigError):
    """A template fails for one user, which no sample has shown."""


@dataclass(frozen=True)
class Message:
    """Telegram HTML and an inline button."""

    html: str
    button: Button | None


class Composer:
    """A campaign's templates, compiled once."""

    def __init__(self, campaign: Campaign) -> None:
        """Load and check the templates.

        Raises:
            ConfigError: a template does not compile, names an unknown variable, or would be
                refused by Telegram; with its file and line.
        """
        self._button = campaign.button()
        self._words = dict(campaign.template_variables())
        self._folder = campaign.settings.templates_dir
        self._environment = _environment(campaign)
        self._templates = self._load(campaign)
        self.compose: Callable[[str, str], Message] = lru_cache(NAMES_KEPT)(self._compose)
        """:meth:`_compose`; many users share a name, and rendering is a tenth of a send."""

    def _compose(self, first_name: str, user_language: str) -> Message:
        """The message for a user with this first name and language code, either maybe empty.

        Raises:
            Unrenderable: an expression of the template fails for this user.
        """
        template = self._template(user_language)
        try:
            html = template.render(self._words, first_name=first_name or None).strip()
        except Exception as error:
            raise Unrenderable(f"template {template.name}: {error}") from error
        return Message(html, self._button)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a template of their own."""
        return tuple(sorted(code for code in self._templates if code))

    def _template(self, user_language: str) -> jinja2.Template:
        for code in (user_language, user_language.partition("-")[0]):
            if code in self._templates:
                return self._templates[code]
        return self._templates[""]

    def _load(self, campaign: Campaign) -> dict[str, jinja2.Template]:
        names = {"": f"{campaign.key}.html"}
        folder = campaign.settings.templates_dir
        for file in sorted(folder.glob(f"{campaign.key}.*.html")) if folder else ():
            code = file.name[len(campaign.key) + 1 : -len(".html")]
            if not parse_language(code):
                raise ConfigError(f"{file}: {code!r} is no language code such as ru or pt-br")
            names[parse_language(code)] = file.name
        return {code: self._checked(file) for code, file in names.items()}

    def _checked(self, file: str) -> jinja2.Template:
        try:
            template = self._environment.get_template(file)
        except jinja2.TemplateSyntaxError as error:
            where = error.filename or file
            raise ConfigError(f"{where}:{error.lineno}: {error.message}") from None
        except jinja2.TemplateNotFound:
            raise ConfigError(f"there is no template {file}") from None
        except UnicodeDecodeError as error:
            line = bytes(error.object[: error.start]).count(b"\n") + 1
            raise ConfigError(f"{self._path(file)}:{line}: it is no UTF-8 text") from None
        except OSError as error:
            raise ConfigError(f"{self._path(file)} cannot be read: {error.strerror}") from None
        path = str(template.filename)
        source = Path(path).read_text(encoding=ENCODING)
        self._check_variables(path, source)
        for sample in SAMPLE_NAMES:
            self._check_rendered(path, source, template, sample)
        return template

    def _path(self, file: str) -> Path:
        return (self._folder or Path()) / file

    def _check_variables(self, path: str, source: str) -> None:
        tree = self._environment.parse(source)
        known = {*self._words, "first_name"}
        for unknown in sorted(meta.find_undeclared_variables(tree) - known):
            used = (n.lineno for n in tree.find_all(nodes.Name) if n.name == unknown)
            raise ConfigError(
                f"{path}:{min(used)}: {unknown!r} is no variable of this template; "
                f"it has {', '.join(sorted(known))}"
            )

    def _check_rendered(
        self, path: str, source: str, template: jinja2.Template, sample: str
    ) -> None:
        try:
            html = template.render(self._words, first_name=sample or None)
            parsed = telegram_html.parse(html.strip())
        except telegram_html.HtmlError as error:
            line = _line(source, html, error)
            raise ConfigError(f"{path}:{line}: Telegram would refuse it: {error}") from None
        except Exception as error:
            line = _failing_line(error, path)
            raise ConfigError(f"{path}:{line}: {error}") from None
        if parsed.length > telegram_html.TEXT_LIMIT:
            raise ConfigError(
                f"{path}:1: {parsed.length} characters; Telegram takes {telegram_html.TEXT_LIMIT}"
            )
        if not parsed.text.strip():
            raise ConfigError(f"{path}:1: the message would be empty")


def plain_text(message: Message) -> str:
    """A message as plain text, as Telegram would show it."""
    return telegram_html.parse(message.html).text


def plural(count: object, one: str, few: str, many: str) -> str:
    """The Russian form for a number: 1 день, 3 дня, 5 дней, 2.5 дня."""
    number = float(str(count))
    if not number.is_integer():
        return few
    if number % 100 in (11, 12, 13, 14):
        return many
    return one if number % 10 == 1 else few if number % 10 in (2, 3, 4) else many


def _environment(campaign: Campaign) -> jinja2.Environment:
    loaders: list[jinja2.BaseLoader] = []
    if campaign.settings.templates_dir:
        loaders.append(jinja2.FileSystemLoader(campaign.settings.templates_dir, encoding=ENCODING))
    package = type(campaign).__module__.partition(".")[0]
    loaders.append(jinja2.FileSystemLoader(_templates_of(package)))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )
    environment.filters["plural"] = plural
    return environment


def _templates_of(package: str) -> Path:
    """The folder ``templates`` of the package a campaign comes from."""
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.find_spec(package)
    origin = spec.origin if spec else None
    return (Path(origin).parent if origin else Path()) / "templates"


def _line(source: str, html: str, error: telegram_html.HtmlError) -> int:
    """The template's line nearest to where the rendered text has the tag in question."""
    named = re.search(r'start tag "([^"]+)"', str(error))
    before = html.encode()[: error.offset].decode(errors="ignore") if error.offset else html
    rendered = before.count("\n") + 1
    rest = html[len(before) :]
    tag = (re.match(r"</?[^\s>]*", rest) or [""])[0] or (f"<{named[1]}" if named else "")
    lines = [n for n, text in enumerate(source.splitlines(), 1) if tag and tag in text]
    return min(
        lines, key=lambda n: abs(n - rendered), default=min(rendered, source.count("\n") + 1)
    )


def _failing_line(error: Exception, path: str) -> int:
    """The template's line in a traceback that jinja2 has rewritten to it."""
    line, step = 1, error.__traceback__
    while step:
        if step.tb_frame.f_code.co_filename == path:
            line = step.tb_lineno
        step = step.tb_next
    return line
