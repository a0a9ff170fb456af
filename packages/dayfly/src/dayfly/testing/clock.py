"""A clock that stands still until it is told to go on."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

__all__ = ["ManualClock"]

_SETTLING_TURNS = 200


class ManualClock:
    """Time for tests: `advance` wakes sleepers in their order, letting all that follows happen first."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._order), woken))
        await woken

    def jump(self, seconds: float) -> None:
        """Move the time without letting anything happen: who sleeps wakes at the next `advance`."""
        self._now += timedelta(seconds=seconds)

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        end = self._now + timedelta(seconds=seconds)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not woken.done():
                woken.set_result(None)
            await self.settle()
        self._now = end

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(_SETTLING_TURNS):
            await asyncio.sleep(0)
