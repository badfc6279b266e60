"""Fields of the user's document in a template: ``user.<path>``, empty where there is none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes

from ozh_notify.errors import ConfigError
from ozh_notify.users.recipient import BIDI, MISSING

USER = "user"
"""The word that stands for the user's document."""

LONGEST = 1000
"""Characters of a field that a template gets: a document may hold megabytes."""


class UserFields:
    """A user's document, or an object in it, with the fields that a template may name.

    Not a dict: Jinja would take ``user.items`` for its method.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__values = values  # a field may have any name, this one too

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return plain(self.__values.get(name, MISSING), name)

    def __getitem__(self, name: object) -> Any:
        return plain(self.__values.get(str(name), MISSING), str(name))

    def __bool__(self) -> bool:
        return bool(self.__values)

    def __str__(self) -> str:
        return ""


def nested(fields: Mapping[str, Any]) -> UserFields:
    """The object that templates see as ``user``, from values by dotted path.

    No path is inside another one.
    """
    root: dict[str, Any] = {}
    for path, value in fields.items():
        *holders, last = path.split(".")
        inside = root
        for name in holders:
            inside = inside.setdefault(name, {})
        if value is not MISSING:
            inside[last] = value
    return UserFields(root)


def plain(value: Any, name: str = "") -> Any:
    """A BSON value as a template can use it; nothing in a document breaks a message."""
    if value is MISSING or value is None:
        return jinja2.ChainableUndefined(name=name)
    if isinstance(value, Mapping):
        return UserFields(value)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool | int | float | datetime):
        return value
    if hasattr(value, "to_decimal"):  # Decimal128, which this room does not import
        return value.to_decimal()
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(plain(one) for one in value[:100])
    return (
        clean(str(value))
        if type(value).__name__ == "ObjectId"
        else jinja2.ChainableUndefined(name=name)
    )


def cut(value: Any, length: int) -> Any:
    """A value of a document with its texts cut to ``length`` characters."""
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, Mapping):
        return {key: cut(one, length) for key, one in value.items()}
    return [cut(one, length) for one in value[:1]] if isinstance(value, list) else value


def clean(text: str) -> str:
    """Text of a document without what would break or disguise a message; lines stay lines."""
    shown = "".join(
        character if character.isprintable() or character == "\n" else " "
        for character in text[:LONGEST]
        if character not in BIDI and unicodedata.category(character) not in ("Cs", "Co", "Cn")
    )
    return shown.strip()


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths that are not inside another one: a value holds what is inside it."""
    every = set(paths)
    inner = {path for path in every for other in every if path.startswith(f"{other}.")}
    return tuple(sorted(every - inner))


def paths_in(
    env: jinja2.Environment, path: str, source: str, *, first_line: int = 1
) -> frozenset[str]:
    """The dotted paths of the user's document that a template names.

    The template begins in ``first_line`` of the file at ``path``.

    Raises:
        ConfigError: ``user`` stands without the name of a field; with file and line.
    """
    try:
        return frozenset(_walk(env.parse(source), called=False))
    except _BareUser as error:
        raise ConfigError(
            f"{path}:{error.line + first_line - 1}: {USER!r} stands for the user's document: "
            f"name a field, as in {USER}.first_name"
        ) from None


class _BareUser(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _walk(node: nodes.Node, *, called: bool) -> Iterator[str]:
    path = _path(node)
    if path is None:
        for child in node.iter_child_nodes():
            yield from _walk(child, called=isinstance(node, nodes.Call) and child is node.node)
        return
    parts = path[:-1] if called else path  # in user.name.upper() the last part is a method
    if not parts or any(not part or "." in part or part.startswith("$") for part in parts):
        raise _BareUser(node.lineno)
    yield ".".join(parts)


def _path(node: nodes.Node) -> tuple[str, ...] | None:
    """The names after ``user`` where a node is such a path; None for any other node."""
    if isinstance(node, nodes.Name):
        return () if node.name == USER else None
    if isinstance(node, nodes.Getattr):
        before = _path(node.node)
        return None if before is None else (*before, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        before, key = _path(node.node), node.arg.value
        return None if before is None or not isinstance(key, str) else (*before, key)
    return None
