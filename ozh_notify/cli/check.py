"""``ozh-notify check``: is everything ready, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify import __version__, logs
from ozh_notify.campaigns import registry
from ozh_notify.cli.arguments import (
    console,
    now,
    print_json,
    print_table,
)
from ozh_notify.cli.loop import run_async
from ozh_notify.cli.options import GlobalOptions

if TYPE_CHECKING:
    from ozh_notify.operator.check import CheckResult


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(command)


def command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Is everything ready: settings, MongoDB, fields, indexes, bot, templates; writes nothing.

    Exit 0: ready, warnings or not. 78: something in the configuration is wrong, whatever else
    there is. 69: else MongoDB or Telegram cannot be reached.
    """
    from ozh_notify.operator.check import exit_code  # noqa: PLC0415 - the driver and Telegram

    lines, redact = _look(context.obj)
    code = exit_code(lines)
    if as_json:
        shown = {"version": __version__, "verdict": _worst(lines), "exit_code": int(code)}
        print_json({**shown, "lines": [line.as_json() for line in lines]}, redact)
    else:
        _print(lines, redact)
    raise typer.Exit(code)


def _look(common: GlobalOptions) -> tuple[list[CheckResult], logs.Redactor]:
    from ozh_notify.config.load import examine  # noqa: PLC0415 - pydantic
    from ozh_notify.operator.check import check  # noqa: PLC0415

    campaigns = registry()
    declared = tuple(
        name for campaign in campaigns.values() for name in campaign.environment_variables
    )
    found, problems, warnings = examine(common.env_file, needs_token=True, declared=declared)
    redact = logs.Redactor(found.secrets)
    logs.setup(found.log_format, redact, enabled=found.logging_enabled, verbose=common.verbose,
               quiet=common.quiet)  # fmt: skip
    file = common.env_file or Path(".env")
    where = f"and {file}" if file.is_file() else f"alone: no {file} in {Path.cwd()}"
    work = check(
        found,
        [campaign(found) for campaign in campaigns.values()],
        now(),
        problems=problems,
        warnings=warnings,
        where=where,
    )
    return run_async(work), redact


def _worst(lines: Sequence[CheckResult]) -> str:
    from ozh_notify.operator.check import verdict  # noqa: PLC0415

    return verdict(lines).value


def _print(lines: Sequence[CheckResult], redact: Callable[[str], str]) -> None:
    rows = [(line.about, line.verdict.value, _words(line)) for line in lines]
    print_table(f"ozh-notify {__version__}: is everything ready?", ("", "", ""), rows, redact)
    count = Counter(line.verdict.value for line in lines)
    several = ", ".join(
        f"{n} {word}{'s' if n > 1 else ''}" for word in ("problem", "warning") if (n := count[word])
    )
    ready = "not ready" if count["problem"] else "ready"
    console().print(f"{ready}: {several}" if several else ready)


def _words(line: CheckResult) -> str:
    """One cell for both: a terminal has no room for another column."""
    return f"{line.found} → {line.do}" if line.do else line.found
