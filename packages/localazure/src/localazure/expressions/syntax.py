"""The syntax tree of one expression.

Positions are offsets in characters into the text that the workflow writes, from 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, boolean or null."""

    value: str | int | float | bool | None
    position: int


@dataclass(frozen=True, slots=True)
class ArrayLiteral:
    """An array written in brackets."""

    items: tuple["Expression", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; the name as it is written."""

    name: str
    arguments: tuple["Expression", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Step:
    """One property or index selected; `optional` gives null for what is not there."""

    key: "Expression"
    optional: bool
    position: int


@dataclass(frozen=True, slots=True)
class Access:
    """A value and what is selected from it, step by step."""

    base: "Expression"
    steps: tuple[Step, ...]
    position: int


Expression = Literal | ArrayLiteral | Call | Access


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and all that it contains, outermost first."""
    pending: list[Expression] = [expression]
    while pending:
        node = pending.pop()
        yield node
        match node:
            case Call(arguments=children) | ArrayLiteral(items=children):
                pending.extend(reversed(children))
            case Access(base=base, steps=steps):
                pending.extend(step.key for step in reversed(steps))
                pending.append(base)
            case Literal():
                pass
