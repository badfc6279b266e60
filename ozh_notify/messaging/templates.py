"""Jinja environments: where templates come from, which words they may use, and their filters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import meta, nodes

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.messaging import filters
from ozh_notify.messaging.template_files import ENCODING, TemplateFile, package_folder
from ozh_notify.messaging.user_fields import paths_in

LANGUAGE = "_language"
"""The variable that holds the language of the template, for the filters."""

RUSSIAN = ("", "ru")
"""Languages whose templates write dates and numbers as Russian does; the usual text is Russian."""


@dataclass(frozen=True)
class Text:
    """A compiled text of a campaign."""

    file: TemplateFile
    template: jinja2.Template
    source: str
    names: frozenset[str]
    """The variables that it uses."""
    paths: frozenset[str]
    """The fields of the user's document that it names."""


def environment(campaign: Campaign, *, html: bool) -> jinja2.Environment:
    """Compiles the templates of a campaign: the operator's folder first, then the package's.

    ``html`` escapes what is filled in; texts and targets of buttons are not HTML.
    """
    loaders: list[jinja2.BaseLoader] = []
    if campaign.settings.templates_dir:
        loaders.append(jinja2.FileSystemLoader(campaign.settings.templates_dir, encoding=ENCODING))
    loaders.append(jinja2.FileSystemLoader(package_folder(type(campaign))))
    zone = campaign.settings.zone

    @jinja2.pass_context
    def date(context: jinja2.runtime.Context, value: Any, form: str = "") -> str:
        return filters.date(value, form, zone=zone, russian=_is_russian(context))

    @jinja2.pass_context
    def number(context: jinja2.runtime.Context, value: Any, digits: int | None = None) -> str:
        return filters.number(value, digits, russian=_is_russian(context))

    @jinja2.pass_context
    def shown(context: jinja2.runtime.Context, value: Any) -> Any:
        return filters.shown(value, zone=zone, russian=_is_russian(context))

    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=html,  # noqa: S701 - texts of buttons are not HTML
        undefined=jinja2.ChainableUndefined,  # names are checked; fields may be missing
        finalize=shown,
        auto_reload=False,
    )
    made.filters.update(plural=filters.plural, date=date, number=number)
    return made


def _is_russian(context: jinja2.runtime.Context) -> bool:
    return str(context.get(LANGUAGE, "")).partition("-")[0] in RUSSIAN


def compile_text(env: jinja2.Environment, file: TemplateFile, known: set[str]) -> Text:
    """The text of a file.

    Raises:
        ConfigError: it cannot be read, does not compile, or names an unknown variable; with file
            and line.
    """
    source = read_source(file.path)
    try:
        template = env.get_template(file.path.name)
    except jinja2.TemplateSyntaxError as error:
        where = error.filename or file.path
        raise ConfigError(f"{where}:{error.lineno}: {error.message}") from None
    except jinja2.TemplateNotFound as error:
        raise ConfigError(f"{file.path} includes {error.name}, which does not exist") from None
    names = check_names(env, str(file.path), source, known)
    return Text(file, template, source, names, paths_in(env, str(file.path), source))


def read_source(path: Path) -> str:
    """What is in a file.

    Raises:
        ConfigError: it cannot be read; with its path, and with the line that is not UTF-8.
    """
    try:
        return path.read_text(encoding=ENCODING)
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: it is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def check_names(
    env: jinja2.Environment, path: str, source: str, known: set[str], *, first_line: int = 1
) -> frozenset[str]:
    """The variables that a template uses; it begins in ``first_line`` of a file.

    Raises:
        ConfigError: one of them is not among ``known``; with file and line.
    """
    tree = env.parse(source)
    names = meta.find_undeclared_variables(tree)
    for unknown in sorted(names - known):
        line = min(n.lineno for n in tree.find_all(nodes.Name) if n.name == unknown)
        raise ConfigError(
            f"{path}:{line + first_line - 1}: {unknown!r} is not a variable of this template; "
            f"it has {', '.join(sorted(known))}"
        )
    return frozenset(names)
