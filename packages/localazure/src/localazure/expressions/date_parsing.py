"""Reads timestamps: as people and machines write them in a locale, or exactly by a format."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from localazure.errors import ExpressionError
from localazure.expressions.cultures import Culture
from localazure.expressions.date_formats import day_period, parts_of, standard_pattern
from localazure.expressions.timestamps import TICKS_PER_MINUTE, TICKS_PER_SECOND, Timestamp, Zone

_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:(?:T|[ ]+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"[ ]*(?P<zone>[Zz]|GMT|[+-]\d{1,2}(?::?\d{2})?)?",
    re.ASCII,
)
_TIME = re.compile(
    r"(?<!\d)(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?)"
    r"[ ]*(?P<period>[^\W\d_][^\W\d_.]*\.?(?:[ ]?[^\W\d_]\.)?)?"
    r"|(?<!\d)(?P<only>\d{1,2})[ ]*(?P<only_period>AM|PM)\b",
    re.ASCII | re.IGNORECASE,
)
_ZONE = re.compile(r"(?:(?<=[\d ])(?P<utc>Z|GMT|UTC)|(?P<offset>[+-]\d{2}:?\d{2}))$", re.IGNORECASE)
_TOKEN = re.compile(r"\d+|[^\W\d_]+")


@dataclass(slots=True)
class _Fields:
    """What has been read so far; None is what has not been there."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    hour: int = 0
    minute: int = 0
    second: int = 0
    fraction: int = 0  # ticks
    afternoon: bool | None = None
    zone: str = ""

    def timestamp(self) -> Timestamp | None:
        """Return the timestamp, or None if there is none such."""
        hour = self.hour
        if self.afternoon is not None:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if self.afternoon else 0)
        if self.year is None:
            return None
        try:
            moment = datetime(self.year, self.month or 1, self.day or 1, hour, self.minute, self.second)  # noqa: DTZ001 - the zone follows
        except ValueError:
            return None
        if self.weekday is not None and self.weekday != moment.weekday():
            return None
        return _in_zone(Timestamp.from_datetime(moment).plus(self.fraction), self.zone)


def _in_zone(timestamp: Timestamp, zone: str) -> Timestamp:
    if not zone:
        return timestamp
    if zone.upper() in {"Z", "GMT", "UTC"}:
        return Timestamp(timestamp.ticks, Zone.UTC)
    digits = zone[1:].replace(":", "").ljust(4, "0") if len(zone) > 2 else f"0{zone[1:]}00"
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    ticks = timestamp.ticks - (-minutes if zone[0] == "-" else minutes) * TICKS_PER_MINUTE
    return Timestamp(ticks, Zone.LOCAL)


def _fraction_ticks(digits: str | None) -> int:
    return min(round(float(f"0.{digits}") * TICKS_PER_SECOND), TICKS_PER_SECOND - 1) if digits else 0


def parse_timestamp(text: str, culture: Culture) -> Timestamp:
    """Return the timestamp that text means in a locale.

    Raises:
        ExpressionError: it is none, or the date does not exist.
    """
    stripped = text.strip()
    found = _parse_iso(stripped) or _parse_freely(stripped, culture)
    timestamp = found.timestamp() if found else None
    if timestamp is None:
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        message = f"the value '{shown}' is not a valid date and time"
        raise ExpressionError("invalid-template", message)
    return timestamp


def _parse_iso(text: str) -> _Fields | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    return _Fields(
        year=int(match["year"]),
        month=int(match["month"]),
        day=int(match["day"]),
        hour=int(match["hour"] or 0),
        minute=int(match["minute"] or 0),
        second=int(match["second"] or 0),
        fraction=_fraction_ticks(match["fraction"]),
        zone=match["zone"] or "",
    )


def _parse_freely(text: str, culture: Culture) -> _Fields | None:
    if len(text) > 100:
        return None
    fields = _Fields()
    zone = _ZONE.search(text)
    if zone and ":" in text[: zone.start()]:
        fields.zone = zone[0]
        text = text[: zone.start()].rstrip()
    time = _TIME.search(text)
    if time:
        if not _read_time(time, fields, culture):
            return None
        text = re.sub(r"(?<=\d)T$", " ", text[: time.start()], flags=re.IGNORECASE) + " " + text[time.end() :]
    return fields if _read_date(text, fields, culture) else None


def _read_time(match: re.Match[str], fields: _Fields, culture: Culture) -> bool:
    fields.hour = int(match["hour"] or match["only"])
    fields.minute, fields.second = int(match["minute"] or 0), int(match["second"] or 0)
    fields.fraction = _fraction_ticks(match["fraction"])
    period = (match["period"] or match["only_period"] or "").replace(" ", "").lower()
    if period:
        names = {"am": False, "a": False, "pm": True, "p": True}
        names[day_period(culture, "am").lower()] = False
        names[day_period(culture, "pm").lower()] = True
        if period not in names:
            return False
        fields.afternoon = names[period]
    return True


@dataclass(frozen=True, slots=True)
class _Words:
    months: dict[str, int]
    days: dict[str, int]
    fillers: frozenset[str]
    order: str  # of day, month and year in the short date, such as "dMy"


@lru_cache(maxsize=64)
def _words(culture: Culture) -> _Words:
    locale = culture.locale
    months = {
        _bare(name): number
        for context in ("format", "stand-alone")
        for width in ("abbreviated", "wide")
        for number, name in locale.months[context][width].items()
    }
    days = {
        _bare(name): number
        for context in ("format", "stand-alone")
        for width in ("abbreviated", "wide")
        for number, name in locale.days[context][width].items()
    }
    literals = re.findall(r"'([^']*)'", str(locale.date_formats["full"].pattern))
    fillers = frozenset(word.lower() for literal in literals for word in _TOKEN.findall(literal))
    short = standard_pattern("d", culture) or ""
    order = "".join(dict.fromkeys(letter for letter in short if letter in "dMy"))
    return _Words(months, days, fillers, order)


