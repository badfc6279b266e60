"""Loads the settings: gathers the variables, checks them, reports all problems at once.

The environment is read here and nowhere else.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ozh_notify.config.combinations import check_combinations
from ozh_notify.config.env_file import no_env_file, open_to_all, read_env_file, read_error
from ozh_notify.config.experiment_settings import BUILT_IN, check_experiments, settings_class
from ozh_notify.config.problem import Problem, first_of_each, render
from ozh_notify.config.settings import SECRETS, Settings, variables
from ozh_notify.config.zone import local_zone
from ozh_notify.errors import ConfigError

NO_URI = Problem("MONGO_URI", "missing", "set it, or name in MONGO_URI_FILE a file that holds it")
NO_TOKEN = Problem(
    "TELEGRAM_BOT_TOKEN",
    "missing",
    "set it to the bot's token, from @BotFather, "
    "or name in TELEGRAM_BOT_TOKEN_FILE a file that holds it",
)
MISSING = (NO_URI, NO_TOKEN)
ZONE_REMEDY = "set OZH_TIMEZONE to a name such as Europe/Moscow"
INVISIBLE = r"[\s\0\ufeff\u200b-\u200d\u2060]+"
"""What editors and consoles leave at the ends of a text: blanks, a byte order mark, NUL."""


def load(
    env_file: Path | None,
    environ: Mapping[str, str] = os.environ,
    *,
    needs_token: bool = False,
    declared: tuple[str, ...] = (),
    periods: Mapping[str, str] = BUILT_IN,
    options: Mapping[str, float | None] | None = None,
) -> tuple[Settings, list[Problem]]:
    """Settings from the environment over a ``.env``, and warnings about them.

    ``declared`` names variables that campaigns of other packages read from ``others``. ``periods``
    has the ``once`` of every campaign by its key: each campaign may have an experiment.
    ``options`` are command-line values by variable name; None means not given.

    Raises:
        ConfigError: with all problems at once, each with the variable's name.
    """
    settings, problems, warnings = examine(
        env_file,
        environ,
        needs_token=needs_token,
        declared=declared,
        periods=periods,
        options=options,
    )
    if problems:
        several = "problems" if len(problems) > 1 else "a problem"
        # A mistyped variable may be why another one is missing.
        raise ConfigError(render(f"the settings have {several}:", [*problems, *warnings]))
    return settings, warnings


def examine(
    env_file: Path | None,
    environ: Mapping[str, str] = os.environ,
    *,
    needs_token: bool = False,
    declared: tuple[str, ...] = (),
    periods: Mapping[str, str] = BUILT_IN,
    options: Mapping[str, float | None] | None = None,
) -> tuple[Settings, list[Problem], list[Problem]]:
    """Settings of everything that is valid, the problems of the rest, and the warnings.

    A variable with a problem has its default value in these settings; ``MONGO_URI`` has none, and
    stands for a server that does not exist.
    """
    kind = settings_class(periods)
    values, problems, warnings = gather(env_file, environ, _known(kind))
    values.update({name: value for name, value in (options or {}).items() if value is not None})
    if needs_token and "TELEGRAM_BOT_TOKEN" not in values:
        problems.append(NO_TOKEN)
    values["env_file"] = env_file
    if "OZH_TIMEZONE" not in values:
        try:
            values["local_zone"] = local_zone(_clean(environ.get("TZ", "")))
        except ValueError as error:
            problems.append(Problem("OZH_TIMEZONE", f"not set, and {error}", ZONE_REMEDY))
    others = {n: v for n, v in values.items() if n.startswith("OZH_") and n not in variables(kind)}
    settings, wrong = _validate(kind, {**values, "others": others})
    problems += [*wrong, *check_combinations(settings), *check_experiments(settings, periods)]
    problems = first_of_each(problems)
    warnings += [_unknown(name, _known(kind)) for name in others if name not in declared]
    if any(problem in MISSING for problem in problems) and (absent := no_env_file(env_file)):
        warnings.append(absent)
    return settings, problems, warnings


def gather(
    env_file: Path | None, environ: Mapping[str, str], known: list[str]
) -> tuple[dict[str, Any], list[Problem], list[Problem]]:
    """Clean values by variable name, with secrets read from their files; problems; warnings."""
    from_file, problems = read_env_file(env_file, known)
    held = [name for name in SECRETS if from_file.get(name)]
    warnings = [one for one in (open_to_all(env_file, held),) if one]
    merged = {**from_file, **environ}
    values = {n: _clean(v) for n, v in merged.items() if v is not None and _clean(v)}
    for name in SECRETS:
        file = values.pop(f"{name}_FILE", None)
        if file is None:
            continue
        if name in values:
            problems.append(Problem(name, f"{name}_FILE is set, too", "keep one of them"))
            continue
        text, wrong = _read_secret(file)
        if text:
            values[name] = text
        else:
            problems.append(Problem(f"{name}_FILE", wrong))
    return values, problems, warnings


def _clean(value: str) -> str:
    """Without blanks at the ends and one pair of quotes: `docker --env-file` keeps the quotes."""
    value = _trim(value)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = _trim(value[1:-1])
    return value


def _trim(value: str) -> str:
    return re.sub(rf"^{INVISIBLE}|{INVISIBLE}$", "", value)


def _read_secret(file: str) -> tuple[str, str]:
    """A secret from its file, or what is wrong with the file."""
    try:
        text = _clean(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return "", f"{file} cannot be read: {read_error(error)}"
    return text, "" if text else f"{file} is empty"


def _validate(kind: type[Settings], values: dict[str, Any]) -> tuple[Settings, list[Problem]]:
    """Settings of what is valid, and what is wrong with the rest."""
    try:
        return kind(**values), []
    except ValidationError as error:
        wrong = {str(e["loc"][0]): _problem(e) for e in error.errors()}
    valid = {name: value for name, value in values.items() if name not in wrong}
    return kind(**{"MONGO_URI": "mongodb://unset/unset", **valid}), list(wrong.values())


def _problem(error: Any) -> Problem:
    """One error of pydantic in our words; its own text could quote the value."""
    name, kind, context = str(error["loc"][0]), error["type"], error.get("ctx", {})
    if kind == "missing":
        return NO_URI  # the only variable that every command needs
    if kind == "value_error":
        return Problem(name, str(context["error"]))
    if kind == "literal_error":
        return Problem(name, f"expected {context['expected']}")
    bounds = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    for key, words in bounds.items():
        if key in context:
            return Problem(name, f"expected a number {words} {context[key]:g}")
    if kind.startswith(("int", "float")):
        return Problem(name, f"expected a {'whole ' if kind.startswith('int') else ''}number")
    return Problem(name, str(error["msg"]))


def _known(kind: type[Settings]) -> list[str]:
    """Every name that is understood: variables, and the ``…_FILE`` forms of secrets."""
    return [*variables(kind), *(f"{secret}_FILE" for secret in SECRETS)]


def _unknown(name: str, known: list[str]) -> Problem:
    near = difflib.get_close_matches(name, known, n=1)
    return Problem(name, "not a known variable", f"did you mean {near[0]}?" if near else "")
