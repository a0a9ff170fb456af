"""The math functions.

Two integers give an integer of 64 bits, and what does not fit is an error; a decimal makes the other number a
decimal; else a float makes the other a float, and what is too large is infinite.
"""

import math
import secrets
from collections.abc import Callable
from decimal import Decimal

from localazure.errors import ExpressionError
from localazure.expressions.decimals import EXACT, checked, decimal_of
from localazure.expressions.signatures import INTEGER, NATURAL, NUMBER, NUMBERS, Group
from localazure.expressions.values import INT64_MAX, INT64_MIN, JSON, float_of, kind_of

MATH = Group("math")

Number = int | float | Decimal

RANGE_COUNT_MAX = 100_000
RANGE_SUM_MAX = 2_147_483_647


def _alike(*numbers: Number) -> tuple[Number, ...]:
    """Return numbers as one type: decimal if one is, else float if one is, else integer."""
    if any(isinstance(number, Decimal) for number in numbers):
        return tuple(decimal_of(number) for number in numbers)
    if any(isinstance(number, float) for number in numbers):
        return tuple(float_of(number) for number in numbers)
    return numbers


def _calculate(name: str, operation: Callable[[JSON, JSON], JSON], left: Number, right: Number) -> Number:
    left, right = _alike(left, right)
    result: Number = operation(left, right)
    if isinstance(result, Decimal):
        return checked(result)
    if isinstance(result, int) and not INT64_MIN <= result <= INT64_MAX:
        raise ExpressionError("invalid-template", f"the result of {name} does not fit into 64 bits")
    return result


def _check_divisor(name: str, divisor: Number) -> None:
    if divisor == 0:
        raise ExpressionError("invalid-template", f"{name} cannot divide by zero")


@MATH.declare("add", takes={"summand_1": NUMBER, "summand_2": NUMBER})
def _add(left: Number, right: Number) -> Number:
    return _calculate("add", lambda a, b: EXACT.add(a, b) if isinstance(a, Decimal) else a + b, left, right)


@MATH.declare("sub", takes={"minuend": NUMBER, "subtrahend": NUMBER})
def _sub(left: Number, right: Number) -> Number:
    subtract = EXACT.subtract
    return _calculate("sub", lambda a, b: subtract(a, b) if isinstance(a, Decimal) else a - b, left, right)


@MATH.declare("mul", takes={"multiplicand1": NUMBER, "multiplicand2": NUMBER})
def _mul(left: Number, right: Number) -> Number:
    multiply = EXACT.multiply
    return _calculate("mul", lambda a, b: multiply(a, b) if isinstance(a, Decimal) else a * b, left, right)


@MATH.declare("div", takes={"dividend": NUMBER, "divisor": NUMBER})
def _div(dividend: Number, divisor: Number) -> Number:
    return _calculate("div", _quotient, dividend, divisor)


def _quotient(left: JSON, right: JSON) -> JSON:
    _check_divisor("div", right)
    match left:
        case int():
            quotient = abs(left) // abs(right)
            return quotient if (left < 0) == (right < 0) else -quotient
        case Decimal():
            return EXACT.normalize(EXACT.divide(left, right))
        case _:
            return left / right


@MATH.declare("mod", takes={"dividend": NUMBER, "divisor": NUMBER})
def _mod(dividend: Number, divisor: Number) -> Number:
    return _calculate("mod", _remainder, dividend, divisor)


def _remainder(left: JSON, right: JSON) -> JSON:
    """Return the remainder, with the dividend's sign."""
    _check_divisor("mod", right)
    match left:
        case int():
            remainder = abs(left) % abs(right)
            return -remainder if left < 0 else remainder
        case Decimal():
            return EXACT.remainder(left, right)
        case _:
            return math.fmod(left, right) if math.isfinite(left) else math.nan


def _numbers(name: str, values: tuple[JSON, ...]) -> tuple[Number, ...]:
    numbers = tuple(values[0]) if len(values) == 1 and isinstance(values[0], list) else values
    for number in numbers:
        if not NUMBER.fits(number):
            message = (
                f"{name} expects numbers or one array of numbers; a value is of type '{kind_of(number)}'"
            )
            raise ExpressionError("invalid-type", message)
    if not numbers:
        raise ExpressionError("invalid-template", f"{name} expects at least one number")
    return _alike(*numbers)


@MATH.declare("max", takes={"number1": NUMBERS}, repeats=True)
def _max(*values: JSON) -> Number:
    return max(_numbers("max", values))


@MATH.declare("min", takes={"number1": NUMBERS}, repeats=True)
def _min(*values: JSON) -> Number:
    return min(_numbers("min", values))


@MATH.declare("rand", takes={"minValue": INTEGER, "maxValue": INTEGER})
def _rand(least: int, limit: int) -> int:
    if least >= limit:
        message = f"rand expects a maximum, which it does not reach, above the minimum {least}, not {limit}"
        raise ExpressionError("invalid-template", message)
    return least + secrets.randbelow(limit - least)


@MATH.declare("range", takes={"startIndex": INTEGER, "count": NATURAL})
def _range(start: int, count: int) -> list[JSON]:
    if count > RANGE_COUNT_MAX or start + count > RANGE_SUM_MAX:
        message = (
            f"range gives at most {RANGE_COUNT_MAX} integers, and the sum of start and count is at most "
            f"{RANGE_SUM_MAX}; it was asked for {count} from {start} on"
        )
        raise ExpressionError("invalid-template", message)
    return list(range(start, start + count))
