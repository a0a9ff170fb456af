"""When a recurrence is due.

The rules follow the Logic Apps documentation ("Recurrence trigger" and "Schedules for recurring triggers"):
without a start time the first time is now and the next ones follow the last; a start time in the past sets
the beat; a schedule (hours, minutes, days) picks moments of the calendar; daylight saving time is honoured
only where a time zone is named.
"""

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import get_global

#: The interval's limits for each frequency (Logic Apps, limits of recurrences).
INTERVALS_MAX = {
    "second": 9_999_999,
    "minute": 72_000,
    "hour": 12_000,
    "day": 500,
    "week": 71,
    "month": 16,
    "year": 1,
}
WEEK_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SCHEDULED = frozenset({"hour", "day", "week", "month"})
SCHEDULE_FIELDS = frozenset({"hours", "minutes", "weekDays", "monthDays", "monthlyOccurrences"})
FIELDS = frozenset({"frequency", "interval", "startTime", "endTime", "timeZone", "schedule"})

_STEPS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}
#: How far ahead a scheduled moment is looked for: the 31st of a month every 16 months comes within that.
_HORIZON_DAYS = 366 * 30


@dataclass(frozen=True)
class Schedule:
    """The moments of a calendar: empty tuples mean that part is not given."""

    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    #: 0 is Monday.
    week_days: tuple[int, ...] = ()
    #: 1 to 31, or -1 for the last day and so on backwards.
    month_days: tuple[int, ...] = ()
    #: (week day, which one of the month: 1 to 5, or -1 to -5 from the end).
    occurrences: tuple[tuple[int, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hours or self.minutes or self.week_days or self.month_days or self.occurrences)


@dataclass(frozen=True)
class Recurrence:
    """A recurrence with its expressions evaluated.

    Attributes:
        frequency: second, minute, hour, day, week, month or year.
        interval: every how many of them.
        start: the start time, None if there is none.
        end: nothing is due after it; None for no end.
        zone: the zone that calendar days and hours are reckoned in.
        schedule: moments of the calendar, false if there are none.
    """

    frequency: str
    interval: int
    start: datetime | None = None
    end: datetime | None = None
    zone: tzinfo = UTC
    schedule: Schedule = field(default_factory=Schedule)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Recurrence":
        """Read a `recurrence` object.

        Raises:
            ValueError: it has problems, which `recurrence_problems` names.
        """
        problems = recurrence_problems(value)
        if problems:
            raise ValueError("; ".join(problems))
        zone = time_zone(str(value["timeZone"])) if value.get("timeZone") else UTC
        return cls(
            str(value["frequency"]).lower(),
            int(value["interval"]),
            _moment(value.get("startTime"), zone),
            _moment(value.get("endTime"), zone),
            zone,
            _schedule(value.get("schedule") or {}),
        )

    def first_due(self, now: datetime) -> datetime | None:
        """Return when a trigger that begins now is due first, None if never."""
        if self.start is None:
            return self._unless_ended(now)
        if self.start > now and not self.schedule:
            return self._unless_ended(self.start)
        if self.schedule:
            just_before = max(self.start, now) - timedelta(microseconds=1)
            return self._next_scheduled(just_before, self.start)
        return self._next_of_beat(self.start, now)

    def next_due(self, last: datetime) -> datetime | None:
        """Return when a trigger that was due, or done, at `last` is due again, None if never."""
        if self.schedule:
            return self._next_scheduled(last, self.start or last)
        if self.start is not None:
            return self._next_of_beat(self.start, last)
        return self._unless_ended(self._step(last, 1))

    def period_s(self) -> float:
        """Return the seconds between two times of a recurrence without schedule, a month counting 30 days."""
        return self.interval * _STEPS_S.get(
            self.frequency, 86_400 * (30 if self.frequency == "month" else 365)
        )

    def _unless_ended(self, due: datetime) -> datetime | None:
        return None if self.end is not None and due > self.end else due

    def _next_of_beat(self, start: datetime, after: datetime) -> datetime | None:
        beats = max(0, int((after - start).total_seconds() // (self.period_s() * 1.05)) - 1)
        while (due := self._step(start, beats)) <= after:
            beats += 1
        return self._unless_ended(due)

    def _step(self, origin: datetime, times: int) -> datetime:
        count = self.interval * times
        local = origin.astimezone(self.zone)
        match self.frequency:
            case "second" | "minute" | "hour":
                return origin + timedelta(seconds=count * _STEPS_S[self.frequency])
            case "day" | "week":
                moved = local.replace(tzinfo=None) + timedelta(seconds=count * _STEPS_S[self.frequency])
            case _:
                months = count * (12 if self.frequency == "year" else 1)
                year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
                day = min(local.day, calendar.monthrange(year, month + 1)[1])
                moved = local.replace(tzinfo=None, year=year, month=month + 1, day=day)
        return moved.replace(tzinfo=self.zone).astimezone(UTC)

    def _next_scheduled(self, after: datetime, origin: datetime) -> datetime | None:
        anchor = origin.astimezone(self.zone)
        day = max(after, origin).astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(_HORIZON_DAYS):
            if self._is_due_on(day, anchor.date()):
                for at in self._times(anchor):
                    due = datetime.combine(day, at, self.zone).astimezone(UTC)
                    if due > after and due >= origin:
                        return self._unless_ended(due)
            day += timedelta(days=1)
        return None

    def _is_due_on(self, day: date, anchor: date) -> bool:
        schedule = self.schedule
        match self.frequency:
            case "day":
                return (day - anchor).days % self.interval == 0
            case "week":
                monday, first = (each - timedelta(days=each.weekday()) for each in (day, anchor))
                on = schedule.week_days or (anchor.weekday(),)
                return day.weekday() in on and (monday - first).days // 7 % self.interval == 0
            case "month":
                months = (day.year - anchor.year) * 12 + day.month - anchor.month
                return months % self.interval == 0 and _is_in_month(schedule, day, anchor.day)
            case _:
                return True

    def _times(self, anchor: datetime) -> Iterator[time]:
        """Yield the times of a due day; what the schedule leaves out is taken from the anchor."""
        schedule = self.schedule
        hours: tuple[int, ...] = tuple(sorted(schedule.hours)) or (anchor.hour,)
        if self.frequency == "hour":
            hours = tuple(range(anchor.hour % self.interval, 24, self.interval))
        minutes = tuple(sorted(schedule.minutes)) or (anchor.minute,)
        second = 0 if schedule.minutes else anchor.second
        for hour in hours:
            for minute in minutes:
                yield time(hour, minute, second)


def _is_in_month(schedule: Schedule, day: date, anchor_day: int) -> bool:
    length = calendar.monthrange(day.year, day.month)[1]
    if schedule.occurrences:
        first, last = (day.day - 1) // 7 + 1, -((length - day.day) // 7 + 1)
        return any(
            day.weekday() == week_day and nth in (first, last) for week_day, nth in schedule.occurrences
        )
    if schedule.month_days:
        return day.day in schedule.month_days or day.day - length - 1 in schedule.month_days
    return day.day == min(anchor_day, length)


def time_zone(name: str) -> ZoneInfo:
    """Return the zone of a Windows name, such as `W. Europe Standard Time`.

    Raises:
        ValueError: there is no such zone.
    """
    zones: Mapping[str, str] = get_global("windows_zone_mapping")
    place = {key.lower(): value for key, value in zones.items()}.get(name.lower())
    if place is None:
        raise ValueError(f"the time zone {name!r} is not known; zones have Windows' names, such as 'UTC'")
    return ZoneInfo(place)


def recurrence_problems(value: Any) -> list[str]:
    """Name everything that is wrong with a `recurrence`; expressions are taken on trust."""
    if not isinstance(value, Mapping):
        return ["a recurrence must be an object with frequency and interval"]
    problems = [f"a recurrence has no {name!r}" for name in value if name not in FIELDS]
    frequency, interval = value.get("frequency"), value.get("interval")
    lowered = str(frequency).lower()
    if not _is_expression(frequency) and lowered not in INTERVALS_MAX:
        problems.append(f"frequency {frequency!r} is not one of Second, Minute, Hour, Day, Week, Month, Year")
    if not _is_expression(interval):
        most = INTERVALS_MAX.get(lowered, INTERVALS_MAX["second"])
        if not _is_whole(interval) or not 1 <= int(str(interval)) <= most:
            problems.append(f"interval {interval!r} is not a whole number from 1 to {most}")
    return problems + _time_problems(value) + _schedule_problems(value.get("schedule"), lowered)


def _time_problems(value: Mapping[str, Any]) -> list[str]:
    problems = []
    zone: tzinfo = UTC
    name = value.get("timeZone")
    if name and not _is_expression(name):
        try:
            zone = time_zone(str(name))
        except ValueError as exc:
            problems.append(str(exc))
    for each in ("startTime", "endTime"):
        if not _is_expression(value.get(each)):
            try:
                _moment(value.get(each), zone)
            except ValueError:
                problems.append(
                    f"{each} {value.get(each)!r} is not an ISO 8601 time such as 2026-01-31T08:00:00Z"
                )
    return problems


def _schedule_problems(schedule: Any, frequency: str) -> list[str]:
    if not schedule:
        return []
    if not isinstance(schedule, Mapping):
        return ["schedule must be an object"]
    if frequency not in SCHEDULED:
        return [f"a schedule does not go with frequency {frequency}: only with Hour, Day, Week and Month"]
    problems = [f"a schedule has no {name!r}" for name in schedule if name not in SCHEDULE_FIELDS]
    allowed = {"weekDays": "week", "monthDays": "month", "monthlyOccurrences": "month"}
    problems += [
        f"{name} goes with frequency {wanted.title()} only"
        for name, wanted in allowed.items()
        if schedule.get(name) and frequency != wanted
    ]
    try:
        _schedule(schedule)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        problems.append(f"the schedule cannot be read: {exc}")
    return problems


def _schedule(value: Mapping[str, Any]) -> Schedule:
    def numbers(name: str, low: int, high: int) -> tuple[int, ...]:
        found = tuple(int(each) for each in value.get(name) or ())
        if wrong := [
            each for each in found if not low <= each <= high or (name == "monthDays" and each == 0)
        ]:
            raise ValueError(f"{name} {wrong[0]} is not from {low} to {high}")
        return found

    return Schedule(
        numbers("hours", 0, 23),
        numbers("minutes", 0, 59),
        tuple(_week_day(each) for each in value.get("weekDays") or ()),
        numbers("monthDays", -31, 31),
        tuple(
            (_week_day(each["day"]), int(each["occurrence"]))
            for each in value.get("monthlyOccurrences") or ()
        ),
    )


def _week_day(name: Any) -> int:
    if str(name).lower() not in WEEK_DAYS:
        raise ValueError(f"{name!r} is no day of the week")
    return WEEK_DAYS.index(str(name).lower())


def _moment(value: Any, zone: tzinfo) -> datetime | None:
    if not value:
        return None
    moment = datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _is_whole(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and value.isdigit()
    )


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("@")
