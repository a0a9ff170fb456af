"""Names as Azure makes them: the later, the smaller, so that the newest sorts first."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

_FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TICKS_PER_MICROSECOND = 10
#: The largest 64-bit number, from which Azure takes the ticks (100 ns) of now.
_LAST_TICKS = 2**63 - 1


def descending_ticks(moment: datetime) -> int:
    """Return what the 100 ns ticks of `moment` (aware) leave of a 64-bit number."""
    return _LAST_TICKS - (moment - _FIRST_MOMENT) // _MICROSECOND * _TICKS_PER_MICROSECOND


class NameSource:
    """Makes names for runs and trigger histories, each one smaller than those before it."""

    def __init__(self) -> None:
        self._last = _LAST_TICKS

    def next(self, now: datetime) -> str:
        """Return a name like `08586676746934337772206998657CU22`."""
        self._last = min(descending_ticks(now), self._last - 1)
        return f"{self._last:020d}{secrets.randbelow(10**9):09d}CU00"
