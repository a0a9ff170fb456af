"""`$top`, `$filter`, `$skiptoken` and `nextLink` of lists."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request

from localazure.errors import ArmError

T = TypeVar("T")

TOP_DEFAULT = 30
TOP_MAX = 250

_CLAUSE = re.compile(
    r"\s*(?P<field>[\w/]+)\s+(?P<operator>eq|ne|gt|ge|lt|le)\s+(?P<value>'(?:[^']|'')*'|\S+)\s*"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
}


@dataclass(frozen=True)
class Page:
    """One page of a list, and where the next one is (None: it was the last)."""

    items: Sequence[Any]
    next_link: str | None

    def view(self, shown: Sequence[Any]) -> dict[str, Any]:
        """Return `{value, nextLink}` over the items as they are shown."""
        return {"value": list(shown)} | ({"nextLink": self.next_link} if self.next_link else {})


def page_of(request: Request, items: Sequence[T], name: Callable[[T], str]) -> Page:
    """Cut the page that a request asks for out of a list.

    Args:
        request: its `$top` (1 to 250, 30 if absent) and `$skiptoken` count.
        items: the list in order.
        name: gives an item's name, unique in the list: the next page begins behind it.

    Raises:
        ArmError: 400 if `$top` or `$skiptoken` is not fit.
    """
    top = _top(request)
    start = 0
    token = request.query_params.get("$skiptoken")
    if token is not None:
        last = _decoded(token)
        start = next((place + 1 for place, item in enumerate(items) if name(item) == last), len(items))
    cut = items[start : start + top]
    if start + top >= len(items):
        return Page(cut, None)
    after = base64.urlsafe_b64encode(name(cut[-1]).encode("utf-8")).decode("ascii")
    return Page(cut, str(request.url.include_query_params(**{"$skiptoken": after})))


def filtered(request: Request, items: Sequence[T], fields: dict[str, Callable[[T], Any]]) -> list[T]:
    """Keep what a request's `$filter` asks for.

    Args:
        request: its `$filter` is comparisons joined by `and`, field names without regard to case.
        items: the list.
        fields: by lower-cased name, how to get a field: a text, or an aware time.

    Raises:
        ArmError: 400 if the filter cannot be read or names another field.
    """
    kept = list(items)
    text = request.query_params.get("$filter")
    if not text:
        return kept
    for clause in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE):
        found = _CLAUSE.fullmatch(clause)
        get = fields.get(found["field"].lower()) if found else None
        if found is None or get is None:
            known = ", ".join(sorted(fields))
            message = f"The filter '{clause}' is not a comparison (eq, ne, gt, ge, lt, le) of one of {known}."
            raise ArmError(400, "InvalidFilterInQueryString", message)
        compare = _COMPARE[found["operator"]]
        wanted = found["value"].strip("'").replace("''", "'")
        kept = [item for item in kept if _holds(compare, get(item), wanted, clause)]
    return kept


def _holds(compare: Callable[[Any, Any], bool], value: Any, wanted: str, clause: str) -> bool:
    if isinstance(value, datetime):
        try:
            moment = datetime.fromisoformat(wanted)
        except ValueError:
            raise ArmError(400, "InvalidFilterInQueryString", f"'{clause}' compares no time.") from None
        return compare(value, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return compare(str(value).lower(), wanted.lower())


def _top(request: Request) -> int:
    text = request.query_params.get("$top", str(TOP_DEFAULT))
    if not text.isdigit() or not 1 <= int(text) <= TOP_MAX:
        raise ArmError(
            400, "InvalidTopInQueryString", f"$top '{text}' is not a whole number from 1 to {TOP_MAX}."
        )
    return int(text)


def _decoded(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode("ascii")).decode("utf-8")
    except (ValueError, binascii.Error):
        raise ArmError(400, "InvalidSkipToken", f"$skiptoken '{token}' is none of this list.") from None
