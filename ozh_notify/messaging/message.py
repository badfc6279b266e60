"""Makes a user's message from the campaign's templates; they are checked before any claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jinja2

from ozh_notify.campaigns import Button, Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.messaging import html as telegram_html
from ozh_notify.messaging.template_checks import check_rendered
from ozh_notify.messaging.template_files import TemplateFile, best_language, template_files
from ozh_notify.messaging.templates import check_variables, compile_file, environment, words_of
from ozh_notify.users.recipient import MAX_NAME

SAMPLE_NAMES = ("Анна", "", "<" * MAX_NAME)
"""The names that a template is checked with: a usual one, none, and the longest when escaped."""

KEPT_MESSAGES = 1000
"""Rendered messages kept for users with the same first name and language."""


class Unrenderable(ConfigError):
    """A template fails for one user, which the checks before the pass could not show."""


@dataclass(frozen=True)
class Message:
    """Telegram HTML and an inline button."""

    html: str
    button: Button | None


class Composer:
    """Makes the messages of one campaign; its templates are compiled once."""

    def __init__(self, campaign: Campaign) -> None:
        """Load and check the templates.

        Raises:
            ConfigError: a template does not compile, names an unknown variable, or would be
                refused by Telegram; with its file and line.
        """
        self._button = campaign.button()
        self._variables = dict(campaign.template_variables())
        self.files: tuple[TemplateFile, ...] = template_files(campaign)
        """The text of each language, the one without a language first."""
        self.words: set[str] = set()
        """The words that the texts use, of those that the campaign has."""
        env = environment(campaign)
        self._templates = {file.language: self._checked(env, file) for file in self.files}
        self.compose: Callable[[str, str], Message] = lru_cache(KEPT_MESSAGES)(self._compose)
        """:meth:`_compose`; many users share a name, and rendering is a tenth of a send."""

    def _compose(self, first_name: str, user_language: str) -> Message:
        """The message for a user with this first name and language code; each may be empty.

        Raises:
            Unrenderable: an expression of the template fails for this user.
        """
        template = self._templates[self.language_for(user_language)]
        try:
            html = template.render(self._variables, first_name=first_name or None).strip()
        except Exception as error:
            raise Unrenderable(f"template {template.name}: {error}") from error
        return Message(html, self._button)

    def file_for(self, user_language: str) -> TemplateFile:
        """The text that a user with this language code gets."""
        wanted = self.language_for(user_language)
        return next(file for file in self.files if file.language == wanted)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a template of their own."""
        return tuple(file.language for file in self.files if file.language)

    def language_for(self, user_language: str) -> str:
        """The language of the template that a user with this language code gets."""
        return best_language(user_language, self._templates)

    def _checked(self, env: jinja2.Environment, file: TemplateFile) -> jinja2.Template:
        template, source = compile_file(env, file)
        path = str(file.path)
        self.words |= words_of(env, source) & {*self._variables}
        check_variables(env, path, source, {*self._variables, "first_name"})
        for name in SAMPLE_NAMES:
            check_rendered(path, source, template, {**self._variables, "first_name": name or None})
        return template


def plain_text(message: Message) -> str:
    """A message as plain text, as Telegram would show it."""
    return telegram_html.parse(message.html).text
