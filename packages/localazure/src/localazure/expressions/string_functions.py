"""The string functions.

Searching (`indexOf`, `startsWith`, …) passes over case; replacing, splitting and `contains` do not. Case is
the invariant culture's: one character stays one character, and the Turkish i's stay as they are.
"""

import uuid

from localazure.errors import ExpressionError
from localazure.expressions.cultures import culture
from localazure.expressions.number_formats import format_number
from localazure.expressions.number_parsing import parse_float, parse_integer
from localazure.expressions.signatures import ANY, INTEGER, NUMBER, SEQUENCE, STRING, Group
from localazure.expressions.values import JSON, limited, text_of

STRINGS = Group("string")

# What .NET's String.Trim takes away; Python's strip() takes a few control characters more.
_WHITE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_CASELESS = "\u0130\u0131\u017f"  # Turkish i's and the long s: the invariant culture maps none of them


def _mapped(text: str, method: str) -> str:
    if text.isascii():
        return str(getattr(text, method)())
    characters = (
        character if character in _CASELESS or len(other := getattr(character, method)()) != 1 else other
        for character in text
    )
    return "".join(characters)


def lower(text: str) -> str:
    """Return text in lower case by the invariant culture; its length stays."""
    return _mapped(text, "lower")


@STRINGS.declare("concat", takes={"text1": ANY}, repeats=True)
def _concat(*values: JSON) -> str:
    texts = [text_of(value) for value in values]
    limited(sum(map(len, texts)))
    return "".join(texts)


@STRINGS.declare("toLower", takes={"text": STRING})
def _to_lower(text: str) -> str:
    return lower(text)


@STRINGS.declare("toUpper", takes={"text": STRING})
def _to_upper(text: str) -> str:
    return _mapped(text, "upper")


@STRINGS.declare("trim", takes={"text": STRING})
def _trim(text: str) -> str:
    return text.strip(_WHITE)


@STRINGS.declare("startsWith", takes={"text": STRING, "searchText": STRING})
def _starts_with(text: str, search: str) -> bool:
    return lower(text).startswith(lower(search))


@STRINGS.declare("endsWith", takes={"text": STRING, "searchText": STRING})
def _ends_with(text: str, search: str) -> bool:
    return lower(text).endswith(lower(search))


@STRINGS.declare("indexOf", takes={"text": STRING, "searchText": STRING})
def _index_of(text: str, search: str) -> int:
    return lower(text).find(lower(search))


@STRINGS.declare("lastIndexOf", takes={"text": STRING, "searchText": STRING})
def _last_index_of(text: str, search: str) -> int:
    if not search:
        return max(len(text) - 1, 0)  # documented
    return lower(text).rfind(lower(search))


@STRINGS.declare("nthIndexOf", takes={"text": STRING, "searchText": STRING, "occurrence": INTEGER})
def _nth_index_of(text: str, search: str, occurrence: int) -> int:
    if occurrence == 0 or not search:
        message = "nthIndexOf expects a text to search for and an occurrence other than 0"
        raise ExpressionError("invalid-template", message)
    whole, part = lower(text), lower(search)
    if abs(occurrence) > len(whole):
        return -1
    place = -1 if occurrence > 0 else len(whole)
    for _ in range(abs(occurrence)):
        if occurrence > 0:
            place = whole.find(part, place + 1)
        else:
            place = whole.rfind(part, 0, max(place + len(part) - 1, 0))
        if place < 0:
            return -1
    return place


@STRINGS.declare("replace", takes={"text": STRING, "oldText": STRING, "newText": STRING})
def _replace(text: str, old: str, new: str) -> str:
    if not old:
        raise ExpressionError("invalid-template", "replace cannot search for an empty text")
    if len(new) > len(old):
        limited(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


@STRINGS.declare("split", takes={"text": STRING, "delimiter": STRING})
def _split(text: str, delimiter: str) -> list[JSON]:
    return list(text.split(delimiter)) if delimiter else [text]


@STRINGS.declare("substring", takes={"text": STRING, "startIndex": INTEGER}, optional={"length": INTEGER})
def _substring(text: str, start: int, length: int | None = None) -> str:
    count = len(text) - start if length is None else length
    if start < 0 or count < 0 or start + count > len(text):
        message = (
            "the parameters of substring are out of range: 'start index' and 'length' must be non-negative "
            f"integers and their sum must be no larger than the length of the string, {len(text)}"
        )
        raise ExpressionError("invalid-template", message)
    return text[start : start + count]


@STRINGS.declare("slice", takes={"text": STRING, "startIndex": INTEGER}, optional={"endIndex": INTEGER})
def _slice(text: str, start: int, end: int | None = None) -> str:
    return text[start:end]


@STRINGS.declare("chunk", takes={"collection": SEQUENCE, "length": INTEGER})
def _chunk(collection: str | list[JSON], length: int) -> list[JSON]:
    if length < 1:
        raise ExpressionError("invalid-template", f"chunk expects a length of at least 1, not {length}")
    return [collection[place : place + length] for place in range(0, len(collection), length)]


@STRINGS.declare("guid", optional={"format": STRING})
def _guid(pattern: str = "D") -> str:
    value = uuid.uuid4()
    match pattern.upper():
        case "N":
            return value.hex
        case "D" | "":
            return str(value)
        case "B":
            return f"{{{value}}}"
        case "P":
            return f"({value})"
        case "X":
            tail = ",".join(f"0x{byte:02x}" for byte in value.bytes[8:])
            return f"{{0x{value.hex[:8]},0x{value.hex[8:12]},0x{value.hex[12:16]},{{{tail}}}}}"
    raise ExpressionError("invalid-template", f"guid knows the formats N, D, B, P and X, not '{pattern}'")


@STRINGS.declare("isInt", takes={"string": STRING})
def _is_int(text: str) -> bool:
    return parse_integer(text) is not None


@STRINGS.declare("isFloat", takes={"string": STRING}, optional={"locale": STRING})
def _is_float(text: str, locale: str = "") -> bool:
    return parse_float(text, culture(locale)) is not None


@STRINGS.declare("formatNumber", takes={"number": NUMBER, "format": STRING}, optional={"locale": STRING})
def _format_number(number: JSON, pattern: str, locale: str = "en-US") -> str:
    return format_number(number, pattern, culture(locale))
