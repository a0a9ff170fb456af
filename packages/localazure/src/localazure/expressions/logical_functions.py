"""The logical functions. `and`, `or`, `if` and `coalesce` evaluate only the arguments that they need."""

import operator
from collections.abc import Callable
from decimal import Decimal

from localazure.errors import ExpressionError
from localazure.expressions.signatures import ANY, BOOLEAN, COMPARABLE, Group
from localazure.expressions.values import JSON, is_nan, kind_of, same

LOGICAL = Group("logical")

Thunk = Callable[[], JSON]


def _truth(name: str, value: JSON) -> bool:
    if isinstance(value, bool):
        return value
    message = (
        f"the template function '{name}' expects its condition to be a boolean. "
        f"The provided value is of type '{kind_of(value)}'"
    )
    raise ExpressionError("invalid-type", message)


@LOGICAL.declare("and", takes={"expression1": BOOLEAN}, repeats=True, lazy=True)
def _and(*conditions: Thunk) -> bool:
    return all(_truth("and", condition()) for condition in conditions)


@LOGICAL.declare("or", takes={"expression1": BOOLEAN}, repeats=True, lazy=True)
def _or(*conditions: Thunk) -> bool:
    return any(_truth("or", condition()) for condition in conditions)


@LOGICAL.declare("if", takes={"expression": BOOLEAN, "valueIfTrue": ANY, "valueIfFalse": ANY}, lazy=True)
def _if(condition: Thunk, value_if_true: Thunk, value_if_false: Thunk) -> JSON:
    return value_if_true() if _truth("if", condition()) else value_if_false()


@LOGICAL.declare("coalesce", takes={"object1": ANY}, repeats=True, lazy=True)
def _coalesce(*values: Thunk) -> JSON:
    for value in values:
        if (found := value()) is not None:
            return found
    return None


@LOGICAL.declare("not", takes={"expression": BOOLEAN})
def _not(condition: bool) -> bool:
    return not condition


@LOGICAL.declare("equals", takes={"object1": ANY, "object2": ANY})
def _equals(left: JSON, right: JSON) -> bool:
    # Documented for this function alone: equals(true, 1) is true.
    if isinstance(left, bool) != isinstance(right, bool) and _is_number(left) and _is_number(right):
        return bool(left == right)
    return same(left, right)


def _is_number(value: JSON) -> bool:
    return isinstance(value, (bool, int, float, Decimal))


def _compare(name: str, left: JSON, right: JSON, compares: Callable[[JSON, JSON], bool]) -> bool:
    if isinstance(left, str) != isinstance(right, str):
        message = (
            f"the template function '{name}' expects two parameters of matching types. It was invoked with "
            f"values of type '{kind_of(left)}' and '{kind_of(right)}'"
        )
        raise ExpressionError("invalid-type", message)
    return not (is_nan(left) or is_nan(right)) and compares(left, right)


@LOGICAL.declare("greater", takes={"value": COMPARABLE, "compareTo": COMPARABLE})
def _greater(left: JSON, right: JSON) -> bool:
    return _compare("greater", left, right, operator.gt)


@LOGICAL.declare("greaterOrEquals", takes={"value": COMPARABLE, "compareTo": COMPARABLE})
def _greater_or_equals(left: JSON, right: JSON) -> bool:
    return _compare("greaterOrEquals", left, right, operator.ge)


@LOGICAL.declare("less", takes={"value": COMPARABLE, "compareTo": COMPARABLE})
def _less(left: JSON, right: JSON) -> bool:
    return _compare("less", left, right, operator.lt)


@LOGICAL.declare("lessOrEquals", takes={"value": COMPARABLE, "compareTo": COMPARABLE})
def _less_or_equals(left: JSON, right: JSON) -> bool:
    return _compare("lessOrEquals", left, right, operator.le)
