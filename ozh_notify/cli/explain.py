"""``ozh-notify explain``: why this user would or would not get it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ozh_notify.campaigns import Campaign
from ozh_notify.cli.arguments import (
    campaign_named,
    complete_campaign,
    console,
    now,
    print_json,
    print_table,
)
from ozh_notify.cli.loop import run_async
from ozh_notify.cli.options import GlobalOptions
from ozh_notify.errors import ConfigError

if TYPE_CHECKING:
    from ozh_notify.operator.explain import Explanation


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(command)


def command(
    context: typer.Context,
    campaign: Annotated[
        str,
        typer.Argument(metavar="CAMPAIGN", show_default=False, autocompletion=complete_campaign),
    ],
    user: Annotated[
        str, typer.Argument(metavar="USER", show_default=False, help="A chat id, or an _id.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Each criterion with the user's own value, and the delivery state; writes nothing.

    A user whom nobody finds is exit 78: the chat id, or the field mapping, is wrong.
    """
    kind = campaign_named(campaign)
    common: GlobalOptions = context.obj
    settings, redact = common.load()
    found = run_async(_read(kind(settings), user))
    if as_json:
        print_json(found.as_json(), redact)
    else:
        _print(found, kind(settings), redact)


async def _read(campaign: Campaign, name: str) -> Explanation:
    from ozh_notify.mongo.operator_queries import OperatorQueries  # noqa: PLC0415 - the driver
    from ozh_notify.operator.explain import explain  # noqa: PLC0415

    async with OperatorQueries(campaign.settings) as desk:
        found = await desk.find(name)
        if len(found) > 1:
            ids = ", ".join(str(user["_id"]) for user in found[:5])
            raise ConfigError(
                f"{len(found)} documents have the chat id {name}: name one by its _id ({ids})"
            )
        [user] = found

        async def matches(where: dict[str, Any]) -> bool:
            return await desk.matches(user["_id"], where)

        return await explain(campaign, user, matches, now())


def _print(found: Explanation, campaign: Campaign, redact: Callable[[str], str]) -> None:
    from ozh_notify.users.describe import value  # noqa: PLC0415

    who = f"chat {found.chat_id}, _id {found.user}, {found.first_name or 'without a name'}"
    rows = [(a.question, a.value, "yes" if a.yes else "no", a.why) for a in found.answers]
    print_table(
        f"{found.campaign}: {who}", ("", "this user's", "", "what stands in the way"), rows,
        redact,
    )  # fmt: skip
    if found.delivery:
        state = [
            (key, kept if isinstance(kept, str) else value(kept, campaign.settings))
            for key, kept in found.delivery.items()
        ]
        print_table("delivery state", ("", ""), state, redact)
    console().print(redact(found.verdict), markup=False)
