"""``ozh-notify templates``: the files each campaign and language uses; copies of the built-in."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ozh_notify.campaigns import Campaign, broken_campaigns, registry
from ozh_notify.cli.arguments import AsJson
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.cli.output import Redact, print_json, print_line, print_table
from ozh_notify.errors import ConfigError, Exit
from ozh_notify.logs import Redactor

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.messaging.message_options import MessageOptions
    from ozh_notify.messaging.template_files import TemplateFile, UnreadFile

LONGEST = 60
"""Characters of a text that are shown."""

Copy = Annotated[
    Path | None,
    typer.Option(
        "--copy",
        metavar="DIR",
        file_okay=False,
        help="Copy the built-in texts into this folder; a file that is there stays as it is.",
    ),
]


@dataclass
class Found:
    """What the campaigns' messages are made of."""

    texts: list[tuple[TemplateFile, str]] = field(default_factory=list)
    """Each text's file and its beginning."""
    options: list[tuple[TemplateFile, MessageOptions]] = field(default_factory=list)
    """Each ``NAME.toml``, and what it says."""
    problems: list[str] = field(default_factory=list)
    unread: tuple[UnreadFile, ...] = ()
    """Files that no campaign reads."""


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("templates")(run_templates_command)


def run_templates_command(
    context: typer.Context, copy: Copy = None, as_json: AsJson = False
) -> None:
    """Show which text, picture and buttons each campaign and language has, and from which file.

    Needs no MongoDB and no Telegram. Exit 78: a template is wrong.
    """
    if copy is not None:
        print_copied(copy, copy_built_in(copy), as_json)
        return
    settings, redact = load_templates_settings(context.obj)
    found = examine_texts([campaign(settings) for campaign in registry().values()], settings)
    if as_json:
        print_json(texts_as_json(settings, found), redact)
    else:
        print_texts(found, redact)
    raise typer.Exit(Exit.CONFIG if found.problems else Exit.OK)


def load_templates_settings(common: GlobalOptions) -> tuple[Settings, Redactor]:
    """Settings; only problems of the templates and buttons matter here.

    Raises:
        ConfigError: these have problems.
    """
    from ozh_notify.config.load import examine
    from ozh_notify.config.problem import render
    from ozh_notify.operator.check import MESSAGES

    settings, problems, _ = examine(common.env_file)
    if ours := [problem for problem in problems if problem.concerns(*MESSAGES)]:
        raise ConfigError(render("the settings have problems:", ours))
    return settings, Redactor(settings.secrets)


def examine_texts(campaigns: Sequence[Campaign], settings: Settings) -> Found:
    """Every file of the campaigns, and what is wrong with those that are not shown."""
    from ozh_notify.messaging.template_files import all_unread_files

    found = Found(unread=all_unread_files(settings))
    found.problems += [one.reason for one in broken_campaigns()]
    for campaign in campaigns:
        try:
            add_files(campaign, found)
        except ConfigError as error:
            found.problems.append(str(error))
    return found


def add_files(campaign: Campaign, found: Found) -> None:
    """Each text of a campaign, for a user with a usual name, and what goes with it.

    Raises:
        ConfigError: a file is wrong.
    """
    from ozh_notify.messaging.composer import SAMPLE_NAMES, Composer
    from ozh_notify.messaging.message import plain_text

    composer = Composer(campaign)
    for file in composer.files:
        text = plain_text(composer.compose(SAMPLE_NAMES[0], file.language))
        found.texts.append((file, " ".join(text.split())))
    for file in composer.options_files:
        found.options.append((file, composer.options_for(file.language)))


def texts_as_json(settings: Settings, found: Found) -> dict[str, Any]:
    """The object of ``--json``."""
    campaigns = settings.campaigns_dir
    return {
        "folder": str(settings.templates_dir) if settings.templates_dir else None,
        "campaigns_folder": str(campaigns) if campaigns else None,
        "texts": [
            {**_file_as_json(file), "built_in": file.built_in, "text": text}
            for file, text in found.texts
        ],
        "options": [
            {**_file_as_json(file), **options.as_json()} for file, options in found.options
        ],
        "unread": [{"file": str(one.path), "did_you_mean": one.suggestion} for one in found.unread],
        "problems": found.problems,
    }


def _file_as_json(file: TemplateFile) -> dict[str, Any]:
    return {
        "campaign": file.campaign,
        "language": file.language or None,
        "file": str(file.path),
    }


def print_texts(found: Found, redact: Redact) -> None:
    """A row for each file, then a line for each thing that is wrong."""
    texts = [(*_named(file), _shortened(text)) for file, text in found.texts]
    columns = ("campaign", "language", "file", "text")
    print_table("texts of the campaigns", columns, texts, redact)
    if found.options:
        options = [(*_named(file), str(options)) for file, options in found.options]
        columns = ("campaign", "language", "file", "besides the text")
        print_table("pictures, buttons and the rest", columns, options, redact)
    for warning in (*found.problems, *map(str, found.unread)):
        print_line(warning, redact)


def _named(file: TemplateFile) -> tuple[str, str, str]:
    return file.campaign, file.language or "any other", str(file)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def copy_built_in(folder: Path) -> dict[Path, bool]:
    """Copy the texts that come with the package; for each file whether it was copied.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    from ozh_notify.messaging.template_files import package_folder

    copied: dict[Path, bool] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for campaign in (one for one in registry().values() if one.folder is None):
            source = package_folder(campaign) / f"{campaign.name.replace('-', '_')}.html"
            target = folder / source.name
            copied[target] = not target.exists()
            if copied[target]:
                shutil.copyfile(source, target)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}") from None
    return copied


def print_copied(folder: Path, copied: dict[Path, bool], as_json: bool) -> None:
    """Say what was copied, and what to do next."""
    redact = Redactor()
    if as_json:
        print_json({"folder": str(folder), "copied": [str(p) for p, new in copied.items() if new],
                    "kept": [str(p) for p, new in copied.items() if not new]}, redact)  # fmt: skip
        return
    for path, is_new in copied.items():
        print_line(f"{path}: {'copied' if is_new else 'exists already, left as it is'}", redact)
    print_line(f"Edit the texts, then set OZH_TEMPLATES_DIR={folder.resolve()}", redact)
