"""``ozh-notify templates``: which text each campaign and language uses; copies of the built-in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ozh_notify.campaigns import Campaign, registry
from ozh_notify.cli.arguments import AsJson
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.cli.output import Redact, print_json, print_line, print_table
from ozh_notify.errors import ConfigError, Exit
from ozh_notify.logs import Redactor

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
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


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("templates")(run_templates_command)


def run_templates_command(
    context: typer.Context, copy: Copy = None, as_json: AsJson = False
) -> None:
    """Show which text each campaign and language uses, and from which file.

    Needs no MongoDB and no Telegram. Exit 78: a template is wrong.
    """
    if copy is not None:
        print_copied(copy, copy_built_in(copy), as_json)
        return
    settings, redact = load_templates_settings(context.obj)
    texts, problems = examine_texts([campaign(settings) for campaign in registry().values()])
    unread = find_unread(settings)
    if as_json:
        print_json(texts_as_json(settings, texts, unread, problems), redact)
    else:
        print_texts(texts, [*problems, *map(str, unread)], redact)
    raise typer.Exit(Exit.CONFIG if problems else Exit.OK)


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


def examine_texts(
    campaigns: Sequence[Campaign],
) -> tuple[list[tuple[TemplateFile, str]], list[str]]:
    """Each text's file and its beginning, and what is wrong with the others."""
    texts: list[tuple[TemplateFile, str]] = []
    problems: list[str] = []
    for campaign in campaigns:
        try:
            texts += render_samples(campaign)
        except ConfigError as error:
            problems.append(str(error))
    return texts, problems


def render_samples(campaign: Campaign) -> Iterator[tuple[TemplateFile, str]]:
    """Each text of a campaign, for a user with a usual name.

    Raises:
        ConfigError: a template is wrong.
    """
    from ozh_notify.messaging.composer import SAMPLE_NAMES, Composer
    from ozh_notify.messaging.message import plain_text

    composer = Composer(campaign)
    for file in composer.files:
        text = plain_text(composer.compose(SAMPLE_NAMES[0], file.language))
        yield file, " ".join(text.split())


def find_unread(settings: Settings) -> tuple[UnreadFile, ...]:
    """The files in the folder of templates that no campaign reads."""
    from ozh_notify.messaging.template_files import unread_files

    keys = [name.replace("-", "_") for name in registry()]
    return unread_files(settings.templates_dir, keys) if settings.templates_dir else ()


def texts_as_json(
    settings: Settings,
    texts: Sequence[tuple[TemplateFile, str]],
    unread: Sequence[UnreadFile],
    problems: Sequence[str],
) -> dict[str, Any]:
    """The object of ``--json``."""
    return {
        "folder": str(settings.templates_dir) if settings.templates_dir else None,
        "texts": [
            {
                "campaign": file.campaign,
                "language": file.language or None,
                "file": str(file.path),
                "built_in": file.built_in,
                "text": text,
            }
            for file, text in texts
        ],
        "unread": [{"file": str(one.path), "did_you_mean": one.suggestion} for one in unread],
        "problems": list(problems),
    }


def print_texts(
    texts: Sequence[tuple[TemplateFile, str]], warnings: Sequence[str], redact: Redact
) -> None:
    """A row for each text, then a line for each thing that is wrong."""
    rows = [
        (file.campaign, file.language or "any other", str(file), _shortened(text))
        for file, text in texts
    ]
    columns = ("campaign", "language", "file", "text")
    print_table("texts of the campaigns", columns, rows, redact)
    for warning in warnings:
        print_line(warning, redact)


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
        for campaign in registry().values():
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
