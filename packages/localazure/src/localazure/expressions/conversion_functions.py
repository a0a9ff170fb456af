"""The conversion functions between simple types, and between JSON and text."""

import math
from decimal import Decimal

from localazure.errors import ExpressionError
from localazure.expressions.cultures import culture
from localazure.expressions.decimals import checked, decimal_of
from localazure.expressions.number_parsing import parse_decimal, parse_float
from localazure.expressions.signatures import ANY, DOCUMENT, NUMERIC, SCALAR, STRING, Group
from localazure.expressions.values import (
    INT64_MAX,
    INT64_MIN,
    JSON,
    content_bytes,
    float_of,
    is_content,
    is_xml,
    kind_of,
    parse_json,
    text_of,
)
from localazure.expressions.xml_documents import parse_xml_content
from localazure.expressions.xml_json import xml_to_json

CONVERSION = Group("conversion")


def _refusal(name: str, value: JSON) -> ExpressionError:
    shown = text_of(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return ExpressionError("invalid-template", f"{name} cannot convert '{shown}'")


@CONVERSION.declare("array", takes={"value": ANY})
def _array(value: JSON) -> list[JSON]:
    return [value]


@CONVERSION.declare("createArray", takes={"object1": ANY}, repeats=True)
def _create_array(*values: JSON) -> list[JSON]:
    return list(values)


@CONVERSION.declare("bool", takes={"value": SCALAR})
def _bool(value: JSON) -> bool:
    if not isinstance(value, str):
        return bool(value)
    match value.strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise _refusal("bool", value)


@CONVERSION.declare("int", takes={"value": NUMERIC})
def _int(value: str | float | Decimal) -> int:
    # Text goes by way of a float, as in Azure: from 2^53 on the last digits are lost.
    number = parse_float(value, trailing_sign=False) if isinstance(value, str) else value
    if isinstance(number, int):
        return number
    if isinstance(value, str) and number is not None and math.isnan(number):
        return INT64_MIN
    if number is None or not math.isfinite(number) or number != math.trunc(number):
        raise _refusal("int", value)
    whole = math.trunc(number)
    if INT64_MIN <= whole <= INT64_MAX:
        return whole
    if isinstance(value, str):
        return INT64_MIN  # what the processor makes of a float that does not fit
    raise _refusal("int", value)


@CONVERSION.declare("float", takes={"value": NUMERIC}, optional={"locale": STRING})
def _float(value: str | float | Decimal, locale: str = "") -> float:
    if not isinstance(value, str):
        return float_of(value)
    number = parse_float(value, culture(locale))
    if number is None:
        raise _refusal("float", value)
    return number


@CONVERSION.declare("decimal", takes={"value": NUMERIC})
def _decimal(value: str | float | Decimal) -> Decimal:
    if not isinstance(value, str):
        return decimal_of(value)
    number = parse_decimal(value)
    if number is None:
        raise _refusal("decimal", value)
    return checked(number)


@CONVERSION.declare("string", takes={"value": ANY})
def _string(value: JSON) -> str:
    return text_of(value)


@CONVERSION.declare("json", takes={"value": DOCUMENT})
def _json(value: JSON) -> JSON:
    if value is None:
        return {}  # documented: "If the string is null, the function returns an empty object"
    if isinstance(value, str):
        return parse_json(value.removeprefix("\ufeff"))
    if is_xml(value):
        return xml_to_json(parse_xml_content(content_bytes(value)))
    if is_content(value):
        return parse_json(text_of(value).removeprefix("\ufeff"))
    message = (
        "the template function 'json' expects its parameter to be a string or XML. "
        f"The provided value is of type '{kind_of(value)}'"
    )
    raise ExpressionError("invalid-type", message)
