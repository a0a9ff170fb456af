"""Points in time as the language counts them: ticks of 100 nanoseconds since the year 1."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from localazure.errors import ExpressionError

TICKS_PER_SECOND = 10_000_000
TICKS_PER_MINUTE = 60 * TICKS_PER_SECOND
TICKS_PER_HOUR = 60 * TICKS_PER_MINUTE
TICKS_PER_DAY = 24 * TICKS_PER_HOUR
TICKS_MAX = 3_155_378_975_999_999_999  # 9999-12-31T23:59:59.9999999

_EPOCH = datetime(1, 1, 1)  # noqa: DTZ001 - the calendar alone; the zone is in Timestamp.zone


class Zone(Enum):
    """What is known of a timestamp's zone; .NET's DateTimeKind."""

    UTC = "utc"  # written with Z
    LOCAL = "local"  # given with an offset, kept in the host's zone, which is UTC, and written with +00:00
    NONE = "none"  # no zone at all


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A date and time of day with seven fractional digits.

    Attributes:
        ticks: 100-nanosecond intervals since 0001-01-01T00:00:00, from 0 to TICKS_MAX.
        zone: what is known of its zone.
    """

    ticks: int
    zone: Zone = Zone.NONE

    def __post_init__(self) -> None:
        if not 0 <= self.ticks <= TICKS_MAX:
            raise ExpressionError("invalid-template", "the date lies outside of the years 1 to 9999")

    @classmethod
    def from_datetime(cls, moment: datetime, zone: Zone | None = None) -> "Timestamp":
        """Return the timestamp of a datetime; an aware one becomes UTC."""
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
            zone = zone or Zone.UTC
        since = moment - _EPOCH
        ticks = since.days * TICKS_PER_DAY + since.seconds * TICKS_PER_SECOND + since.microseconds * 10
        return cls(ticks, zone or Zone.NONE)

    @property
    def datetime(self) -> datetime:
        """The same as a naive datetime, cut to microseconds."""
        return _EPOCH + timedelta(microseconds=self.ticks // 10)

    @property
    def fraction(self) -> int:
        """Ticks within the second, 0 to 9999999."""
        return self.ticks % TICKS_PER_SECOND

    def plus(self, ticks: int) -> "Timestamp":
        """Return the timestamp so many ticks later; negative is earlier."""
        return Timestamp(self.ticks + ticks, self.zone)

    def plus_months(self, months: int) -> "Timestamp":
        """Return the same day so many months later, or the month's last day where it has no such day."""
        moment = self.datetime
        year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
        if not 1 <= year <= 9999:
            raise ExpressionError("invalid-template", "the date lies outside of the years 1 to 9999")
        day = min(moment.day, _days_in_month(year, month + 1))
        start = Timestamp.from_datetime(datetime(year, month + 1, day))  # noqa: DTZ001 - calendar alone
        return Timestamp(start.ticks + self.ticks % TICKS_PER_DAY, self.zone)

    def floor(self, ticks: int) -> "Timestamp":
        """Return the start of the interval of so many ticks that it lies in."""
        return Timestamp(self.ticks - self.ticks % ticks, self.zone)


def _days_in_month(year: int, month: int) -> int:
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in {4, 6, 9, 11} else 31
