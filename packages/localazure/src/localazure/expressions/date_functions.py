"""The date and time functions.

Timestamps are strings; what comes back has the format `o` unless another is asked for. A timestamp keeps
what it says of its zone: Z stays Z, an offset is reckoned to +00:00, and none stays none.
"""

from collections.abc import Callable

from localazure.errors import ExpressionError
from localazure.expressions.cultures import culture
from localazure.expressions.date_formats import format_timestamp
from localazure.expressions.date_parsing import parse_exactly, parse_timestamp
from localazure.expressions.scope import Scope
from localazure.expressions.signatures import INTEGER, STRING, Group
from localazure.expressions.time_zones import from_utc, to_utc
from localazure.expressions.timestamps import (
    TICKS_PER_DAY,
    TICKS_PER_HOUR,
    TICKS_PER_MINUTE,
    TICKS_PER_SECOND,
    Timestamp,
)

DATE = Group("date")

_DEFAULT_LOCALE = "en-US"
_DEFAULT_FORMAT = "o"
_FORMAT = {"format": STRING}

_TICKS = {
    "second": TICKS_PER_SECOND,
    "minute": TICKS_PER_MINUTE,
    "hour": TICKS_PER_HOUR,
    "day": TICKS_PER_DAY,
    "week": 7 * TICKS_PER_DAY,
}
_MONTHS = {"month": 1, "year": 12}


def _parse(text: str) -> Timestamp:
    return parse_timestamp(text, culture(_DEFAULT_LOCALE))


def _write(timestamp: Timestamp, pattern: str, locale: str = _DEFAULT_LOCALE) -> str:
    return format_timestamp(timestamp, pattern, culture(locale))


def _now(scope: Scope) -> Timestamp:
    now = scope.now()
    return now if isinstance(now, Timestamp) else Timestamp.from_datetime(now)


def _plus(timestamp: Timestamp, interval: int, unit: str) -> Timestamp:
    name = unit.strip().lower().removesuffix("s")
    if name in _TICKS:
        return timestamp.plus(interval * _TICKS[name])
    if name in _MONTHS:
        return timestamp.plus_months(interval * _MONTHS[name])
    message = f"the time unit '{unit}' is not known: Second, Minute, Hour, Day, Week, Month and Year are"
    raise ExpressionError("invalid-template", message)


