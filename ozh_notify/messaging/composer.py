"""Makes a user's message from the campaign's files; they are checked before any claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.campaigns.toml_file import KEYS
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.html import CAPTION_LIMIT, TEXT_LIMIT, parse
from ozh_notify.messaging.message import ButtonKind, Keyboard, Message, MessageButton
from ozh_notify.messaging.message_options import MessageOptions, compile_message_options
from ozh_notify.messaging.message_options_file import OptionsSource, read_options
from ozh_notify.messaging.template_checks import check_rendered, renders
from ozh_notify.messaging.template_files import (
    TemplateFile,
    best_language,
    options_files,
    template_files,
)
from ozh_notify.messaging.templates import LANGUAGE, Text, compile_text, environment, read_source
from ozh_notify.messaging.user_fields import USER, cut, nested, outermost
from ozh_notify.users.recipient import CHAT_ID_BOUND, MAX_NAME, fields_at

SAMPLE_NAMES = ("Анна", "", "<" * MAX_NAME)
"""The names that a template is checked with: a usual one, none, and the longest when escaped."""

SAMPLE_VALUES = ("A" * 24, "https://a.example")
"""What a field of the user may hold where a button or a medium names it: an id, an address."""

SHORT_FIELD = 64
"""Characters that the fields of a user are cut to where the message would be too long."""

SAMPLE_RUN = "20260101T000000Z-sample00"
"""Stands for the id of a run, and is as long as one."""

KEPT_MESSAGES = 1000
"""Rendered messages kept for users with the same first name and language."""

Fields = Mapping[str, Any]
"""Values of a user's document by dotted path."""


class Unrenderable(ConfigError):
    """A template fails for one user, which the checks before the pass could not show."""


