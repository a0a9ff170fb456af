"""The values of the language: their types, texts, JSON and equality.

A value is what JSON gives: None, bool, int (64 bits), float, str, list and dict, and Decimal, which only
`decimal()` makes. An object with `$content-type` and `$content` is content: bytes in base64 that mean text.
Values are never changed, only replaced.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from localazure.errors import ExpressionError

JSON = Any

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
STRING_CHARACTERS_MAX = 104_857_600  # Azure's limit for the result of string functions
JSON_DEPTH_MAX = 128
BINARY_TYPE: Final = "application/octet-stream"
XML_TYPE: Final = "application/xml;charset=utf-8"

_KINDS = {
    type(None): "Null",
    bool: "Boolean",
    int: "Integer",
    float: "Float",
    Decimal: "Decimal",
    str: "String",
    list: "Array",
    dict: "Object",
}


def kind_of(value: JSON) -> str:
    """Return the type of a value by the language's name: Null, Boolean, Integer, Float, Decimal, String, …"""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, Mapping):
        return "Object"
    if isinstance(value, str):
        return "String"
    return "Array" if isinstance(value, Sequence) else type(value).__name__


def lookup(properties: Mapping[str, JSON], name: str) -> str | None:
    """Return the key that a name means: the same spelling first, else the first that differs in case."""
    if name in properties:
        return name
    folded = name.lower()
    for key in properties:
        if key.lower() == folded:
            return key
    return None


def is_content(value: JSON) -> bool:
    """Tell whether a value is content: an object with `$content-type` and `$content`."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("$content"), str)
        and isinstance(value.get("$content-type"), str)
    )


def is_xml(value: JSON) -> bool:
    """Tell whether a value is XML content."""
    if not is_content(value):
        return False
    kind = value["$content-type"].partition(";")[0].strip().lower()
    return kind in {"application/xml", "text/xml"} or kind.endswith("+xml")


def content(content_type: str, data: bytes) -> dict[str, JSON]:
    """Wrap bytes as content."""
    return {"$content-type": content_type, "$content": base64.b64encode(data).decode("ascii")}


def content_bytes(value: Mapping[str, JSON]) -> bytes:
    """Return the bytes of content."""
    return decode_base64(value["$content"])


def decode_base64(text: str) -> bytes:
    """Return the bytes that base64 text stands for; white space in it is passed over."""
    try:
        return base64.b64decode(re.sub(r"[ \t\r\n]+", "", text), validate=True)
    except (binascii.Error, ValueError):
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise ExpressionError("invalid-template", f"'{shown}' is not valid base64") from None


def text_of(value: JSON) -> str:
    """Return a value as it stands in a string: what `string()`, `concat()` and `@{…}` write."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case int():
            return str(value)
        case float():
            return float_text(value)
        case Decimal():
            return format(value, "f")
    if is_content(value):
        return content_bytes(value).decode("utf-8", errors="replace")
    return json_text(value)


def is_nan(value: JSON) -> bool:
    """Tell whether a value is the float that is no number."""
    return isinstance(value, float) and math.isnan(value)


def float_of(number: float | Decimal) -> float:
    """Return a number as a float; an integer too large for one becomes infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def float_text(value: float) -> str:
    """Return the shortest text that reads back as the same float, as .NET writes it: 5, 0.1, 1E+15, 1E-05."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    if not text:
        return "-0" if sign else "0"
    point = len(digits) + int(exponent)  # digits before the decimal point
    if not -4 < point <= 15:
        mantissa = f"{text[0]}.{text[1:]}" if len(text) > 1 else text
        written = f"{mantissa}E{'-' if point - 1 < 0 else '+'}{abs(point - 1):02}"
    elif point <= 0:
        written = f"0.{'0' * -point}{text}"
    elif point >= len(text):
        written = text.ljust(point, "0")
    else:
        written = f"{text[:point]}.{text[point:]}"
    return f"-{written}" if sign else written


def json_text(value: JSON) -> str:
    """Return a value as compact JSON, numbers and escapes as .NET writes them."""
    parts: list[str] = []
    try:
        _write_json(value, parts.append)
    except RecursionError:
        raise ExpressionError("invalid-template", "the value is nested too deeply for JSON") from None
    return "".join(parts)


def _write_json(value: JSON, write: Any) -> None:
    match value:
        case str():
            write(_json_string(value))
        case None | bool():
            write("null" if value is None else str(value).lower())
        case int():
            write(str(value))
        case float() | Decimal():
            write(_json_number(value))
        case Mapping():
            write("{")
            for place, (key, child) in enumerate(value.items()):
                write(f"{',' if place else ''}{_json_string(str(key))}:")
                _write_json(child, write)
            write("}")
        case _:
            write("[")
            for place, child in enumerate(value):
                if place:
                    write(",")
                _write_json(child, write)
            write("]")


def _json_string(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return written.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _json_number(value: float | Decimal) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'"{float_text(value)}"'
    written = format(value, "f") if isinstance(value, Decimal) else float_text(value)
    return written if any(mark in written for mark in ".E") else f"{written}.0"


def parse_json(text: str) -> JSON:
    """Return the value of JSON text; of keys that are there twice the last one stays, in its place.

    Raises:
        ExpressionError: it is no JSON, or nested deeper than JSON_DEPTH_MAX.
    """
    if _depth(text) > JSON_DEPTH_MAX:
        raise ExpressionError("invalid-template", f"the JSON is nested deeper than {JSON_DEPTH_MAX} levels")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise ExpressionError("invalid-template", f"the value is not valid JSON: {exc}") from None


def _depth(text: str) -> int:
    depth = deepest = 0
    for mark in re.finditer(r'"(?:[^"\\]|\\.)*+"|[][{}]', text, re.DOTALL):
        if mark[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark[0] in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    result: dict[str, JSON] = {}
    for key, value in pairs:
        result.pop(key, None)
        result[key] = value
    return result


def _refuse(constant: str) -> JSON:
    raise ValueError(f"{constant} is no JSON number")


def same(left: JSON, right: JSON) -> bool:
    """Tell whether two values are equal: deeply, text by case, numbers by value, a boolean never a number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    match left, right:
        case Mapping(), Mapping():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case str(), str():
            return left == right
        case str(), _:
            return False
        case Sequence(), Sequence() if not isinstance(right, str):
            return len(left) == len(right) and all(map(same, left, right))
        case _:
            return bool(left == right)


def plain(value: JSON) -> JSON:
    """Return a value without decimals, which JSON does not have: they become floats."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {key: plain(child) for key, child in value.items()}
        case list():
            return [plain(child) for child in value]
        case _:
            return value


def limited(characters: int) -> None:
    """Refuse a string result before it is built.

    Raises:
        ExpressionError: more than STRING_CHARACTERS_MAX characters.
    """
    if characters > STRING_CHARACTERS_MAX:
        message = f"the result would have {characters} characters; {STRING_CHARACTERS_MAX} are allowed"
        raise ExpressionError("invalid-template", message)
