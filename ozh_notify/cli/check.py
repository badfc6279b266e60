"""``ozh-notify check``: is everything ready, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify import __version__, logs
from ozh_notify.campaigns import broken_campaigns, registry
from ozh_notify.cli.arguments import AsJson
from ozh_notify.cli.options import GlobalOptions, campaign_settings, now
from ozh_notify.cli.output import Redact, print_json, print_line, print_table
from ozh_notify.wording import counted

if TYPE_CHECKING:
    from ozh_notify.operator.check import CheckResult


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(run_check_command)


def run_check_command(
    context: typer.Context,
    as_json: AsJson = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print only .env lines for the fields it guessed.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Really send a test digest, ping and metric, too.")
    ] = False,
) -> None:
    """Is everything ready: settings, MongoDB, fields, indexes, bot, templates; writes nothing.

    Exit 0: ready, with or without warnings. 78: something in the configuration is wrong.
    69: the configuration is right, but MongoDB or Telegram cannot be reached.
    """
    from ozh_notify.operator.check import exit_code, suggestions, verdict

    results, redact = run_checks(context.obj, report=report)
    code = exit_code(results)
    if suggest:
        for suggestion in suggestions(results):
            print_line(suggestion, redact)
    elif as_json:
        shown = {"version": __version__, "verdict": verdict(results).value, "exit_code": int(code)}
        print_json({**shown, "results": [result.as_json() for result in results]}, redact)
    else:
        print_check(results, redact)
    raise typer.Exit(code)


def run_checks(
    common: GlobalOptions, *, report: bool = False
) -> tuple[list[CheckResult], logs.Redactor]:
    """Every check, also where the settings have problems."""
    import asyncio

    from ozh_notify.cli.check_report import report_results
    from ozh_notify.config.env_file import working_directory
    from ozh_notify.config.load import examine
    from ozh_notify.operator.check import check

    campaigns = registry()
    declared, periods = campaign_settings()
    found, problems, warnings = examine(
        common.env_file, needs_token=True, declared=declared, periods=periods
    )
    redact = logs.Redactor(found.secrets)
    logs.setup(found.log_format, redact, enabled=found.logging_enabled, verbose=common.verbose,
               quiet=common.quiet, zone=found.zone)  # fmt: skip
    file = common.env_file or Path(".env")
    where = f"and {file}" if file.is_file() else f"alone: there is no .env in {working_directory()}"
    made = [campaign(found) for campaign in campaigns.values()]

    async def work() -> list[CheckResult]:
        results = await check(found, made, now(), problems=problems, warnings=warnings, where=where)
        return [*results, *(await report_results(found, made, problems) if report else [])]

    return [*asyncio.run(work()), *broken_campaign_results()], redact


def broken_campaign_results() -> list[CheckResult]:
    """A problem for each campaign of a package or a file that cannot be used."""
    from ozh_notify.operator.check.result import problem

    return [
        problem(
            f"campaign {broken.name}", broken.reason, "correct its file or package, or remove it"
        )
        for broken in broken_campaigns()
    ]


def print_check(results: Sequence[CheckResult], redact: Redact) -> None:
    """Print one row per result, and whether everything is ready."""
    rows = [(one.subject, one.verdict.value, _finding_and_remedy(one)) for one in results]
    print_table(f"ozh-notify {__version__}: is everything ready?", ("", "", ""), rows, redact)
    numbers = Counter(one.verdict.value for one in results)
    several = ", ".join(counted(n, word) for word in ("problem", "warning") if (n := numbers[word]))
    ready = "not ready" if numbers["problem"] else "ready"
    print_line(f"{ready}: {several}" if several else ready, redact)


def _finding_and_remedy(result: CheckResult) -> str:
    """Both in one cell: a terminal has no room for another column."""
    return f"{result.finding} → {result.remedy}" if result.remedy else result.finding
