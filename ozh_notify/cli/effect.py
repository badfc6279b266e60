"""``ozh-notify effect``: did the messages bring people back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ozh_notify.campaigns import registry
from ozh_notify.cli.arguments import AnyCampaignName, AsJson, campaign_named
from ozh_notify.cli.options import GlobalOptions, now
from ozh_notify.cli.output import print_json, print_line, print_table
from ozh_notify.errors import ConfigError

if TYPE_CHECKING:
    from ozh_notify.config.settings import Settings
    from ozh_notify.effect.report import ArmCounts, Effect

SHARES = (10, 20, 50)
"""Percent held out that ``--plan`` shows."""


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("effect")(show_effect)


def show_effect(
    context: typer.Context,
    campaign: AnyCampaignName = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the experiment of this name.")
    ] = None,
    plan: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="BASE TARGET",
            help="How many users tell BASE percent from TARGET percent; asks no server.",
        ),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the newest one into a file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Did the messages bring people back: users who got one against users held out."""
    if plan is not None:
        print_plan(*plan, as_json=as_json)
        return
    name = campaign_named(campaign).name if campaign else None
    options: GlobalOptions = context.obj
    settings, redact = options.load()
    import asyncio

    found = asyncio.run(read_effects(settings, name, experiment))
    if as_json:
        print_json({"experiments": [effect.as_json() for effect in found]}, redact)
    elif not found:
        print_line(
            "The journal holds no such experiment. docs/effect.md says how to run one.", redact
        )
    else:
        for effect in found:
            print_effect(effect, redact)
    if svg is not None and found:
        write_svg(found[0], svg)


async def read_effects(
    settings: Settings, campaign: str | None, experiment: str | None
) -> list[Effect]:
    """The effects of the experiments in the journal.

    Raises:
        ConfigError: the journal is off.
    """
    from ozh_notify.mongo.client import primary_collection
    from ozh_notify.mongo.effect_queries import EffectQueries
    from ozh_notify.mongo.users_collection import UsersCollection
    from ozh_notify.operator.effect import effects

    if settings.journal_collection is None:
        raise ConfigError(
            "OZH_JOURNAL_COLLECTION is off, and experiments are kept in the journal: "
            "name its collection"
        )
    campaigns = {name: kind(settings) for name, kind in registry().items()}
    async with UsersCollection(settings) as db:
        journal = primary_collection(db.client, settings, settings.journal_collection)
        queries = EffectQueries(journal, db.collection)
        return await effects(queries, campaigns, now(), campaign, experiment)


def print_plan(base: float, target: float, *, as_json: bool) -> None:
    """How many users each share of controls needs; ``base`` and ``target`` are percent."""
    from ozh_notify.effect.statistics import users_needed

    try:
        needed = {share: users_needed(base / 100, target / 100, share) for share in SHARES}
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--plan") from None
    if as_json:
        rows = [{"share": share, "users": users} for share, users in needed.items()]
        print_json({"base": base, "target": target, "plan": rows}, str)
        return
    print_table(
        f"users needed to tell {base:g} % from {target:g} % (80 % power, 95 % interval)",
        ("held out", "users in all", "of them held out"),
        [(f"{share} %", users, round(users * share / 100)) for share, users in needed.items()],
        str,
    )


def print_effect(effect: Effect, redact: Callable[[str], str]) -> None:
    """A table, a picture, the verdict in one sentence, and what to do next."""
    from ozh_notify.effect.picture import draw_text
    from ozh_notify.effect.wording import next_step, verdict_sentence

    one = effect.experiment
    title = f"{one.campaign}: experiment {one.name}, {one.share:g} % held out until {one.until}"
    rows = [arm_row("treated", effect.treated), arm_row("control", effect.control)]
    columns = ("", "assigned", "judged", "came back", "rate", "95 % interval")
    print_table(title, columns, rows, redact)
    for line in draw_text(effect):
        print_line(line, redact)
    for line in further_lines(effect):
        print_line(line, redact)
    print_line(verdict_sentence(effect), redact)
    print_line(next_step(effect), redact)


def arm_row(name: str, arm: ArmCounts) -> tuple[object, ...]:
    """One arm as people read it."""
    from ozh_notify.effect.statistics import wilson

    if not arm.judged:
        return name, arm.assigned, 0, 0, "", ""
    rate = wilson(arm.reached, arm.judged)
    interval = f"{rate.low * 100:.2f} to {rate.high * 100:.2f} %"
    return name, arm.assigned, arm.judged, arm.reached, f"{rate.value * 100:.2f} %", interval


def further_lines(effect: Effect) -> list[str]:
    """What else is known: deliveries of the treated, the split, money, and blocks."""
    states = effect.treated.states
    lines = [
        "of the treated: "
        + ", ".join(f"{states.get(s, 0)} {s}" for s in ("sent", "unreachable", "unknown")),
        f"share check: p = {effect.split_p:.3f} (below 0.001 the split is broken)",
    ]
    if effect.difference is not None:
        smallest = f"{effect.smallest_difference * 100:.2f} points"
        lines.append(f"smallest difference that so many users show: {smallest}")
    if effect.treated.revenue.count:
        lines.append(revenue_line(effect))
    if effect.treated.blocked is not None and effect.control.blocked is not None:
        lines.append(
            f"blocked the bot since: {effect.treated.blocked} treated, "
            f"{effect.control.blocked} control"
        )
    return lines


def revenue_line(effect: Effect) -> str:
    """The money of both arms, compared where enough users have paid."""
    both = f"{effect.treated.revenue.mean:.2f} treated, {effect.control.revenue.mean:.2f} control"
    money = effect.revenue
    if money is None:
        return f"revenue per user: {both} (not enough buyers to compare)"
    interval = f"{money.low:+.2f} to {money.high:+.2f}"
    return f"revenue per user: {both}, difference {money.value:+.2f} ({interval})"


def write_svg(effect: Effect, file: Path) -> None:
    """Draw one effect into a file.

    Raises:
        ConfigError: the file cannot be written.
    """
    from ozh_notify.effect.picture import draw_svg

    try:
        file.write_text(draw_svg(effect), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from None
