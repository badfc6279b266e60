"""The command line: parses, wires, prints, exits; one file a command."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Sequence
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from ozh_notify import __version__
from ozh_notify.campaigns import registry, use_folder
from ozh_notify.cli import (
    broken,
    check,
    demo,
    effect,
    explain,
    history,
    indexes,
    mute,
    passes,
    recall,
    reconcile,
    status,
    templates,
)
from ozh_notify.cli.arguments import name_campaigns
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.config.campaigns_dir import find_campaigns_dir
from ozh_notify.errors import Exit, OzhError
from ozh_notify.logs import Redactor

TYPERS_CTRL_C = 130


class Group(typer.core.TyperGroup):
    """If a global option comes after the command, says that it belongs before it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command line."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Typer does not export its NoSuchOption.
            name = getattr(error, "option_name", None)
            if not any(name in param.opts for param in self.params):
                raise
            line = f"ozh-notify {name} … {ctx.invoked_subcommand}"
            raise typer.BadParameter(
                f"it goes before the command: {line}", param_hint=name
            ) from None


app = typer.Typer(
    name="ozh-notify",
    cls=Group,
    help="Message the users of a Telegram bot: each exactly once, at Telegram's pace.",
    epilog="Start with: ozh-notify check. Documentation: README.md, and docs/ beside it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain: importing rich for it takes as long as all the rest of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ozh-notify {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            exists=True,
            dir_okay=False,
            readable=True,
            metavar="FILE",
            help="Read this file instead of .env.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Log one line per user.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Log warnings and errors only.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""
    context.obj = GlobalOptions(env_file, verbose, quiet)


def _list_whole_summaries() -> None:
    """Let the list of commands show each first line; otherwise it is cut at 45 characters."""
    for command in app.registered_commands:
        text = command.help or getdoc(command.callback) or ""
        command.short_help = text.partition("\n")[0]


def _env_file(arguments: Sequence[str]) -> Path | None:
    """The value of ``--env-file``: which commands there are depends on it."""
    for number, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name == "--env-file":
            following = arguments[number + 1 : number + 2]
            return Path(value or (following[0] if following else ""))
        if not word.startswith("-"):
            break
    return None


def run(arguments: list[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # Russian text must not crash an ASCII locale
            stream.reconfigure(errors="backslashreplace")
    try:
        use_folder(find_campaigns_dir(_env_file(sys.argv[1:] if arguments is None else arguments)))
        name_campaigns()
        for campaign in registry().values():
            passes.add(app, campaign)
        demo.add(app)
        for command in (
            check,
            status,
            indexes,
            explain,
            history,
            recall,
            reconcile,
            mute,
            templates,
            effect,
            broken,
        ):
            command.add(app)
        _list_whole_summaries()
        result: Any = app(arguments, prog_name="ozh-notify", standalone_mode=True)
        return int(result or 0)
    except SystemExit as leaving:
        if leaving.code == TYPERS_CTRL_C:  # pressed while the command line was being read
            return Exit.INCOMPLETE
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except OzhError as error:
        print(f"error: {Redactor()(str(error))}", file=sys.stderr)
        return error.exit_code
    except Exception:
        print(Redactor()(traceback.format_exc()), file=sys.stderr)
        return Exit.BUG
