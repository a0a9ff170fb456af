"""How long a Wait waits, and when a time limit ends."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate

from localazure.workflows.outcomes import ActionError
from localazure.workflows.reader import duration

JSON = Any

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}


def due_after(start: datetime, interval: JSON) -> datetime:
    """Return when a Wait's interval `{"count", "unit"}` that begins at `start` is over.

    Raises:
        ActionError: It is no such interval.
    """
    count, unit = interval.get("count"), str(interval.get("unit", "")).lower()
    if isinstance(count, str) and count.strip().isdigit():
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ActionError(
            "InvalidTemplate", f"The interval's 'count' has to be a whole number from 0, not {count!r}."
        )
    try:
        if unit == "month":
            return _months_later(start, count)
        return start + count * _UNITS[unit]
    except KeyError:
        raise ActionError(
            "InvalidTemplate", f"The interval's 'unit' cannot be '{interval.get('unit')}'."
        ) from None
    except (OverflowError, ValueError):
        raise ActionError("InvalidTemplate", f"An interval of {count} {unit}s is too long.") from None


def due_at(written: JSON) -> datetime:
    """Return the moment of a Wait's `until.timestamp` (no zone = UTC).

    Raises:
        ActionError: It is no timestamp.
    """
    try:
        moment: datetime = isodate.parse_datetime(str(written).strip().replace(" ", "T"))
    except (ValueError, isodate.ISO8601Error):
        raise ActionError("InvalidTemplate", f"'{written}' is no timestamp to wait for.") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def limit_of(written: JSON) -> timedelta:
    """Return a `timeout` (an ISO 8601 duration) as a time span.

    Raises:
        ActionError: It is none.
    """
    try:
        return duration(written)
    except ValueError as error:
        raise ActionError("InvalidTemplate", f"The limit's timeout is not fit: {error}.") from None


def _months_later(start: datetime, count: int) -> datetime:
    months = start.year * 12 + start.month - 1 + count
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