def _bare(name: str) -> str:
    return str(name).lower().rstrip(".")


def _read_date(text: str, fields: _Fields, culture: Culture) -> bool:
    words = _words(culture)
    if re.sub(r"\d+|[^\W\d_]+|[\s,./-]", "", text):
        return False
    numbers: list[str] = []
    for token in _TOKEN.findall(text):
        name = token.lower()
        if token.isdecimal() and token.isascii():
            numbers.append(token)
        elif name in words.months and fields.month is None:
            fields.month = words.months[name]
        elif name in words.days and fields.weekday is None:
            fields.weekday = words.days[name]
        elif name not in words.fillers:
            return False
    if fields.month is not None:
        return _read_beside_month(numbers, fields)
    return _read_numeric(numbers, fields, words.order)


def _read_beside_month(numbers: list[str], fields: _Fields) -> bool:
    match numbers:
        case [year] if len(year) == 4:
            fields.year = int(year)
        case [year, day] if len(year) == 4 and len(day) <= 2:
            fields.year, fields.day = int(year), int(day)
        case [day, year] if len(day) <= 2 and len(year) in {2, 4}:
            fields.year, fields.day = _full_year(year), int(day)
        case _:
            return False
    return True


def _read_numeric(numbers: list[str], fields: _Fields, order: str) -> bool:
    match numbers:
        case [year, month, day] if len(year) == 4:
            pass
        case [month, year] if len(year) == 4 and len(month) <= 2:
            day = "1"
        case [year, month] if len(year) == 4 and len(month) <= 2:
            day = "1"
        case [_, _, _]:
            named = dict(zip(order, numbers, strict=False))
            year, month, day = named["y"], named["M"], named["d"]
        case _:
            return False
    if len(year) not in {2, 4} or len(month) > 2 or len(day) > 2:
        return False
    fields.year, fields.month, fields.day = _full_year(year), int(month), int(day)
    return True


def _full_year(digits: str) -> int:
    year = int(digits)
    if len(digits) > 2:
        return year
    return year + (2000 if year < 50 else 1900)


def parse_exactly(text: str, pattern: str, culture: Culture) -> Timestamp:
    """Return the timestamp of text that has exactly a format.

    Raises:
        ExpressionError: the format is not valid, or the text does not have it.
    """
    fields = _Fields()
    expression, names = _expression(pattern, culture)
    match = re.fullmatch(expression, text.strip(), re.IGNORECASE)
    if match:
        for name, value in zip(names, match.groups(), strict=True):
            _set(fields, name, value, culture)
    timestamp = fields.timestamp() if match else None
    if timestamp is None:
        message = f"the value '{text[:60]}' is not a date and time of the format '{pattern}'"
        raise ExpressionError("invalid-template", message)
    return timestamp


_NUMBERS = {"d": "day", "H": "hour", "h": "hour", "m": "minute", "M": "month", "s": "second"}


@lru_cache(maxsize=256)
def _expression(pattern: str, culture: Culture) -> tuple[str, tuple[str, ...]]:
    """Return a regular expression for a format, and for each of its groups the specifier it is."""
    written: list[str] = []
    names: list[str] = []
    for part in parts_of(pattern, culture):
        if part.is_literal:
            written.append(re.escape(part.text))
            continue
        names.append(part.text)
        # Atomic: like .NET, what one specifier has taken it does not give back.
        written.append(f"((?>{_specifier(part.text, culture)}))")
    return "".join(written), tuple(names)


def _specifier(text: str, culture: Culture) -> str:
    words = _words(culture)
    match text[0], len(text):
        case "d", 3 | 4:
            return "|".join(rf"{re.escape(name)}\.?" for name in words.days)
        case "M", 3 | 4:
            return "|".join(rf"{re.escape(name)}\.?" for name in words.months)
        case "y", count:
            return rf"\d{{{count}}}" if count > 1 else r"\d{1,2}"
        case "f", count:
            return rf"\d{{{count}}}"
        case "F", count:
            return rf"\d{{0,{count}}}"
        case "t", count:
            periods = [day_period(culture, period) for period in ("am", "pm")]
            return "|".join(re.escape(period if count > 1 else period[:1]) for period in periods)
        case "K", _:
            return r"Z|[+-]\d{2}:\d{2}|"
        case "z", _:
            return r"[+-]\d{1,2}(?::\d{2})?"
        case "g", _:
            return r"A\.?D\.?"
        case _, count:
            return r"\d{2}" if count > 1 else r"\d{1,2}"


def _set(fields: _Fields, specifier: str, value: str, culture: Culture) -> None:
    words = _words(culture)
    match specifier[0], len(specifier):
        case "d", 3 | 4:
            fields.weekday = words.days[_bare(value)]
        case "M", 3 | 4:
            fields.month = words.months[_bare(value)]
        case "y", _:
            fields.year = _full_year(value)
        case "f" | "F", _:
            fields.fraction = _fraction_ticks(value)
        case "t", count:
            morning = day_period(culture, "am")
            fields.afternoon = value.lower() != (morning if count > 1 else morning[:1]).lower()
        case "K" | "z", _:
            fields.zone = value
        case "g", _:
            pass
        case letter, _:
            setattr(fields, _NUMBERS[letter], int(value))
