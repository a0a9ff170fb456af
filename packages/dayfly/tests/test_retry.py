"""Delays: they grow, they scatter, and they end."""

import random

from dayfly.retry import RetryPolicy
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10_000), st.integers(0, 2**32))
def test_a_delay_grows_to_its_limit_and_scatters_by_a_quarter(tries: int, seed: int) -> None:
    policy = RetryPolicy(first_s=10, max_s=240, random=random.Random(seed))  # noqa: S311 - jitter is no secret

    delay_s = policy.delay_s(tries)

    middle_s = min(240, 10 * 2.0 ** min(tries - 1, 30))
    assert 0.75 * middle_s <= delay_s <= 1.25 * middle_s


def test_a_services_wish_is_honoured_up_to_an_hour() -> None:
    policy = RetryPolicy(first_s=1, max_s=2)

    assert policy.delay_s(1, 90) == 90
    assert policy.delay_s(1, 8 * 24 * 3600) == 3600
