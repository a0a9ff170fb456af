"""Retry policies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from localazure.workflows.retry import DEFAULT_POLICY, RetryPolicy, is_retried, policy_problems, retry_after_s

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def ranges(policy: RetryPolicy, retries: int) -> list[tuple[float, float]]:
    return [
        (policy.delay_s(retry, lambda low, _: low), policy.delay_s(retry, lambda _, high: high))
        for retry in range(1, retries + 1)
    ]


def test_the_default_is_four_retries_from_5_to_45_seconds() -> None:
    assert RetryPolicy.from_json(None) == RetryPolicy.from_json({"type": "Default"}) == DEFAULT_POLICY
    assert DEFAULT_POLICY.count == 4
    assert ranges(DEFAULT_POLICY, 4) == [(5, 7.5), (7.5, 15), (15, 30), (30, 45)]


def test_exponential_ranges_are_those_of_the_documentation() -> None:
    policy = RetryPolicy.from_json(
        {
            "type": "exponential",
            "count": 6,
            "interval": "PT10S",
            "minimumInterval": "PT15S",
            "maximumInterval": "PT1M",
        }
    )
    # The minimum wins over a first range that would end before it.
    assert ranges(policy, 6) == [(15, 15), (15, 20), (20, 40), (40, 60), (60, 60), (60, 60)]


def test_fixed_waits_the_same_and_none_does_not_try_again() -> None:
    fixed = RetryPolicy.from_json({"type": "fixed", "count": "2", "interval": "PT20S"})
    assert (fixed.count, ranges(fixed, 2)) == (2, [(20, 20), (20, 20)])
    assert RetryPolicy.from_json({"type": "None"}).count == 0


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        ({"type": "linear"}, "linear"),
        ({"type": "fixed", "interval": "PT10S"}, "count"),
        ({"type": "fixed", "count": 91, "interval": "PT10S"}, "91"),
        ({"type": "fixed", "count": 3}, "interval"),
        ({"type": "fixed", "count": 3, "interval": "PT4S"}, "PT5S"),
        ({"type": "fixed", "count": 3, "interval": "P2D"}, "P1D"),
        ({"type": "fixed", "count": 3, "interval": "10"}, "ISO 8601"),
        ({"type": "fixed", "count": 3, "interval": "PT10S", "minimumInterval": "PT5S"}, "minimumInterval"),
        ({"type": "none", "count": 3}, "count"),
        ("twice", "object"),
    ],
)
def test_a_policy_that_is_none_says_why(policy: Any, wrong: str) -> None:
    assert wrong in "; ".join(policy_problems(policy))


@pytest.mark.parametrize("status", [None, 408, 429, 500, 503])
def test_what_may_pass_is_tried_again(status: int | None) -> None:
    assert is_retried(status)


@pytest.mark.parametrize("status", [200, 202, 302, 400, 404, 409])
def test_what_will_not_pass_is_not(status: int) -> None:
    assert not is_retried(status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Tue, 01 Jan 2030 00:01:00 GMT", 60.0),
        ("Mon, 31 Dec 2029 00:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds
