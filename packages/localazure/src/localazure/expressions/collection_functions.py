"""The collection functions."""

import math
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from localazure.errors import ExpressionError
from localazure.expressions.signatures import (
    ANY,
    ARRAY,
    COLLECTION_OR_NULL,
    COMPOSITE,
    NATURAL,
    SEQUENCE,
    STRING,
    Accepts,
    Group,
)
from localazure.expressions.signatures import COLLECTION as ANY_COLLECTION
from localazure.expressions.values import JSON, is_nan, kind_of, limited, lookup, same, text_of

COLLECTION = Group("collection")

Sequence = str | list[JSON]


@COLLECTION.declare("contains", takes={"collection": ANY_COLLECTION, "value": ANY})
def _contains(collection: JSON, value: JSON) -> bool:
    match collection:
        case str() if isinstance(value, str):
            return value in collection
        case dict() if isinstance(value, str):
            return value in collection
        case list():
            return any(same(item, value) for item in collection)
    message = (
        f"contains cannot look for a value of type '{kind_of(value)}' in a value of type "
        f"'{kind_of(collection)}'; a string is expected"
    )
    raise ExpressionError("invalid-type", message)


@COLLECTION.declare("empty", takes={"collection": COLLECTION_OR_NULL})
def _empty(collection: JSON) -> bool:
    return not collection


@COLLECTION.declare("length", takes={"collection": SEQUENCE})
def _length(collection: Sequence) -> int:
    return len(collection)


@COLLECTION.declare("first", takes={"collection": SEQUENCE})
def _first(collection: Sequence) -> JSON:
    if isinstance(collection, str):
        return collection[:1]
    return collection[0] if collection else None


@COLLECTION.declare("last", takes={"collection": SEQUENCE})
def _last(collection: Sequence) -> JSON:
    if isinstance(collection, str):
        return collection[-1:]
    return collection[-1] if collection else None


@COLLECTION.declare("skip", takes={"collection": ARRAY, "count": NATURAL})
def _skip(collection: list[JSON], count: int) -> list[JSON]:
    return collection[count:]


@COLLECTION.declare("take", takes={"collection": SEQUENCE, "count": NATURAL})
def _take(collection: Sequence, count: int) -> Sequence:
    return collection[:count]


@COLLECTION.declare("reverse", takes={"collection": Accepts("to be of type array", ARRAY.kinds)})
def _reverse(collection: list[JSON]) -> list[JSON]:
    return collection[::-1]


@COLLECTION.declare("join", takes={"collection": ARRAY, "delimiter": STRING})
def _join(collection: list[JSON], delimiter: str) -> str:
    texts = [text_of(item) for item in collection]
    limited(sum(map(len, texts)) + len(delimiter) * max(len(texts) - 1, 0))
    return delimiter.join(texts)


@COLLECTION.declare("sort", takes={"collection": ARRAY}, optional={"sortBy": STRING})
def _sort(collection: list[JSON], sort_by: str | None = None) -> list[JSON]:
    key = cmp_to_key(_compare)
    if sort_by is None:
        return sorted(collection, key=key)
    return sorted(collection, key=lambda item: key(_sort_value(item, sort_by)))


def _sort_value(item: JSON, sort_by: str) -> JSON:
    if not isinstance(item, dict):
        message = f"sort by '{sort_by}' expects objects; a value is of type '{kind_of(item)}'"
        raise ExpressionError("invalid-type", message)
    found = lookup(item, sort_by)
    return None if found is None else item[found]


def _compare(left: JSON, right: JSON) -> int:
    ranks = _rank(left), _rank(right)
    if ranks[0] != ranks[1]:
        if 0 in ranks:  # null comes first
            return ranks[0] - ranks[1]
        message = f"sort cannot compare values of types '{kind_of(left)}' and '{kind_of(right)}'"
        raise ExpressionError("invalid-type", message)
    if ranks[0] == 0:
        return 0
    left, right = (-math.inf if is_nan(value) else value for value in (left, right))
    return int(left > right) - int(left < right)


def _rank(value: JSON) -> int:
    match kind_of(value):
        case "Null":
            return 0
        case "Boolean":
            return 1
        case "Integer" | "Float" | "Decimal":
            return 2
        case "String":
            return 3
    message = f"sort cannot order values of type '{kind_of(value)}' without a property to sort by"
    raise ExpressionError("invalid-type", message)


class _Distinct:
    """Values in the order of their first appearance, each once; hashed where they can be."""

    def __init__(self) -> None:
        self.values: list[JSON] = []
        self._hashed: set[Any] = set()
        self._others: list[JSON] = []

    def __contains__(self, value: JSON) -> bool:
        if isinstance(value, (list, dict)):
            return any(same(value, other) for other in self._others)
        return _hashable(value) in self._hashed

    def add(self, value: JSON) -> None:
        if value in self:
            return
        self.values.append(value)
        if isinstance(value, (list, dict)):
            self._others.append(value)
        else:
            self._hashed.add(_hashable(value))


def _hashable(value: JSON) -> Any:
    # Python holds True and 1 for the same key.
    return (bool, value) if isinstance(value, bool) else value


def _distinct(values: list[JSON]) -> _Distinct:
    distinct = _Distinct()
    for value in values:
        distinct.add(value)
    return distinct


def _combine(
    name: str,
    values: tuple[JSON, ...],
    arrays: Callable[[list[list[JSON]]], list[JSON]],
    objects: Callable[[list[dict[str, JSON]]], dict[str, JSON]],
) -> JSON:
    if all(isinstance(value, list) for value in values):
        return arrays(list(values))
    if all(isinstance(value, dict) for value in values):
        return objects(list(values))
    kinds = " and ".join(f"'{kind}'" for kind in dict.fromkeys(map(kind_of, values)))
    message = f"the template function '{name}' expects parameters of same type; there are {kinds}"
    raise ExpressionError("invalid-type", message)


@COLLECTION.declare("intersection", takes={"collection1": COMPOSITE}, repeats=True)
def _intersection(*values: JSON) -> JSON:
    return _combine("intersection", values, _common_items, _common_properties)


def _common_items(arrays: list[list[JSON]]) -> list[JSON]:
    first, *others = map(_distinct, arrays)
    return [value for value in first.values if all(value in other for other in others)]


def _common_properties(objects: list[dict[str, JSON]]) -> dict[str, JSON]:
    first, *others = objects
    return {
        key: value
        for key, value in first.items()
        if all(key in other and same(value, other[key]) for other in others)
    }


@COLLECTION.declare("union", takes={"collection1": COMPOSITE}, repeats=True)
def _union(*values: JSON) -> JSON:
    return _combine("union", values, _all_items, _all_properties)


def _all_items(arrays: list[list[JSON]]) -> list[JSON]:
    return _distinct([item for array in arrays for item in array]).values


def _all_properties(objects: list[dict[str, JSON]]) -> dict[str, JSON]:
    return {key: value for properties in objects for key, value in properties.items()}
