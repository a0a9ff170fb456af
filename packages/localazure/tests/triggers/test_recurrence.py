"""When recurrences are due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from localazure.workflows.recurrence import Recurrence, recurrence_problems

NOW = datetime(2030, 1, 15, 10, 7, 30, tzinfo=UTC)  # a Tuesday


def due(value: dict[str, Any], times: int, now: datetime = NOW) -> list[str]:
    """Return the first due times of a recurrence that begins now and is looked at on the moment."""
    recurrence = Recurrence.from_json(value)
    found = []
    moment = recurrence.first_due(now)
    while moment is not None and len(found) < times:
        found.append(moment.strftime("%m-%dT%H:%M:%S"))
        moment = recurrence.next_due(moment)
    return found


def test_without_a_start_time_the_first_is_now_and_the_next_follow_it() -> None:
    assert due({"frequency": "Minute", "interval": 5}, 2) == ["01-15T10:07:30", "01-15T10:12:30"]


def test_an_interval_may_be_a_text_that_an_expression_gave() -> None:
    assert due({"frequency": "second", "interval": "30"}, 2) == ["01-15T10:07:30", "01-15T10:08:00"]


def test_a_start_time_in_the_past_sets_the_beat() -> None:
    value = {"frequency": "Hour", "interval": 4, "startTime": "2030-01-01T01:00:00Z"}
    assert due(value, 2) == ["01-15T13:00:00", "01-15T17:00:00"]


def test_a_start_time_in_the_future_is_the_first() -> None:
    value = {"frequency": "Day", "interval": 1, "startTime": "2030-01-20T08:00:00Z"}
    assert due(value, 2) == ["01-20T08:00:00", "01-21T08:00:00"]


def test_months_end_where_they_end() -> None:
    value = {"frequency": "Month", "interval": 1, "startTime": "2030-01-31T08:00:00Z"}
    assert due(value, 4) == ["01-31T08:00:00", "02-28T08:00:00", "03-31T08:00:00", "04-30T08:00:00"]


def test_hours_without_minutes_take_the_minute_of_the_start() -> None:
    value = {
        "frequency": "Day",
        "interval": 1,
        "startTime": "2030-01-01T00:20:00Z",
        "schedule": {"hours": [8, 17]},
    }
    assert due(value, 3) == ["01-15T17:20:00", "01-16T08:20:00", "01-16T17:20:00"]


def test_a_schedule_without_a_start_time_fires_now_and_then_by_the_schedule() -> None:
    value = {
        "frequency": "Week",
        "interval": 1,
        "schedule": {"weekDays": ["Monday", "Friday"], "hours": [9], "minutes": [0, 30]},
    }
    assert due(value, 4) == ["01-15T10:07:30", "01-18T09:00:00", "01-18T09:30:00", "01-21T09:00:00"]


def test_every_second_week_counts_from_the_start() -> None:
    value = {
        "frequency": "Week",
        "interval": 2,
        "startTime": "2030-01-07T09:00:00Z",
        "schedule": {"weekDays": ["Monday"]},
    }
    assert due(value, 2) == ["01-21T09:00:00", "02-04T09:00:00"]


def test_days_of_a_month_count_from_either_end() -> None:
    value = {
        "frequency": "Month",
        "interval": 1,
        "startTime": "2030-01-01T06:00:00Z",
        "schedule": {"monthDays": [16, -1]},
    }
    assert due(value, 3) == ["01-16T06:00:00", "01-31T06:00:00", "02-16T06:00:00"]


def test_the_last_friday_of_a_month_is_found() -> None:
    value = {
        "frequency": "Month",
        "interval": 1,
        "startTime": "2030-01-01T06:00:00Z",
        "schedule": {"monthlyOccurrences": [{"day": "Friday", "occurrence": -1}]},
    }
    assert due(value, 2) == ["01-25T06:00:00", "02-22T06:00:00"]


def test_a_named_zone_keeps_its_hour_when_clocks_change() -> None:
    value = {
        "frequency": "Day",
        "interval": 1,
        "timeZone": "W. Europe Standard Time",
        "startTime": "2030-03-29T08:00:00",
    }
    # Clocks go forward on March 31st.
    assert due(value, 3, datetime(2030, 3, 1, tzinfo=UTC)) == [
        "03-29T07:00:00",
        "03-30T07:00:00",
        "03-31T06:00:00",
    ]


def test_times_that_were_missed_are_not_made_up_for() -> None:
    recurrence = Recurrence.from_json(
        {"frequency": "Hour", "interval": 1, "startTime": "2030-01-15T10:00:00Z"}
    )
    assert recurrence.next_due(datetime(2030, 1, 15, 14, 30, tzinfo=UTC)) == datetime(
        2030, 1, 15, 15, tzinfo=UTC
    )


def test_nothing_is_due_after_the_end() -> None:
    value = {"frequency": "Hour", "interval": 1, "endTime": "2030-01-15T11:30:00Z"}
    assert due(value, 5) == ["01-15T10:07:30", "01-15T11:07:30"]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"interval": 1}, "frequency"),
        ({"frequency": "Fortnight", "interval": 1}, "Fortnight"),
        ({"frequency": "Minute", "interval": 0}, "interval 0"),
        ({"frequency": "Month", "interval": 17}, "1 to 16"),
        ({"frequency": "Minute", "interval": 1.5}, "1.5"),
        ({"frequency": "Minute", "interval": 1, "timeZone": "Mars"}, "Mars"),
        ({"frequency": "Minute", "interval": 1, "startTime": "soon"}, "soon"),
        ({"frequency": "Minute", "interval": 1, "schedule": {"hours": [1]}}, "schedule"),
        ({"frequency": "Day", "interval": 1, "schedule": {"hours": [24]}}, "24"),
        ({"frequency": "Day", "interval": 1, "schedule": {"weekDays": ["Monday"]}}, "weekDays"),
        ({"frequency": "Week", "interval": 1, "schedule": {"weekDays": ["Someday"]}}, "Someday"),
        ({"frequency": "Minute", "interval": 1, "every": 2}, "every"),
    ],
)
def test_a_recurrence_that_is_none_says_why(value: dict[str, Any], wrong: str) -> None:
    problems = recurrence_problems(value)
    assert problems
    assert wrong in "; ".join(problems)


def test_expressions_are_left_to_the_run() -> None:
    assert recurrence_problems({"frequency": "Second", "interval": "@parameters('pollSeconds')"}) == []
