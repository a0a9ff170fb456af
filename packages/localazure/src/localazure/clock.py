"""The one source of time.

Everything in localazure that reads the time or waits does it through a `Clock` it was given:
in the server the wall clock, in tests `localazure.testing.ManualClock`, where an hour passes at once.
Due times are absolute, so that a wait goes on where it was after a restart.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

# Sleeps longer than this are cut up: the wall clock may be set, and the event loop's clock does not follow.
_LONGEST_NAP_S = 60.0


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return once `now()` is not before `when` (aware); at once if it is already past."""
        ...


class SystemClock:
    """The wall clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        """Wait until the wall clock shows `when`."""
        left_s = (when - self.now()).total_seconds()
        while left_s > 0:
            await asyncio.sleep(min(left_s, _LONGEST_NAP_S))
            left_s = (when - self.now()).total_seconds()