class Composer:
    """Makes the messages of one campaign; its templates are compiled once."""

    def __init__(self, campaign: Campaign, run: str = SAMPLE_RUN) -> None:
        """Load and check the files.

        Raises:
            ConfigError: a file does not compile, names something unknown, or would be refused by
                Telegram; with its path and line.
        """
        self._variables: dict[str, Any] = {"run": run, "campaign": campaign.name}
        self._variables.update(campaign.template_variables())
        known = {*self._variables, "first_name", "chat_id", USER}
        html, plain = environment(campaign, html=True), environment(campaign, html=False)
        self._keyboard = own_keyboard(campaign)
        self._texts = {
            file.language: compile_text(html, file, known) for file in template_files(campaign)
        }
        self.options_files = options_files(campaign)
        """The ``NAME.toml`` files."""
        self._options = {
            file.language: compile_message_options(plain, _read(file), known)
            for file in self.options_files
        }
        parts: list[Text | MessageOptions] = [*self._texts.values(), *self._options.values()]
        self.user_paths = outermost(path for part in parts for path in part.paths)
        """The fields of the user's document that the files name, as dotted paths."""
        self.words = {name for part in parts for name in part.names}
        """The variables that the files use."""
        self._is_personal = any(part.paths or "chat_id" in part.names for part in parts)
        self._check()
        self._kept = lru_cache(KEPT_MESSAGES)(self._render)

    def compose(
        self, first_name: str, user_language: str, chat_id: int = 0, fields: Fields | None = None
    ) -> Message:
        """The message for a user with this first name and language code; each may be empty.

        ``fields`` are the user's values at :attr:`user_paths`.

        Raises:
            Unrenderable: an expression of the template fails for this user.
        """
        if self._is_personal:
            return self._render(first_name, user_language, chat_id, fields)
        # Many users share a name, and rendering is a tenth of a send.
        return self._kept(first_name, user_language)

    def fields_of(self, document: Mapping[str, Any]) -> Fields:
        """The values of a user's document that the files name."""
        return fields_at(document, self.user_paths)

    @property
    def files(self) -> tuple[TemplateFile, ...]:
        """The file of each language's text, the one without a language first."""
        return tuple(text.file for text in self._texts.values())

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a text of their own."""
        return tuple(language for language in self._texts if language)

    def language_for(self, user_language: str) -> str:
        """The language of the text that a user with this language code gets."""
        return best_language(user_language, self._texts)

    def file_for(self, user_language: str) -> TemplateFile:
        """The text that a user with this language code gets."""
        return self._texts[self.language_for(user_language)].file

    def options_for(self, language: str) -> MessageOptions:
        """What the file of options says that a user with this language code gets."""
        return self._options.get(best_language(language, self._options), MessageOptions())

    def _render(
        self, first_name: str, user_language: str, chat_id: int = 0, fields: Fields | None = None
    ) -> Message:
        text = self._texts[self.language_for(user_language)]
        try:
            return self._message(text, user_language, first_name, chat_id, fields or {})
        except ConfigError as error:
            raise Unrenderable(str(error)) from error
        except Exception as error:
            raise Unrenderable(f"template {text.file.path.name}: {error}") from error

    def _message(
        self, text: Text, user_language: str, first_name: str, chat_id: int, fields: Fields
    ) -> Message:
        options = self.options_for(user_language)
        variables = self._variables_for(text, first_name, chat_id, fields)
        media = options.rendered_media(variables)
        html = text.template.render(variables).strip()
        limit = CAPTION_LIMIT if media else TEXT_LIMIT
        if text.paths and parse(html).length > limit:
            short = {path: cut(value, SHORT_FIELD) for path, value in fields.items()}
            shorter = self._variables_for(text, first_name, chat_id, short)
            html = text.template.render(shorter).strip()
        return Message(
            html,
            options.rendered_keyboard(variables) if options.keyboard else self._keyboard,
            media,
            silent=options.silent,
            protect=options.protect,
            link_preview=options.link_preview,
        )

    def _variables_for(
        self, text: Text, first_name: str, chat_id: int, fields: Fields
    ) -> dict[str, Any]:
        return {
            **self._variables,
            "first_name": first_name or None,
            "chat_id": chat_id,
            USER: nested(fields),
            LANGUAGE: text.file.language,
        }

    def _check(self) -> None:
        """Render every text with the options it meets, for users with much and with nothing."""
        for text, options in self._pairs():
            limit = CAPTION_LIMIT if options.media else TEXT_LIMIT
            for name in SAMPLE_NAMES:
                variables = self._variables_for(text, name, CHAT_ID_BOUND - 1, {})
                check_rendered(str(text.file.path), text.source, text.template, variables, limit)
            options.check(self._variables_for(text, SAMPLE_NAMES[0], CHAT_ID_BOUND - 1, {}))
            if self.user_paths:
                self._check_with_fields(text, options, limit)

    def _check_with_fields(self, text: Text, options: MessageOptions, limit: int) -> None:
        """Render for a user who has every field.

        An expression that fails is not a fault: the fields' types are not known here.
        """
        full = dict.fromkeys(self.user_paths, "<" * SHORT_FIELD)
        variables = self._variables_for(text, SAMPLE_NAMES[-1], CHAT_ID_BOUND - 1, full)
        if renders(text.template, variables):
            check_rendered(str(text.file.path), text.source, text.template, variables, limit)
        problems = [self._problem_with(text, options, value) for value in SAMPLE_VALUES]
        if all(problems):
            raise ConfigError(problems[0])

    def _problem_with(self, text: Text, options: MessageOptions, value: str) -> str:
        """What is wrong with the options if each field of the user has this value."""
        full = dict.fromkeys(self.user_paths, value)
        variables = self._variables_for(text, SAMPLE_NAMES[0], CHAT_ID_BOUND - 1, full)
        try:
            if all(renders(field.template, variables) for field in options.fields()):
                options.check(variables)
        except ConfigError as error:
            return str(error)
        return ""

    def _pairs(self) -> Iterator[tuple[Text, MessageOptions]]:
        """Each text with each file of options that some user's language brings together."""
        for language in {"", *self._texts, *self._options}:
            yield self._texts[self.language_for(language)], self.options_for(language)


def _read(file: TemplateFile) -> OptionsSource:
    others = KEYS if file.describes_campaign else ()
    return read_options(str(file.path), read_source(file.path), others)


def own_keyboard(campaign: Campaign) -> Keyboard:
    """The one button that the campaign's variables set, where no file has buttons."""
    button = campaign.button()
    if button is None:
        return ()
    kind: ButtonKind = "url" if button.is_url else "callback_data"
    return ((MessageButton(button.text, kind, button.target),),)
