"""Evaluates syntax trees: functions by their signatures, properties and indexes."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from localazure.errors import ExpressionError
from localazure.expressions.registry import find
from localazure.expressions.scope import Scope
from localazure.expressions.signatures import Function
from localazure.expressions.syntax import Access, ArrayLiteral, Call, Expression, Literal, Step
from localazure.expressions.values import kind_of, lookup

JSON = Any


def evaluate(expression: Expression, scope: Scope) -> JSON:
    """Return the value of an expression.

    Raises:
        ExpressionError: with the position of the innermost call or step that failed, within the expression.
    """
    match expression:
        case Literal(value=value):
            return value
        case Call():
            return _call(expression, scope)
        case Access():
            return _access(expression, scope)
        case ArrayLiteral(items=items):
            return [evaluate(item, scope) for item in items]


def _call(call: Call, scope: Scope) -> JSON:
    function = find(call.name)
    try:
        if function is None:
            raise unknown_function(call.name)
        function.check_arity(len(call.arguments))
        if function.lazy:
            return function.body(*[partial(evaluate, argument, scope) for argument in call.arguments])
        arguments = [evaluate(argument, scope) for argument in call.arguments]
        return _apply(function, arguments, scope)
    except ExpressionError as error:
        if error.position is None:
            error.position = call.position
        raise


def _apply(function: Function, arguments: list[JSON], scope: Scope) -> JSON:
    function.check_types(arguments)
    if not function.needs_scope:
        return function.body(*arguments)
    try:
        return function.body(scope, *arguments)
    except LookupError as exc:
        named = f" '{arguments[0]}'" if arguments else ""
        message = f"{function.name}({named.strip()}) cannot be evaluated: there is nothing of that name here"
        raise ExpressionError("not-found", message) from exc


def unknown_function(name: str) -> ExpressionError:
    """Return the error for a function that the language does not have."""
    return ExpressionError("unknown-function", f"the template function '{name}' is not defined or not valid")


def _access(access: Access, scope: Scope) -> JSON:
    value = evaluate(access.base, scope)
    for step in access.steps:
        key = evaluate(step.key, scope)
        try:
            value = _select(value, key, step)
        except ExpressionError as error:
            if error.position is None:
                error.position = step.position
            raise
    return value


def _select(value: JSON, key: JSON, step: Step) -> JSON:
    match value, key:
        case None, _:
            if step.optional:
                return None
            message = f"{_named(key)} cannot be selected from null; use '?' where the value may be missing"
            raise ExpressionError("invalid-template", message)
        case Mapping(), str():
            return _property(value, key, step)
        case Sequence(), int() if not isinstance(value, str) and not isinstance(key, bool):
            return _item(value, key, step)
        case _:
            message = f"{_named(key)} cannot be selected from a value of type '{kind_of(value)}'"
            raise ExpressionError("invalid-template", message)


def _named(key: JSON) -> str:
    return f"property '{key}'" if isinstance(key, str) else f"index '{key}'"


def _property(value: Mapping[str, JSON], key: str, step: Step) -> JSON:
    found = lookup(value, key)
    if found is not None:
        return value[found]
    if step.optional:
        return None
    available = ", ".join(list(value)[:20]) or "none"
    message = f"property '{key}' doesn't exist, available properties are: {available}"
    raise ExpressionError("invalid-template", message)


def _item(value: Sequence[JSON], key: int, step: Step) -> JSON:
    if 0 <= key < len(value):
        return value[key]
    if step.optional:
        return None
    message = f"array index '{key}' is outside of the array, which has {len(value)} items"
    raise ExpressionError("invalid-template", message)
