"""Retry policies of Http and connector operations.

Facts and figures: Logic Apps documentation, "Handle errors and exceptions" (retry policy types and the table
of exponential ranges) and "HTTP" (which answers are retried).
"""

import email.utils
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate

COUNT_MIN, COUNT_MAX = 1, 90
INTERVAL_MIN = timedelta(seconds=5)
INTERVAL_MAX = timedelta(days=1)

_RETRIED = frozenset({408, 429})

#: Draws a number of seconds evenly from a range, both ends included.
Draw = Callable[[float, float], float]


def is_retried(status: int | None) -> bool:
    """Tell whether an answer is worth another try: 408, 429, 5xx, or None (no answer came)."""
    return status is None or status in _RETRIED or 500 <= status <= 599


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds, or a date; None if it is absent or says neither."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how far apart an operation is tried again.

    Attributes:
        kind: `none`, `fixed` or `exponential`.
        count: tries after the first one.
        interval_s: seconds between tries (fixed), or the scale of the exponential ranges.
        minimum_s: least seconds between tries, exponential only.
        maximum_s: most seconds between tries, exponential only.
    """

    kind: str
    count: int = 0
    interval_s: float = 0.0
    minimum_s: float = 0.0
    maximum_s: float = INTERVAL_MAX.total_seconds()

    @classmethod
    def from_json(cls, policy: Mapping[str, Any] | None) -> "RetryPolicy":
        """Read a `retryPolicy` object whose expressions have been evaluated; None means the default.

        Raises:
            ValueError: it has a problem that `policy_problems` names.
        """
        problems = policy_problems(policy)
        if problems:
            raise ValueError("; ".join(problems))
        kind = str(policy.get("type", "default")).lower() if policy else "default"
        if policy is None or kind == "default":
            return DEFAULT_POLICY
        if kind == "none":
            return NO_RETRY
        interval = _duration(policy["interval"])
        if kind == "fixed":
            return cls("fixed", int(policy["count"]), interval.total_seconds())
        minimum = _duration(policy.get("minimumInterval", "PT0S"))
        maximum = _duration(policy.get("maximumInterval", "P1D"))
        return cls(
            "exponential",
            int(policy["count"]),
            interval.total_seconds(),
            minimum.total_seconds(),
            maximum.total_seconds(),
        )

    def delay_s(self, retry: int, draw: Draw = random.uniform) -> float:
        """Return the seconds to wait before a retry.

        Args:
            retry: which retry, from 1.
            draw: where the random part of an exponential delay comes from.
        """
        if self.kind != "exponential":
            return self.interval_s
        low = max(0.0 if retry == 1 else 2.0 ** (retry - 2) * self.interval_s, self.minimum_s)
        high = min(2.0 ** (retry - 1) * self.interval_s, self.maximum_s)
        return draw(min(low, high), high) if low < high else min(low, self.maximum_s)


NO_RETRY = RetryPolicy("none")

#: "Sends up to 4 retries at exponentially increasing intervals, which scale by 7.5 seconds but are capped
#: between 5 and 45 seconds."
DEFAULT_POLICY = RetryPolicy("exponential", 4, 7.5, 5.0, 45.0)


def policy_problems(policy: Any) -> list[str]:
    """Name everything that is wrong with a `retryPolicy`; expressions are taken on trust."""
    if policy is None or _is_expression(policy):
        return []
    if not isinstance(policy, Mapping):
        return ["retryPolicy must be an object"]
    kind = policy.get("type", "default")
    if _is_expression(kind):
        return []
    known = {
        "default": {"type"},
        "none": {"type"},
        "fixed": {"type", "count", "interval"},
        "exponential": {"type", "count", "interval", "minimumInterval", "maximumInterval"},
    }
    lowered = str(kind).lower()
    if lowered not in known:
        return [f"retryPolicy type {kind!r} is not one of default, none, fixed, exponential"]
    problems = [
        f"retryPolicy of type {lowered} has no property {name!r}"
        for name in sorted(set(policy) - known[lowered])
    ]
    if lowered in {"fixed", "exponential"}:
        problems += _count_problems(policy.get("count"))
        problems += _interval_problems(policy, "interval", required=True)
    if lowered == "exponential":
        problems += _interval_problems(policy, "minimumInterval", required=False)
        problems += _interval_problems(policy, "maximumInterval", required=False)
    return problems


def _count_problems(count: Any) -> list[str]:
    if _is_expression(count):
        return []
    whole = isinstance(count, int) and not isinstance(count, bool)
    if isinstance(count, str) and count.isdigit():
        whole, count = True, int(count)
    if not whole or not COUNT_MIN <= count <= COUNT_MAX:
        return [f"retryPolicy count {count!r} is not a whole number from {COUNT_MIN} to {COUNT_MAX}"]
    return []


def _interval_problems(policy: Mapping[str, Any], name: str, *, required: bool) -> list[str]:
    value = policy.get(name)
    if value is None:
        return [f"retryPolicy needs {name}"] if required else []
    if _is_expression(value):
        return []
    try:
        duration = _duration(value)
    except ValueError:
        return [f"retryPolicy {name} {value!r} is not an ISO 8601 duration"]
    if not INTERVAL_MIN <= duration <= INTERVAL_MAX:
        return [f"retryPolicy {name} {value!r} is not between PT5S and P1D"]
    return []


def _duration(value: Any) -> timedelta:
    """Read an ISO 8601 duration of fixed length.

    Raises:
        ValueError: it is none, or it counts in months or years.
    """
    try:
        duration = isodate.parse_duration(str(value))
    except isodate.ISO8601Error as exc:
        raise ValueError(str(exc)) from None
    if not isinstance(duration, timedelta):
        raise ValueError(f"{value!r} has no fixed length")  # noqa: TRY004 - the text is at fault, not its type
    return duration


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("@")
