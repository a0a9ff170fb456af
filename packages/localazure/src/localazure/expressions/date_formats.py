"""Writes timestamps by .NET's format strings, standard (one letter) and custom.

American English has .NET's own patterns; other locales have the CLDR's, turned into .NET's letters.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from localazure.errors import ExpressionError
from localazure.expressions.cultures import INVARIANT, Culture
from localazure.expressions.timestamps import Timestamp, Zone

ROUND_TRIP = "yyyy-MM-ddTHH:mm:ss.fffffffK"

_FIXED = {
    "o": ROUND_TRIP,
    "O": ROUND_TRIP,
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
}
_AMERICAN = {
    "d": "M/d/yyyy",
    "D": "dddd, MMMM d, yyyy",
    "t": "h:mm tt",
    "T": "h:mm:ss tt",
    "M": "MMMM d",
    "Y": "MMMM yyyy",
}
_COMPOSED = {"f": ("D", "t"), "F": ("D", "T"), "g": ("d", "t"), "G": ("d", "T"), "U": ("D", "T")}
_LETTERS = "dfFghHKmMstyz"


def _invalid(pattern: str) -> ExpressionError:
    return ExpressionError("invalid-template", f"the format '{pattern}' is not a valid date and time format")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a custom format: a run of one letter, or text as it is."""

    text: str
    is_literal: bool


@lru_cache(maxsize=256)
def parts_of(pattern: str, culture: Culture) -> tuple[Part, ...]:
    """Return the pieces of a format, a standard one spelled out.

    Raises:
        ExpressionError: not a valid format.
    """
    return tuple(_parts(standard_pattern(pattern, culture) or pattern))


def standard_pattern(pattern: str, culture: Culture) -> str | None:
    """Return what a standard format (one letter) stands for; None if it is a custom format.

    Raises:
        ExpressionError: one letter that stands for nothing.
    """
    if len(pattern) != 1:
        return None
    letter = {"m": "M", "y": "Y"}.get(pattern, pattern)
    if letter in _FIXED:
        return _FIXED[letter]
    patterns = _culture_patterns(culture)
    if letter in patterns:
        return patterns[letter]
    if letter in _COMPOSED:
        return " ".join(patterns[part] for part in _COMPOSED[letter])
    raise _invalid(pattern)


@lru_cache(maxsize=64)
def _culture_patterns(culture: Culture) -> dict[str, str]:
    locale = culture.locale
    if str(locale) == "en_US":
        return _AMERICAN
    skeletons = locale.datetime_skeletons
    return {
        "d": _from_cldr(str(locale.date_formats["short"].pattern)),
        "D": _from_cldr(str(locale.date_formats["full"].pattern)),
        "t": _from_cldr(str(locale.time_formats["short"].pattern)),
        "T": _from_cldr(str(locale.time_formats["medium"].pattern)),
        "M": _from_cldr(str(skeletons["MMMMd"].pattern if "MMMMd" in skeletons else "d MMMM")),
        "Y": _from_cldr(str(skeletons["yMMMM"].pattern if "yMMMM" in skeletons else "MMMM y")),
    }


def _from_cldr(pattern: str) -> str:
    """Turn a pattern of the CLDR into .NET's letters."""
    names = {"EEEE": "dddd", "EEE": "ddd", "E": "ddd", "y": "yyyy", "a": "tt", "b": "tt", "B": "tt"}

    def turned(match: re.Match[str]) -> str:
        text = match[0]
        return text if text.startswith("'") else names.get(text, text.replace("L", "M").replace("c", "d"))

    return re.sub(r"'[^']*'|([A-Za-z])\1*", turned, pattern).replace("\u202f", " ")


def _parts(pattern: str) -> Iterator[Part]:
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        match letter:
            case "\\" | "%":
                if place + 1 >= len(pattern) or (letter == "%" and pattern[place + 1] == "%"):
                    raise _invalid(pattern)
                if letter == "\\":
                    yield Part(pattern[place + 1], is_literal=True)
                    place += 1
                place += 1
            case "'" | '"':
                end = pattern.find(letter, place + 1)
                if end < 0:
                    raise _invalid(pattern)
                yield Part(pattern[place + 1 : end], is_literal=True)
                place = end + 1
            case _:
                end = place + 1
                if letter in _LETTERS:
                    while end < len(pattern) and pattern[end] == letter:
                        end += 1
                    if letter in "fF" and end - place > 7:
                        raise _invalid(pattern)
                yield Part(pattern[place:end], is_literal=letter not in _LETTERS)
                place = end


