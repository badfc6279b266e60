"""Templates, rendered for users of each language as a pass would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ozh_notify.campaigns import Campaign
from ozh_notify.errors import ConfigError
from ozh_notify.messaging.composer import SAMPLE_NAMES, Composer, Unrenderable
from ozh_notify.messaging.message import plain_text
from ozh_notify.messaging.template_files import TemplateFile, UnreadFile, all_unread_files
from ozh_notify.operator.check.offer import offer_result
from ozh_notify.operator.check.result import CheckResult, CheckVerdict, ok, problem, warning
from ozh_notify.users import recipient
from ozh_notify.users.recipient import MISSING, at_path

LONGEST = 60
"""Characters of a message that are shown."""


SampledUser = tuple[Any, str, str, dict[str, Any]]
"""A user's `_id`, first name, language and document."""


def template_results(
    sample: Sequence[dict[str, Any]], campaigns: Sequence[Campaign]
) -> list[CheckResult]:
    """A result for each text of each campaign, and for each file that no campaign reads."""
    results = [result for campaign in campaigns for result in _of(campaign, sample)]
    unread = all_unread_files(campaigns[0].settings, *campaigns) if campaigns else ()
    return [*results, *(_unread(file) for file in unread)]


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
            subject, composer, mine or [(None, SAMPLE_NAMES[0], language, {})], len(mine)
        )
        file = composer.file_for(language)
        yield _with_file(rendered, file, campaign, replaced=bool(composer.options_files))
    for path in composer.user_paths if sample else ():
        yield _field(campaign, path, sample)
    if campaign.name == "discount":
        yield offer_result(campaign.settings, composer.words)


def _field(campaign: Campaign, path: str, sample: Sequence[dict[str, Any]]) -> CheckResult:
    """How many users of the sample have a field that the message names, and of which types."""
    values = [recipient.fields_at(user, [path])[path] for user in sample]
    types = sorted({type(value).__name__ for value in values if value not in (MISSING, None)})
    count = sum(value not in (MISSING, None) for value in values)
    subject, finding = f"template {campaign.key}: user.{path}", f"in {count} of {len(sample)} users"
    if not count:
        return warning(subject, finding, "is it the right name? the message shows nothing there")
    return ok(subject, f"{finding}: {', '.join(types)}")


def _with_file(
    result: CheckResult, file: TemplateFile, campaign: Campaign, *, replaced: bool
) -> CheckResult:
    """The result with the text's file.

    A built-in text although a folder is set is a warning, unless the folder has ``NAME.toml``
    (``replaced``) for the campaign.
    """
    named = replace(result, finding=f"{file}: {result.finding}")
    folder = campaign.settings.templates_dir
    if not (file.built_in and folder) or replaced or result.verdict is not CheckVerdict.OK:
        return named
    missing = folder / file.path.name
    return replace(named, verdict=CheckVerdict.WARNING, remedy=f"{missing} does not exist")


def _who(user: dict[str, Any], campaign: Campaign) -> SampledUser:
    s = campaign.settings
    name = recipient.clean_name(at_path(user, s.field_first_name))
    return user["_id"], name, recipient.parse_language(at_path(user, s.field_language)), user


def _rendered(
    subject: str, composer: Composer, users: Sequence[SampledUser], count: int
) -> CheckResult:
    message = None
    for user_id, name, code, document in users:
        try:
            message = composer.compose(name, code, 0, composer.fields_of(document))
        except Unrenderable as error:
            return problem(subject, f"fails for the user {user_id}: {error}")
    text = " ".join(plain_text(message).split()) if message else ""
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    button = "".join(f" [ {one.text} ]" for one in message.buttons) if message else ""
    users_shown = f"rendered for {count} users of the sample: " if count else ""
    return ok(subject, f"{users_shown}{shown}{button}")