@DATE.declare("utcNow", optional=_FORMAT, needs_scope=True)
def _utc_now(scope: Scope, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(_now(scope), pattern)


def _declare_addition(name: str, parameter: str, unit: str) -> None:
    @DATE.declare(name, takes={"timestamp": STRING, parameter: INTEGER}, optional=_FORMAT)
    def _add(timestamp: str, interval: int, pattern: str = _DEFAULT_FORMAT) -> str:
        return _write(_plus(_parse(timestamp), interval, unit), pattern)


_declare_addition("addDays", "days", "day")
_declare_addition("addHours", "hours", "hour")
_declare_addition("addMinutes", "minutes", "minute")
_declare_addition("addSeconds", "seconds", "second")


@DATE.declare(
    "addToTime", takes={"timestamp": STRING, "interval": INTEGER, "timeUnit": STRING}, optional=_FORMAT
)
def _add_to_time(timestamp: str, interval: int, unit: str, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(_plus(_parse(timestamp), interval, unit), pattern)


@DATE.declare(
    "subtractFromTime", takes={"timestamp": STRING, "interval": INTEGER, "timeUnit": STRING}, optional=_FORMAT
)
def _subtract_from_time(timestamp: str, interval: int, unit: str, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(_plus(_parse(timestamp), -interval, unit), pattern)


@DATE.declare(
    "getFutureTime", takes={"interval": INTEGER, "timeUnit": STRING}, optional=_FORMAT, needs_scope=True
)
def _get_future_time(scope: Scope, interval: int, unit: str, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(_plus(_now(scope), interval, unit), pattern)


@DATE.declare(
    "getPastTime", takes={"interval": INTEGER, "timeUnit": STRING}, optional=_FORMAT, needs_scope=True
)
def _get_past_time(scope: Scope, interval: int, unit: str, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(_plus(_now(scope), -interval, unit), pattern)


@DATE.declare("formatDateTime", takes={"timestamp": STRING}, optional={**_FORMAT, "locale": STRING})
def _format_date_time(timestamp: str, pattern: str = _DEFAULT_FORMAT, locale: str = _DEFAULT_LOCALE) -> str:
    return _write(_parse(timestamp), pattern, locale)


@DATE.declare("parseDateTime", takes={"timestamp": STRING}, optional={"locale": STRING, "format": STRING})
def _parse_date_time(timestamp: str, locale: str = _DEFAULT_LOCALE, pattern: str | None = None) -> str:
    if pattern is None:
        return _write(parse_timestamp(timestamp, culture(locale)), _DEFAULT_FORMAT)
    return _write(parse_exactly(timestamp, pattern, culture(locale)), _DEFAULT_FORMAT)


@DATE.declare("convertFromUtc", takes={"timestamp": STRING, "destinationTimeZone": STRING}, optional=_FORMAT)
def _convert_from_utc(timestamp: str, destination: str, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(from_utc(_parse(timestamp), destination), pattern)


@DATE.declare("convertToUtc", takes={"timestamp": STRING, "sourceTimeZone": STRING}, optional=_FORMAT)
def _convert_to_utc(timestamp: str, source: str, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(to_utc(_parse(timestamp), source), pattern)


@DATE.declare(
    "convertTimeZone",
    takes={"timestamp": STRING, "sourceTimeZone": STRING, "destinationTimeZone": STRING},
    optional=_FORMAT,
)
def _convert_time_zone(timestamp: str, source: str, destination: str, pattern: str = _DEFAULT_FORMAT) -> str:
    return _write(from_utc(to_utc(_parse(timestamp), source), destination), pattern)


@DATE.declare("dateDifference", takes={"startDate": STRING, "endDate": STRING})
def _date_difference(start: str, end: str) -> str:
    return _time_span(_parse(end).ticks - _parse(start).ticks)


def _time_span(ticks: int) -> str:
    """Return a duration as .NET writes it: `[-][d.]hh:mm:ss[.fffffff]`."""
    days, rest = divmod(abs(ticks), TICKS_PER_DAY)
    seconds, fraction = divmod(rest, TICKS_PER_SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    written = f"{f'{days}.' if days else ''}{hour:02}:{minute:02}:{second:02}"
    written += f".{fraction:07}" if fraction else ""
    return f"-{written}" if ticks < 0 else written


def _declare_reading(name: str, read: Callable[[Timestamp], int]) -> None:
    @DATE.declare(name, takes={"timestamp": STRING})
    def _read(timestamp: str) -> int:
        return read(_parse(timestamp))


_declare_reading("dayOfMonth", lambda timestamp: timestamp.datetime.day)
_declare_reading("dayOfWeek", lambda timestamp: timestamp.datetime.isoweekday() % 7)
_declare_reading("dayOfYear", lambda timestamp: timestamp.datetime.timetuple().tm_yday)
_declare_reading("ticks", lambda timestamp: timestamp.ticks)


def _start_of_month(timestamp: Timestamp) -> Timestamp:
    return timestamp.floor(TICKS_PER_DAY).plus(-(timestamp.datetime.day - 1) * TICKS_PER_DAY)


def _declare_start(name: str, start: Callable[[Timestamp], Timestamp]) -> None:
    @DATE.declare(name, takes={"timestamp": STRING}, optional=_FORMAT)
    def _start(timestamp: str, pattern: str = _DEFAULT_FORMAT) -> str:
        return _write(start(_parse(timestamp)), pattern)


_declare_start("startOfDay", lambda timestamp: timestamp.floor(TICKS_PER_DAY))
_declare_start("startOfHour", lambda timestamp: timestamp.floor(TICKS_PER_HOUR))
_declare_start("startOfMonth", _start_of_month)
