"""Templates, rendered for users of each language as a pass would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.composer import SAMPLE_NAMES, Composer, Unrenderable
from ozh_notify.messaging.message import plain_text
from ozh_notify.messaging.template_files import TemplateFile, UnreadFile, unread_files
from ozh_notify.operator.check.offer import offer_result
from ozh_notify.operator.check.result import CheckResult, Verdict, ok, problem, warning
from ozh_notify.users import recipient
from ozh_notify.users.recipient import at_path

LONGEST = 60
"""Characters of a message that are shown."""


def template_results(
    sample: Sequence[dict[str, Any]], campaigns: Sequence[Campaign]
) -> list[CheckResult]:
    """A result for each text of each campaign, and for each file that no campaign reads."""
    results = [result for campaign in campaigns for result in _of(campaign, sample)]
    return [*results, *(_unread(file) for file in _unread_files(campaigns))]


def _unread_files(campaigns: Sequence[Campaign]) -> tuple[UnreadFile, ...]:
    folder = campaigns[0].settings.templates_dir if campaigns else None
    return unread_files(folder, [campaign.key for campaign in campaigns]) if folder else ()


def _unread(file: UnreadFile) -> CheckResult:
    subject, found = f"template {file.path.name}", "no campaign reads this file"
    if file.suggestion:
        return problem(subject, found, f"rename it: did you mean {file.suggestion}?")
    return warning(subject, found, "name it after a campaign, or begin its name with _")


def _of(campaign: Campaign, sample: Sequence[dict[str, Any]]) -> Iterator[CheckResult]:
    try:
        composer = Composer(campaign)
    except ConfigError as error:
        yield problem(f"template {campaign.key}", str(error))
        return
    users = [_who(user, campaign) for user in sample]
    for language in ("", *composer.languages):
        subject = f"template {campaign.key}{'.' if language else ''}{language}"
        mine = [user for user in users if composer.language_for(user[2]) == language]
        rendered = _rendered(
            subject, composer, mine or [(None, SAMPLE_NAMES[0], language)], len(mine)
        )
        file = composer.file_for(language)
        yield _with_file(rendered, file, campaign)
    if campaign.name == "discount":
        yield offer_result(campaign.settings, composer.words)


def _with_file(result: CheckResult, file: TemplateFile, campaign: Campaign) -> CheckResult:
    """The result with the text's file; a built-in text although a folder is set is a warning."""
    named = replace(result, finding=f"{file}: {result.finding}")
    if not (file.built_in and campaign.settings.templates_dir) or result.verdict is not Verdict.OK:
        return named
    missing = campaign.settings.templates_dir / file.path.name
    return replace(named, verdict=Verdict.WARNING, remedy=f"{missing} does not exist")


def _who(user: dict[str, Any], campaign: Campaign) -> tuple[Any, str, str]:
    s = campaign.settings
    name = recipient.clean_name(at_path(user, s.field_first_name))
    return user["_id"], name, recipient.parse_language(at_path(user, s.field_language))


def _rendered(
    subject: str, composer: Composer, users: Sequence[tuple[Any, str, str]], count: int
) -> CheckResult:
    message = None
    for user_id, name, code in users:
        try:
            message = composer.compose(name, code)
        except Unrenderable as error:
            return problem(subject, f"fails for the user {user_id}: {error}")
    text = " ".join(plain_text(message).split()) if message else ""
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    button = "".join(f" [ {one.text} ]" for one in message.buttons) if message else ""
    users_shown = f"rendered for {count} users of the sample: " if count else ""
    return ok(subject, f"{users_shown}{shown}{button}")
