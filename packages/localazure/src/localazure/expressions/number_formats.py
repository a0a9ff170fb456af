"""Writes numbers by .NET's format strings, standard (a letter and a precision) and custom."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from functools import lru_cache

from babel.numbers import get_currency_symbol, get_territory_currencies

from localazure.errors import ExpressionError
from localazure.expressions.cultures import Culture
from localazure.expressions.values import float_text

PRECISION_MAX = 999  # ours; .NET allows up to 999,999,999 digits

_ROUNDING = Context(prec=2000, rounding=ROUND_HALF_UP, Emax=10_000, Emin=-10_000)
_STANDARD = re.compile(r"([A-Za-z])([0-9]{0,9})")
_SYMBOLS = {"ISK": "kr"}  # as Azure's documentation shows it; the CLDR has "kr."

Number = int | float | Decimal


def _invalid(pattern: str, why: str = "") -> ExpressionError:
    message = f"the format '{pattern}' is not a valid numeric format{why}"
    return ExpressionError("invalid-template", message)


def format_number(number: Number, pattern: str, culture: Culture) -> str:
    """Return a number as text.

    Args:
        number: what to write.
        pattern: .NET's standard or custom numeric format; empty means `G`.
        culture: for separators and the currency.

    Raises:
        ExpressionError: not a valid format.
    """
    if isinstance(number, float) and not math.isfinite(number):
        return float_text(number)
    if max(pattern.count("0"), pattern.count("#"), pattern.count("%")) > PRECISION_MAX:
        raise _invalid(pattern, f": it has more than {PRECISION_MAX} digits")
    standard = _STANDARD.fullmatch(pattern or "G")
    try:
        if standard is None:
            return _custom(_exact(number), pattern, culture)
        precision = int(standard[2]) if standard[2] else None
        return _standard(number, standard[1], precision, pattern, culture)
    except DecimalException:
        raise _invalid(pattern, f" for {number}") from None


def _exact(number: Number) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _standard(number: Number, letter: str, precision: int | None, pattern: str, culture: Culture) -> str:
    if precision is not None and precision > PRECISION_MAX:
        raise _invalid(pattern, f": the precision is above {PRECISION_MAX}")
    value = _exact(number)
    places = 2 if precision is None else precision
    match letter.upper():
        case "C":
            return _currency(value, places, culture)
        case "N":
            return _signed(value, lambda positive: _grouped(positive, places, culture))
        case "F":
            return _signed(value, lambda positive: _fixed(positive, places, culture))
        case "P":
            percent = str(culture.locale.percent_formats[None].pattern)
            written = _signed(value * 100, lambda positive: _grouped(positive, places, culture))
            return re.sub(r"[#0,.]+", lambda _: written, percent)
        case "E":
            return _scientific(value, 6 if precision is None else precision, letter, culture)
        case "G" | "R":
            return _general(number, value, precision, culture)
        case "D" | "X" | "B" if isinstance(number, int):
            return _integer(number, letter, precision or 1)
    raise _invalid(pattern, f" for {number}")


def _signed(value: Decimal, write: Callable[[Decimal], str]) -> str:
    written = write(value.copy_abs())
    return f"-{written}" if value < 0 and re.search("[1-9]", written) else written


def _rounded(value: Decimal, places: int) -> str:
    return format(value.quantize(Decimal(1).scaleb(-places), context=_ROUNDING), "f")


def _fixed(value: Decimal, places: int, culture: Culture) -> str:
    return _rounded(value, places).replace(".", culture.point)


def _grouped(value: Decimal, places: int, culture: Culture) -> str:
    whole, point, fraction = _rounded(value, places).partition(".")
    return _group(whole, culture) + (culture.point if point else "") + fraction


def _group(digits: str, culture: Culture) -> str:
    return f"{int(digits):,}".replace(",", culture.group) if digits else ""


def _currency(value: Decimal, places: int, culture: Culture) -> str:
    locale = culture.locale
    territory = locale.territory or "US"
    currencies = get_territory_currencies(territory) or ["USD"]
    code = str(currencies[0])
    symbol = _SYMBOLS.get(code) or get_currency_symbol(code, locale)
    pattern = str(locale.currency_formats["standard"].pattern).partition(";")[0]
    text = re.sub(r"[#0,.]+", lambda _: _grouped(value.copy_abs(), places, culture), pattern)
    text = text.replace("¤", symbol).replace("\xa0", " ")
    return f"-{text}" if value < 0 and re.search("[1-9]", text) else text


def _scientific(value: Decimal, places: int, letter: str, culture: Culture) -> str:
    text = format(value, f".{places}e") if value else f"{0:.{places}e}"
    mantissa, _, exponent = text.partition("e")
    power = int(exponent)
    return f"{mantissa.replace('.', culture.point)}{letter}{'-' if power < 0 else '+'}{abs(power):03}"


def _general(number: Number, value: Decimal, precision: int | None, culture: Culture) -> str:
    if not precision:
        written = float_text(number) if isinstance(number, float) else format(value, "f")
    else:
        rounded = Context(prec=precision, rounding=ROUND_HALF_UP).plus(value)
        power = rounded.adjusted()
        if -5 < power < precision:
            written = format(rounded, "f")
            written = written.rstrip("0").rstrip(".") if "." in written else written
        else:
            mantissa = format(rounded.scaleb(-power), "f")
            mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
            written = f"{mantissa}E{'-' if power < 0 else '+'}{abs(power):02}"
    return written.replace(".", culture.point)


def _integer(number: int, letter: str, digits: int) -> str:
    match letter:
        case "D" | "d":
            return f"{'-' if number < 0 else ''}{abs(number):0{digits}}"
        case "B" | "b":
            return format(number & (2**64 - 1) if number < 0 else number, f"0{digits}b")
        case _:
            return format(number & (2**64 - 1) if number < 0 else number, f"0{digits}{letter}")


@dataclass(slots=True)
class _Section:
    """One section of a custom format.

    Attributes:
        tokens: (`0`, `#`, `.`, literal text as `'…`, exponent as `E…`) in order.
        power: what the number is multiplied with, as a power of ten.
        groups: whether separators of thousands are written.
    """

    tokens: list[str] = field(default_factory=list)
    power: int = 0
    groups: bool = False

    @property
    def placeholders(self) -> tuple[list[str], list[str]]:
        """The placeholders before and after the point."""
        digits = [symbol for symbol in self.tokens if symbol in {"0", "#", "."}]
        place = digits.index(".") if "." in digits else len(digits)
        return digits[:place], digits[place + 1 :]


_CUSTOM = re.compile(r"'[^']*'|\"[^\"]*\"|\\.|[eE][+-]?0+|[0#.,;%‰]|[^0#.,;%‰\\'\"]|.", re.DOTALL)


@lru_cache(maxsize=256)
def _sections(pattern: str) -> tuple[_Section, ...]:
    sections = [_Section()]
    commas = 0
    for symbol in _CUSTOM.findall(pattern):
        if symbol == ",":
            commas += 1
            continue
        _place_commas(sections[-1], symbol, commas)
        commas = 0
        if symbol == ";":
            sections.append(_Section())
        else:
            _add(sections[-1], symbol)
    _place_commas(sections[-1], "", commas)
    return tuple(sections[:3])


def _add(section: _Section, symbol: str) -> None:
    match symbol[0]:
        case "%" | "‰":
            section.power += 2 if symbol == "%" else 3
            section.tokens.append(f"'{symbol}")
        case "'" | '"' if len(symbol) > 1:
            section.tokens.append(f"'{symbol[1:-1]}")
        case "\\" if len(symbol) > 1:
            section.tokens.append(f"'{symbol[1]}")
        case "." if "." in section.tokens:
            pass
        case "0" | "#" | ".":
            section.tokens.append(symbol)
        case "e" | "E" if len(symbol) > 1:
            section.tokens.append(symbol)
        case _:
            section.tokens.append(f"'{symbol}")


def _place_commas(section: _Section, following: str, count: int) -> None:
    """Commas between digits ask for groups; right before the point or the end each divides by a thousand."""
    if not count or "." in section.tokens or not {"0", "#"} & set(section.tokens):
        return
    if following in {"0", "#"}:
        section.groups = True
    else:
        section.power -= 3 * count


def _custom(value: Decimal, pattern: str, culture: Culture) -> str:
    sections = _sections(pattern)
    section, negative = sections[0], value < 0
    if negative and len(sections) > 1 and sections[1].tokens:
        section, negative = sections[1], False
    digits = _digits(section, value)
    if not any(digit in "123456789" for digit in digits[0] + digits[1]):
        negative = False
        if len(sections) > 2 and sections[2].tokens:
            section = sections[2]
            digits = _digits(section, Decimal(0))
        elif value < 0:
            section = sections[0]
            digits = _digits(section, Decimal(0))
    return ("-" if negative else "") + _fill(section, digits, culture)


def _digits(section: _Section, value: Decimal) -> tuple[str, str, int]:
    """Return the digits before and after the point, and the exponent."""
    before, after = section.placeholders
    scaled, power = value.copy_abs().scaleb(section.power, context=_ROUNDING), 0
    if any(token[0] in "eE" for token in section.tokens) and scaled:
        power = scaled.adjusted() - max(len(before), 1) + 1
        scaled = scaled.scaleb(-power, context=_ROUNDING)
    whole, _, fraction = _rounded(scaled, len(after)).partition(".")
    whole = whole.lstrip("0")
    needed = len(before) - before.index("0") if "0" in before else 0
    kept = len(after) - after[::-1].index("0") if "0" in after else 0
    fraction = fraction[:kept] + fraction[kept:].rstrip("0")
    return whole.rjust(needed, "0"), fraction, power


def _fill(section: _Section, digits: tuple[str, str, int], culture: Culture) -> str:
    whole, fraction, power = digits
    before, _ = section.placeholders
    written: list[str] = []
    places_left, fraction_place, in_fraction = len(before), 0, False
    for token in section.tokens:
        match token[0]:
            case "'":
                written.append(token[1:])
            case ".":
                in_fraction = True
                if not before:
                    written.append(whole)
                written.append(culture.point if fraction else "")
            case "e" | "E":
                written.append(_exponent(token, power))
            case _ if in_fraction:
                written.append(fraction[fraction_place : fraction_place + 1])
                fraction_place += 1
            case _:
                start = 0 if places_left == len(before) else len(whole) - places_left
                end = len(whole) - places_left + 1
                written.append(_grouped_part(whole, max(start, 0), max(end, 0), section.groups, culture))
                places_left -= 1
    return "".join(written)


def _grouped_part(whole: str, start: int, end: int, groups: bool, culture: Culture) -> str:
    if not groups:
        return whole[start:end]
    parts = []
    for place in range(start, end):
        right = len(whole) - place - 1
        parts.append(whole[place] + (culture.group if right and right % 3 == 0 else ""))
    return "".join(parts)


def _exponent(token: str, power: int) -> str:
    digits = token.lstrip("eE+-")
    sign = "-" if power < 0 else ("+" if "+" in token else "")
    return f"{token[0]}{sign}{abs(power):0{len(digits)}}"
