"""What is wrong with a variable, as a value; the text for people is made here alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or looks wrong, and what to do about it."""

    variable: str
    """The variable to correct; empty where the whole env file is unreadable."""
    text: str
    """What is wrong, without the variable's name and without its value."""
    remedy: str = ""
    """What to do; empty where the text says enough."""

    def __str__(self) -> str:
        named = f"{self.variable}: {self.text}" if self.variable else self.text
        return f"{named}; {self.remedy}" if self.remedy else named

    def concerns(self, *prefixes: str) -> bool:
        """Whether it is about a variable with one of these prefixes.

        An unreadable env file concerns them all.
        """
        return not self.variable or self.variable.startswith(prefixes)


def first_of_each(problems: Iterable[Problem]) -> list[Problem]:
    """One problem per variable: a value that cannot be read also counts as missing later."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.variable.removesuffix("_FILE") or problem.text, problem)
    return list(first.values())


def render(head: str, problems: Sequence[Problem]) -> str:
    """A head line, and one line per problem."""
    return "\n".join([head, *(f"  - {problem}" for problem in problems)])
