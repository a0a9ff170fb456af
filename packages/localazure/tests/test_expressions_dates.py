"""Timestamps: read, written, moved, and taken from zone to zone."""

from datetime import UTC, datetime

import pytest
from localazure.evaluate import ContextScope
from localazure.expressions import ExpressionError, Timestamp, parse_template


def value_of(expression, **context):
    return parse_template(expression).evaluate(ContextScope(context))


def error_of(expression):
    with pytest.raises(ExpressionError) as caught:
        value_of(expression)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2018-03-15", "2018-03-15T00:00:00.0000000"),
        ("2018-03-15 10:00", "2018-03-15T10:00:00.0000000"),
        ("2018-03-15T10:00:00.1234567Z", "2018-03-15T10:00:00.1234567Z"),
        ("2018-03-15T10:00:00+02:00", "2018-03-15T08:00:00.0000000+00:00"),
        ("Thu, 15 Mar 2018 10:11:12 GMT", "2018-03-15T10:11:12.0000000Z"),
        ("March 15, 2018 3:04 PM", "2018-03-15T15:04:00.0000000"),
        ("15 August 2018", "2018-08-15T00:00:00.0000000"),
        ("3/15/18 12:00:05 AM", "2018-03-15T00:00:05.0000000"),
        ("2018/3/5", "2018-03-05T00:00:00.0000000"),
    ],
)
def test_timestamps_are_read_as_people_and_machines_write_them(text, value):
    assert value_of(f"@parseDateTime('{text}')") == value


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("'martes 20 octubre 2020', 'es-es'", "2020-10-20T00:00:00.0000000"),
        ("'20. Oktober 2020 15:30', 'de-DE'", "2020-10-20T15:30:00.0000000"),
        ("'1/2/2020', 'en-GB'", "2020-02-01T00:00:00.0000000"),
        ("'21052019', 'fr-fr', 'ddMMyyyy'", "2019-05-21T00:00:00.0000000"),
        ("'03:04 PM 2019-05-21', 'en-US', 'hh:mm tt yyyy-MM-dd'", "2019-05-21T15:04:00.0000000"),
        ("'2019-05-21T00:00:00.5Z', 'en-US', 'yyyy-MM-ddTHH:mm:ss.FFFFFFFK'", "2019-05-21T00:00:00.5000000Z"),
    ],
)
def test_timestamps_are_read_in_a_locale_and_by_a_format(arguments, value):
    assert value_of(f"@parseDateTime({arguments})") == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2018-02-30",
        "2018-13-01",
        "20180315",
        "2018-03-15T25:00:00Z",
        "Friday, 15 March 2018",
        "1/2",
    ],
)
def test_what_is_no_timestamp_is_refused(text):
    assert "is not a valid date and time" in error_of(f"@addDays('{text}', 1)").message


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("r", "Thu, 15 Mar 2018 13:07:06 GMT"),
        ("o", "2018-03-15T13:07:06.1234567Z"),
        ("s", "2018-03-15T13:07:06"),
        ("u", "2018-03-15 13:07:06Z"),
        ("d", "3/15/2018"),
        ("D", "Thursday, March 15, 2018"),
        ("f", "Thursday, March 15, 2018 1:07 PM"),
        ("F", "Thursday, March 15, 2018 1:07:06 PM"),
        ("G", "3/15/2018 1:07:06 PM"),
        ("t", "1:07 PM"),
        ("m", "March 15"),
        ("y", "March 2018"),
        ("yyyy-MM-ddTHH:mm:ss.fffZ", "2018-03-15T13:07:06.123Z"),
        ("%h", "1"),
        ("yy M d ddd MMM H m s tt zzz K", "18 3 15 Thu Mar 13 7 6 PM +00:00 Z"),
        ("ss.FFFFFFF", "06.1234567"),
        ("''at'' HH\\h", "at 13h"),
    ],
)
def test_timestamps_are_written_by_dotnet_formats(pattern, value):
    assert value_of(f"@formatDateTime('2018-03-15T13:07:06.1234567Z', '{pattern}')") == value


def test_a_point_before_a_fraction_of_nothing_is_left_out():
    assert value_of("@formatDateTime('2018-03-15T13:07:06Z', 'ss.FFF')") == "06"


