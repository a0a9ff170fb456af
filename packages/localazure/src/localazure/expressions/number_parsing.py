"""Reads numbers from text the way .NET does: white space, signs on either side, separators of thousands."""

import re
from decimal import Decimal
from functools import lru_cache

from localazure.expressions.cultures import INVARIANT, Culture
from localazure.expressions.values import INT64_MAX, INT64_MIN

_WHITE = r"[\t-\r ]*+"


@lru_cache(maxsize=64)
def _pattern(culture: Culture, *, exponent: bool, trailing_sign: bool) -> re.Pattern[str]:
    group = re.escape(culture.group)
    if culture.group in "\xa0\u202f":
        group = "[\xa0\u202f ]"  # .NET takes a plain space for a no-break one
    point = re.escape(culture.point)
    return re.compile(
        rf"{_WHITE}(?P<sign>[+-])?"
        rf"(?:(?P<whole>[0-9](?:[0-9]|{group})*)(?:{point}(?P<fraction>[0-9]*))?|{point}(?P<only>[0-9]+))"
        + (r"(?P<exponent>[eE][+-]?[0-9]+)?" if exponent else "")
        + _WHITE
        + (r"(?P<after>(?(sign)|[+-]))?" if trailing_sign else "")
        + _WHITE
    )


def _written(text: str, culture: Culture, *, exponent: bool, trailing_sign: bool = True) -> str | None:
    """Return the number in the form that Python reads, or None if it is none."""
    found = _pattern(culture, exponent=exponent, trailing_sign=trailing_sign).fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    whole = re.sub(r"[^0-9]", "", parts["whole"] or "") or "0"
    fraction = parts["fraction"] or parts["only"] or ""
    sign = parts["sign"] or parts.get("after") or ""
    return f"{sign}{whole}{f'.{fraction}' if fraction else ''}{parts.get('exponent') or ''}"


def parse_float(text: str, culture: Culture = INVARIANT, *, trailing_sign: bool = True) -> float | None:
    """Return the float that text means, or None if it is none; too large is infinite, too small is 0."""
    named = text.strip().lower()
    if named in {"nan", "+nan", "-nan"}:
        return float("nan")
    if culture.names_infinity and named in {"infinity", "+infinity", "-infinity"}:
        return float(named)
    written = _written(text, culture, exponent=True, trailing_sign=trailing_sign)
    return None if written is None else float(written)


def parse_decimal(text: str, culture: Culture = INVARIANT) -> Decimal | None:
    """Return the decimal that text means, or None if it is none. It may have more digits than .NET keeps."""
    written = _written(text, culture, exponent=False)
    return None if written is None else Decimal(written)


def parse_integer(text: str) -> int | None:
    """Return the 64-bit integer that text is, or None: digits with a sign and white space, nothing else."""
    if not re.fullmatch(rf"{_WHITE}[+-]?[0-9]{{1,40}}{_WHITE}", text):
        return None
    value = int(text)
    return value if INT64_MIN <= value <= INT64_MAX else None
