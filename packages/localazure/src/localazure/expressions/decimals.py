"""Decimal numbers as .NET has them: 96 bits of digits and at most 28 of them after the point."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, Overflow

from localazure.errors import ExpressionError

DECIMAL_MAX = 2**96 - 1
SCALE_MAX = 28

#: Digits enough for the exact product of two decimals, which is rounded afterwards.
EXACT = Context(
    prec=80, rounding=ROUND_HALF_EVEN, Emax=10_000, Emin=-10_000, traps=[InvalidOperation, Overflow]
)


def decimal_of(value: float | Decimal) -> Decimal:
    """Return a number as a decimal; of a float the 15 digits that are certain.

    Raises:
        ExpressionError: too large, or no number.
    """
    if isinstance(value, float):
        return checked(Decimal(f"{value:.15g}"))
    return checked(Decimal(value))


def checked(value: Decimal) -> Decimal:
    """Return a decimal rounded to what .NET keeps of it.

    Raises:
        ExpressionError: too large for a decimal, or no number.
    """
    if not value.is_finite() or value.copy_abs() >= DECIMAL_MAX + 1:
        raise ExpressionError("invalid-template", "the value was either too large or too small for a decimal")
    exponent = value.as_tuple().exponent
    scale = max(0, -int(exponent))
    rounded = value
    for places in range(min(scale, SCALE_MAX), -1, -1):
        rounded = value.quantize(Decimal(1).scaleb(-places), context=EXACT)
        if abs(int(rounded.scaleb(places, context=EXACT))) <= DECIMAL_MAX:
            return rounded
    raise ExpressionError("invalid-template", "the value was either too large or too small for a decimal")
