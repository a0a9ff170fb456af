"""Time zones by the names that Windows gives them, from the Unicode CLDR by way of Babel."""

import re
from datetime import UTC
from functools import cache
from zoneinfo import ZoneInfo

from babel.core import get_global

from localazure.errors import ExpressionError
from localazure.expressions.timestamps import TICKS_PER_SECOND, Timestamp, Zone


def _key(name: str) -> str:
    # Azure's article says that punctuation may have to be left out of the names.
    return re.sub(r"[^a-z0-9+-]", "", name.lower())


@cache
def _names() -> dict[str, str]:
    return {_key(name): place for name, place in get_global("windows_zone_mapping").items()}


@cache
def _zone(key: str) -> ZoneInfo | None:
    place = _names().get(key)
    return ZoneInfo(place) if place else None


def _time_zone(name: str) -> ZoneInfo:
    zone = _zone(_key(name)) if len(name) < 80 else None
    if zone is None:
        message = (
            f"the time zone '{name}' is not known; zones have Windows' names, such as 'UTC', "
            "'Pacific Standard Time' or 'W. Europe Standard Time'"
        )
        raise ExpressionError("invalid-template", message)
    return zone


def is_utc(name: str) -> bool:
    """Tell whether a name means UTC itself."""
    return _key(name) == "utc"


def to_utc(timestamp: Timestamp, zone_name: str) -> Timestamp:
    """Return the UTC timestamp of a local time; of two such times the one in standard time.

    Raises:
        ExpressionError: the zone is not known, the timestamp says that it is in another, or the local time
            does not exist there because clocks were put forward over it.
    """
    zone = _time_zone(zone_name)
    if timestamp.zone is not Zone.NONE and not is_utc(zone_name):
        message = (
            f"the timestamp says itself that it is UTC, so it cannot be one of the zone '{zone_name}'; "
            "leave its zone out"
        )
        raise ExpressionError("invalid-template", message)
    first, second = (_offset_ticks(timestamp, zone, fold) for fold in (0, 1))
    if first < second:
        message = f"the local time does not exist in the zone '{zone_name}': clocks were put forward over it"
        raise ExpressionError("invalid-template", message)
    return Timestamp(timestamp.ticks - second, Zone.UTC)


def from_utc(timestamp: Timestamp, zone_name: str) -> Timestamp:
    """Return the local time of a UTC timestamp; without a zone, unless the zone is UTC itself.

    Raises:
        ExpressionError: the zone is not known.
    """
    zone = _time_zone(zone_name)
    try:
        offset = timestamp.datetime.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    except OverflowError:
        message = "the local time lies outside of the years 1 to 9999"
        raise ExpressionError("invalid-template", message) from None
    ticks = round(offset.total_seconds()) * TICKS_PER_SECOND if offset else 0
    return Timestamp(timestamp.ticks + ticks, Zone.UTC if is_utc(zone_name) else Zone.NONE)


def _offset_ticks(timestamp: Timestamp, zone: ZoneInfo, fold: int) -> int:
    offset = timestamp.datetime.replace(tzinfo=zone, fold=fold).utcoffset()
    return round(offset.total_seconds()) * TICKS_PER_SECOND if offset else 0