def format_timestamp(timestamp: Timestamp, pattern: str, culture: Culture) -> str:
    """Return a timestamp as text.

    Args:
        timestamp: what to write; it is taken as it stands, not converted to another zone.
        pattern: .NET's standard or custom format; empty means `o`.
        culture: for names, order and separators. `o`, `R`, `s` and `u` look the same in all.

    Raises:
        ExpressionError: not a valid format.
    """
    if pattern in _FIXED or not pattern:
        pattern, culture = pattern or "o", INVARIANT
    parts = parts_of(pattern, culture)
    has_day = any(part.text in {"d", "dd"} and not part.is_literal for part in parts)
    written: list[str] = []
    for part in parts:
        if part.is_literal:
            written.append(part.text)
            continue
        text = _WRITERS[part.text[0]](timestamp, len(part.text), _Names(culture, has_day))
        if not text and part.text[0] == "F" and written and written[-1].endswith("."):
            written[-1] = written[-1][:-1]
        written.append(text)
    return "".join(written)


@dataclass(frozen=True, slots=True)
class _Names:
    culture: Culture
    has_day: bool  # months have another form beside a day in some languages

    def month(self, number: int, width: str) -> str:
        return str(self.culture.locale.months["format" if self.has_day else "stand-alone"][width][number])

    def day(self, weekday: int, width: str) -> str:
        return str(self.culture.locale.days["format"][width][weekday])


def day_period(culture: Culture, period: str) -> str:
    """Return the word for `am` or `pm`."""
    return str(culture.locale.day_periods["format"]["abbreviated"][period])


def _day(timestamp: Timestamp, count: int, names: _Names) -> str:
    moment = timestamp.datetime
    if count <= 2:
        return f"{moment.day:0{count}}"
    return names.day(moment.weekday(), "abbreviated" if count == 3 else "wide")


def _month(timestamp: Timestamp, count: int, names: _Names) -> str:
    month = timestamp.datetime.month
    if count <= 2:
        return f"{month:0{count}}"
    return names.month(month, "abbreviated" if count == 3 else "wide")


def _year(timestamp: Timestamp, count: int, _: _Names) -> str:
    year = timestamp.datetime.year
    return f"{year % 100:0{count}}" if count <= 2 else f"{year:0{count}}"


def _hour12(timestamp: Timestamp, count: int, _: _Names) -> str:
    return f"{(timestamp.datetime.hour + 11) % 12 + 1:0{min(count, 2)}}"


def _hour24(timestamp: Timestamp, count: int, _: _Names) -> str:
    return f"{timestamp.datetime.hour:0{min(count, 2)}}"


def _minute(timestamp: Timestamp, count: int, _: _Names) -> str:
    return f"{timestamp.datetime.minute:0{min(count, 2)}}"


def _second(timestamp: Timestamp, count: int, _: _Names) -> str:
    return f"{timestamp.datetime.second:0{min(count, 2)}}"


def _fraction(timestamp: Timestamp, count: int, _: _Names) -> str:
    return f"{timestamp.fraction:07}"[:count]


def _short_fraction(timestamp: Timestamp, count: int, names: _Names) -> str:
    return _fraction(timestamp, count, names).rstrip("0")


def _period(timestamp: Timestamp, count: int, names: _Names) -> str:
    word = day_period(names.culture, "am" if timestamp.datetime.hour < 12 else "pm")
    return word[:1] if count == 1 else word


def _era(*_: object) -> str:
    return "A.D."


def _kind(timestamp: Timestamp, *_: object) -> str:
    return {Zone.UTC: "Z", Zone.LOCAL: "+00:00", Zone.NONE: ""}[timestamp.zone]


def _offset(_: Timestamp, count: int, __: _Names) -> str:
    return {1: "+0", 2: "+00"}.get(count, "+00:00")


_WRITERS: dict[str, Callable[[Timestamp, int, _Names], str]] = {
    "d": _day,
    "f": _fraction,
    "F": _short_fraction,
    "g": _era,
    "h": _hour12,
    "H": _hour24,
    "K": _kind,
    "m": _minute,
    "M": _month,
    "s": _second,
    "t": _period,
    "y": _year,
    "z": _offset,
}
