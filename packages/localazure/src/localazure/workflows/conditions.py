"""Conditions of If and Until: one expression, or a tree of comparisons.

A tree is `{"and": [{"greater": ["@x", 0]}, {"not": {"equals": [...]}}]}`: its operators are the names of
the language's logical functions (case does not matter), its operands templates. `and` and `or` look at
their parts in order and stop as soon as the answer is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localazure.errors import ExpressionError, Problem
from localazure.expressions import Scope, Template, parse_template
from localazure.workflows.reader import at, compiled

#: Operators that compare values, in the spelling of the functions.
COMPARISONS = (
    "equals",
    "greater",
    "greaterOrEquals",
    "less",
    "lessOrEquals",
    "contains",
    "startsWith",
    "endsWith",
    "empty",
)
_COMPARISONS = {name.lower(): name for name in COMPARISONS}
_SINGLE_OPERAND = frozenset({"empty"})


@dataclass(frozen=True)
class Expression:
    """A template whose value is the answer."""

    template: Template

    def holds(self, scope: Scope) -> bool:
        """Return the answer; anything but true or false is an error."""
        return _boolean(self.template.evaluate(scope))

    def templates(self) -> Iterator[Template]:
        """Yield the templates in it."""
        yield self.template


@dataclass(frozen=True)
class Comparison:
    """A logical function over operands."""

    function: Template
    operands: tuple[Template, ...]

    def holds(self, scope: Scope) -> bool:
        """Return the answer."""
        values = [operand.evaluate(scope) for operand in self.operands]
        return _boolean(self.function.evaluate(_Operands(values, scope)))

    def templates(self) -> Iterator[Template]:
        """Yield the templates in it."""
        yield from self.operands


@dataclass(frozen=True)
class All:
    """`and`."""

    parts: tuple[Condition, ...]

    def holds(self, scope: Scope) -> bool:
        """Return the answer."""
        return all(part.holds(scope) for part in self.parts)

    def templates(self) -> Iterator[Template]:
        """Yield the templates in it."""
        for part in self.parts:
            yield from part.templates()


@dataclass(frozen=True)
class AnyOf:
    """`or`."""

    parts: tuple[Condition, ...]

    def holds(self, scope: Scope) -> bool:
        """Return the answer."""
        return any(part.holds(scope) for part in self.parts)

    def templates(self) -> Iterator[Template]:
        """Yield the templates in it."""
        for part in self.parts:
            yield from part.templates()


@dataclass(frozen=True)
class Not:
    """`not`."""

    part: Condition

    def holds(self, scope: Scope) -> bool:
        """Return the answer."""
        return not self.part.holds(scope)

    def templates(self) -> Iterator[Template]:
        """Yield the templates in it."""
        yield from self.part.templates()


Condition = Expression | Comparison | All | AnyOf | Not


def read_condition(value: Any, path: str, problems: list[Problem]) -> Condition:
    """Return a condition as it stands in a definition; what is wrong with it is noted."""
    match value:
        case str() | bool():
            return Expression(compiled(value, path, problems))
        case dict() if len(value) == 1:
            operator, operands = next(iter(value.items()))
            return _read_operator(str(operator), operands, at(path, str(operator)), problems)
        case _:
            problems.append(
                Problem(
                    path, "invalid", "expression", "a condition is an expression or one operator's object"
                )
            )
            return Expression(parse_template(False))


def _read_operator(operator: str, operands: Any, path: str, problems: list[Problem]) -> Condition:
    match operator.lower():
        case "and" | "or" as name if isinstance(operands, list):
            parts = tuple(
                read_condition(part, at(path, index), problems) for index, part in enumerate(operands)
            )
            return All(parts) if name == "and" else AnyOf(parts)
        case "not":
            inner = operands[0] if isinstance(operands, list) and len(operands) == 1 else operands
            return Not(read_condition(inner, path, problems))
        case name if name in _COMPARISONS:
            return _read_comparison(_COMPARISONS[name], operands, path, problems)
        case "and" | "or":
            problems.append(Problem(path, "invalid", operator, f"'{operator}' wants an array of conditions"))
        case _:
            known = ", ".join(("and", "or", "not", *COMPARISONS))
            problems.append(
                Problem(path, "unknown-function", operator, f"operator '{operator}' is not one of {known}")
            )
    return Expression(parse_template(False))


def _read_comparison(name: str, operands: Any, path: str, problems: list[Problem]) -> Condition:
    values = operands if isinstance(operands, list) else [operands]
    wanted = 1 if name in _SINGLE_OPERAND else 2
    if len(values) != wanted:
        message = f"'{name}' wants {wanted} operand{'s' * (wanted > 1)}, not {len(values)}"
        problems.append(Problem(path, "invalid", name, message))
        return Expression(parse_template(False))
    arguments = ", ".join(f"parameters('{number}')" for number in range(wanted))
    return Comparison(
        parse_template(f"@{name}({arguments})"),
        tuple(compiled(value, at(path, index), problems) for index, value in enumerate(values)),
    )


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ExpressionError(
        "invalid-template", f"the condition's result {value!r} is not of the expected type 'Boolean'"
    )


class _Operands:
    """The scope a comparison's function is evaluated in: its parameters are the operands."""

    def __init__(self, values: list[Any], outer: Scope) -> None:
        self._values = values
        self._outer = outer

    def parameter(self, name: str) -> Any:
        return self._values[int(name)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outer, name)
