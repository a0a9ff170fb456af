"""What a locale says about numbers and dates, from the Unicode CLDR by way of Babel."""

from dataclasses import dataclass
from functools import lru_cache

from babel import Locale, UnknownLocaleError

from localazure.errors import ExpressionError


@dataclass(frozen=True)
class Culture:
    """A locale's conventions, or the invariant ones.

    Attributes:
        name: as it was asked for; empty for the invariant culture.
        locale: Babel's locale; the invariant culture has American English's.
        point: decimal separator.
        group: separator of thousands.
        names_infinity: whether `Infinity` is its word for infinity; most locales have a sign instead.
    """

    name: str
    locale: Locale
    point: str
    group: str
    names_infinity: bool


def _culture(name: str, locale: Locale) -> Culture:
    symbols = locale.number_symbols.get("latn") or {}
    point = str(symbols.get("decimal", "."))
    group = str(symbols.get("group", ","))
    return Culture(name, locale, point, group, names_infinity=False)


INVARIANT = Culture("", Locale("en", "US"), ".", ",", names_infinity=True)


@lru_cache(maxsize=64)
def culture(name: str) -> Culture:
    """Return the culture of that name, such as `de-DE`; the empty name is the invariant one.

    Raises:
        ExpressionError: no such locale.
    """
    if not name:
        return INVARIANT
    try:
        return _culture(name, Locale.parse(name, sep="-"))
    except (ValueError, TypeError, UnknownLocaleError):
        raise ExpressionError("invalid-template", f"the locale '{name}' is not known") from None
