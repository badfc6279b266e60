"""Jinja templates: where they come from, which words they may use, and their filters."""

from __future__ import annotations

import jinja2
from jinja2 import meta, nodes

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.template_files import ENCODING, TemplateFile, package_folder


def environment(campaign: Campaign) -> jinja2.Environment:
    """Compiles the templates of a campaign: the operator's folder first, then the package's."""
    loaders: list[jinja2.BaseLoader] = []
    if campaign.settings.templates_dir:
        loaders.append(jinja2.FileSystemLoader(campaign.settings.templates_dir, encoding=ENCODING))
    loaders.append(jinja2.FileSystemLoader(package_folder(type(campaign))))
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )
    made.filters["plural"] = plural
    return made


def compile_file(env: jinja2.Environment, file: TemplateFile) -> tuple[jinja2.Template, str]:
    """A template and its source.

    Raises:
        ConfigError: it cannot be read or does not compile; with file and line.
    """
    try:
        template = env.get_template(file.path.name)
        return template, file.path.read_text(encoding=ENCODING)
    except jinja2.TemplateSyntaxError as error:
        where = error.filename or file.path
        raise ConfigError(f"{where}:{error.lineno}: {error.message}") from None
    except jinja2.TemplateNotFound:
        raise ConfigError(f"there is not a template {file.path}") from None
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise ConfigError(f"{file.path}:{line}: it is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{file.path} cannot be read: {error.strerror}") from None


def check_variables(env: jinja2.Environment, path: str, source: str, known: set[str]) -> None:
    """Every word that a template uses is one of ``known``.

    Raises:
        ConfigError: one is not; with file and line.
    """
    tree = env.parse(source)
    for unknown in sorted(meta.find_undeclared_variables(tree) - known):
        used = (n.lineno for n in tree.find_all(nodes.Name) if n.name == unknown)
        raise ConfigError(
            f"{path}:{min(used)}: {unknown!r} is not a variable of this template; "
            f"it has {', '.join(sorted(known))}"
        )


def words_of(env: jinja2.Environment, source: str) -> set[str]:
    """The words that a template uses."""
    return set(meta.find_undeclared_variables(env.parse(source)))


def plural(count: object, one: str, few: str, many: str) -> str:
    """The Russian form for a number: 1 день, 3 дня, 5 дней, 2.5 дня."""
    number = float(str(count))
    if not number.is_integer():
        return few
    if number % 100 in (11, 12, 13, 14):
        return many
    return one if number % 10 == 1 else few if number % 10 in (2, 3, 4) else many
