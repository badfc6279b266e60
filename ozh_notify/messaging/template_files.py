"""Which file each campaign's text comes from, by language; and files that nothing reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ozh_notify.campaigns import Campaign, broken_campaigns, key_of, registry
from ozh_notify.config.settings import Settings
from ozh_notify.errors import ConfigError
from ozh_notify.users.recipient import parse_language

ENCODING = "utf-8-sig"
"""UTF-8; a byte order mark, which some editors write, is not part of the message."""

TEXT_SUFFIXES = frozenset({".html", ".htm", ".toml", ".txt", ".j2", ".jinja", ".jinja2"})
"""Files that look like a text of a campaign; a file with another suffix is left alone."""


@dataclass(frozen=True)
class TemplateFile:
    """The file that a campaign's message in one language is written in."""

    campaign: str
    """As people read it: ``daily-bonus``."""
    language: str
    """Empty for the text that users of all other languages get."""
    path: Path
    built_in: bool
    """It comes with the package, not from a folder of the operator's."""
    describes_campaign: bool = False
    """It says who gets the campaign, too: ``NAME.toml`` in ``OZH_CAMPAIGNS_DIR``."""

    def __str__(self) -> str:
        return "built in" if self.built_in else str(self.path)


@dataclass(frozen=True)
class UnreadFile:
    """A file in a folder of the operator's that no campaign reads."""

    path: Path
    suggestion: str | None
    """The file name that was probably meant."""

    def __str__(self) -> str:
        hint = f": did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.path}: no campaign reads this file{hint}"


def template_files(campaign: Campaign) -> tuple[TemplateFile, ...]:
    """The texts of a campaign, the one without a language first.

    Raises:
        ConfigError: a file name holds something that is not a language code, or two files are
            for one language.
    """
    return (_default_file(campaign, ".html"), *_translations(campaign, ".html"))


def options_files(campaign: Campaign) -> tuple[TemplateFile, ...]:
    """The ``NAME.toml`` files of a campaign; there may be none. Raises as `template_files`."""
    default = _default_file(campaign, ".toml")
    is_there = default.path.is_file()
    return (*([default] if is_there else ()), *_translations(campaign, ".toml"))


def _translations(campaign: Campaign, suffix: str) -> tuple[TemplateFile, ...]:
    """The files of single languages: the operator's, then those beside the campaign's text."""
    files = _translations_in(package_folder(type(campaign)), campaign, suffix, campaign.folder)
    if campaign.settings.templates_dir:
        own = campaign.settings.templates_dir
        files |= _translations_in(own, campaign, suffix, own)
    return tuple(files[language] for language in sorted(files))


def _translations_in(
    folder: Path, campaign: Campaign, suffix: str, operators: Path | None
) -> dict[str, TemplateFile]:
    files: dict[str, TemplateFile] = {}
    for path in sorted(folder.glob(f"{campaign.key}.*{suffix}")):
        language = _language_of(path, campaign.key)
        if language in files:
            raise ConfigError(f"{files[language].path} and {path} are for one language: keep one")
        files[language] = TemplateFile(campaign.name, language, path, built_in=operators is None)
    return files


def best_language(wanted: str, available: Iterable[str]) -> str:
    """The available language that fits best: ``zh-hans-cn``, then ``zh-hans``, then ``zh``.

    Empty, which stands for the text without a language, where none fits.
    """
    known, parts = set(available), wanted.split("-")
    prefixes = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((code for code in prefixes if code in known), "")


def all_unread_files(settings: Settings, *more: Campaign) -> tuple[UnreadFile, ...]:
    """The files in the operator's two folders that no campaign reads.

    ``more`` are campaigns that are not in the registry.
    """
    found: tuple[UnreadFile, ...] = ()
    if settings.templates_dir:
        keys = {*_keys(registry()), *(campaign.key for campaign in more)}
        found += unread_files(settings.templates_dir, keys)
    if settings.campaigns_dir:
        own = [name for name, kind in registry().items() if kind.folder]
        broken = [one.name for one in broken_campaigns()]
        found += unread_files(settings.campaigns_dir, _keys([*own, *broken]))
    return found


def _keys(names: Iterable[str]) -> list[str]:
    return [key_of(name) for name in names]


def unread_files(folder: Path, keys: Iterable[str]) -> tuple[UnreadFile, ...]:
    """The files in a folder of templates that no campaign reads.

    ``keys`` are the campaigns as files spell them. A file that another one names (as
    ``{% include "footer.html" %}`` does) or whose name begins with ``_`` or ``.`` is read.
    """
    known = tuple(keys)
    texts = _texts(folder)
    return tuple(
        UnreadFile(path, _suggestion(path.name, known))
        for path in texts
        if not _is_read(path.name, known) and not _is_named(path.name, texts)
    )


def package_folder(campaign: type[Campaign]) -> Path:
    """The campaign's own folder, or ``templates`` of the package it comes from."""
    if campaign.folder:
        return campaign.folder
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.find_spec(campaign.__module__.partition(".")[0])
    origin = spec.origin if spec else None
    return (Path(origin).parent if origin else Path()) / "templates"


def _default_file(campaign: Campaign, suffix: str) -> TemplateFile:
    name, folder = f"{campaign.key}{suffix}", campaign.settings.templates_dir
    if folder and (own := folder / name).is_file():
        return TemplateFile(campaign.name, "", own, built_in=False)
    path = package_folder(type(campaign)) / name
    is_own = campaign.folder is not None
    return TemplateFile(
        campaign.name,
        "",
        path,
        built_in=not is_own,
        describes_campaign=is_own and suffix == ".toml",
    )


def _language_of(path: Path, key: str) -> str:
    code = path.stem[len(key) + 1 :]
    if language := parse_language(code):
        return language
    raise ConfigError(f"{path}: {code!r} is not a language code such as ru or pt-br")


def _texts(folder: Path) -> Mapping[Path, str]:
    """The files of a folder that look like a text, with what is in them."""
    return {
        path: path.read_text(encoding=ENCODING, errors="replace")
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in TEXT_SUFFIXES and path.name[0] not in "._" and path.is_file()
    }


def _is_read(name: str, keys: tuple[str, ...]) -> bool:
    stem, _, suffix = name.rpartition(".")
    key, _, language = stem.partition(".")
    named_well = suffix in ("html", "toml") and key in keys
    return named_well and (not language or bool(parse_language(language)))


def _is_named(name: str, texts: Mapping[Path, str]) -> bool:
    return any(f'"{name}"' in text or f"'{name}'" in text for text in texts.values())


def _suggestion(name: str, keys: tuple[str, ...]) -> str | None:
    stem, _, suffix = name.rpartition(".")
    first, dot, language = stem.partition(".")
    near = difflib.get_close_matches(first.lower().replace("-", "_"), keys, n=1)
    if not near:
        return None
    suffix = "toml" if suffix.lower() == "toml" else "html"
    language = language if parse_language(language) else ""
    return f"{near[0]}{dot if language else ''}{language}.{suffix}"