@pytest.mark.parametrize(
    ("locale", "value"),
    [
        ("de-DE", "Donnerstag, 15. März 2018"),
        ("fr-FR", "jeudi 15 mars 2018"),
        ("es-es", "jueves, 15 de marzo de 2018"),
    ],
)
def test_dates_are_written_in_the_language_of_a_locale(locale, value):
    assert value_of(f"@formatDateTime('2018-03-15', 'D', '{locale}')") == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("convertFromUtc('2018-01-01T08:00:00Z', 'Pacific Standard Time')", "2018-01-01T00:00:00.0000000"),
        ("convertFromUtc('2018-07-01T08:00:00Z', 'W. Europe Standard Time')", "2018-07-01T10:00:00.0000000"),
        ("convertFromUtc('2018-07-01T08:00:00Z', 'w europe standard time')", "2018-07-01T10:00:00.0000000"),
        ("convertFromUtc('2018-07-01T08:00:00.1234567Z', 'UTC')", "2018-07-01T08:00:00.1234567Z"),
        ("convertToUtc('2018-01-01T00:00:00', 'Pacific Standard Time')", "2018-01-01T08:00:00.0000000Z"),
        ("convertToUtc('2018-11-04T01:30:00', 'Pacific Standard Time')", "2018-11-04T09:30:00.0000000Z"),
        (
            "convertTimeZone('2018-01-01T00:00:00', 'Tokyo Standard Time', 'India Standard Time')",
            "2017-12-31T20:30:00.0000000",
        ),
    ],
)
def test_time_zones_have_windows_names_and_keep_every_digit(expression, value):
    assert value_of(f"@{expression}") == value


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("convertFromUtc('2018-01-01', 'Europe/Berlin')", "Windows' names"),
        ("convertToUtc('2018-01-01T00:00:00Z', 'Pacific Standard Time')", "leave its zone out"),
        ("convertToUtc('2018-03-11T02:30:00', 'Pacific Standard Time')", "does not exist"),
        ("convertFromUtc('0001-01-01', 'Pacific Standard Time')", "outside of the years"),
        ("addDays('9999-12-31', 1)", "outside of the years"),
        ("addToTime('9999-12-31', 1, 'Month')", "outside of the years"),
        ("addToTime('2018-03-15', 1, 'Fortnight')", "'Fortnight' is not known"),
        ("formatDateTime('2018-03-15', 'q')", "'q' is not a valid date and time format"),
        ("formatDateTime('2018-03-15', '''open')", "is not a valid date and time format"),
        ("formatDateTime('2018-03-15', 'D', 'xx-nope')", "locale 'xx-nope' is not known"),
        ("parseDateTime('2018', 'en-US', 'yyyy-MM')", "not a date and time of the format 'yyyy-MM'"),
    ],
)
def test_what_cannot_be_done_with_a_timestamp_is_said(expression, word):
    assert word in error_of(f"@{expression}").message


def test_months_end_where_they_end():
    assert value_of("@addToTime('2016-01-31', 1, 'Month', 'yyyy-MM-dd')") == "2016-02-29"
    assert value_of("@subtractFromTime('2016-02-29', 1, 'Year', 'yyyy-MM-dd')") == "2015-02-28"


def test_durations_are_written_as_timespans():
    assert value_of("@dateDifference('2018-07-30T12:00:00.5', '2018-07-30T10:00:00')") == "-02:00:00.5000000"
    assert value_of("@dateDifference('2018-07-30', '2018-08-01T01:02:03')") == "2.01:02:03"


def test_the_clock_is_the_scopes():
    class Noon(ContextScope):
        def now(self):
            return datetime(2026, 1, 2, 12, 0, 0, 5, tzinfo=UTC)

    assert parse_template("@utcNow()").evaluate(Noon({})) == "2026-01-02T12:00:00.0000050Z"
    assert value_of("@utcNow()", now="2025-09-25T05:18:31.3384797Z") == "2025-09-25T05:18:31.3384797Z"
    assert value_of("@ticks(utcNow())", now="1970-01-01T00:00:00Z") == 621_355_968_000_000_000
    assert Timestamp.from_datetime(datetime(1970, 1, 1, tzinfo=UTC)).ticks == 621_355_968_000_000_000
