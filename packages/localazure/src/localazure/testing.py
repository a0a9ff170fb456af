"""Stand-ins for tests: a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

# Callbacks (of futures, gathers, groups) need a few turns of the loop until a task shows that it is ready.
_QUIET_TURNS = 8
_MOVER = "manual-clock"


class ManualClock:
    """A clock that stands still until it is told to move.

    `advance` moves it and wakes every sleeper whose time has come, in order of their due times.
    With `auto_advance` it jumps to the next due time by itself whenever every task of the event loop
    waits; real I/O in flight looks like waiting too, so wrap it in `holding()`.

    Args:
        start: Where it begins, aware; the default is 2030-01-01T00:00:00Z.
        auto_advance: Whether it moves by itself when everything sleeps.
    """

    def __init__(self, start: datetime | None = None, *, auto_advance: bool = False) -> None:
        self._now = start or datetime(2030, 1, 1, tzinfo=UTC)
        self._auto_advance = auto_advance
        self._sleepers: dict[int, tuple[datetime, asyncio.Future[None]]] = {}
        self._numbers = itertools.count()
        self._mover: asyncio.Task[None] | None = None
        self._holds = 0

    def now(self) -> datetime:
        """Return the moment this clock shows."""
        return self._now

    async def sleep_until(self, when: datetime) -> None:
        """Wait until the clock has been moved to `when` or past it."""
        if when <= self._now:
            return
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._sleepers[number] = (when, future)
        self._start_mover()
        try:
            await future
        finally:
            self._sleepers.pop(number, None)

    @property
    def sleepers(self) -> int:
        """How many wait for this clock now."""
        return len(self._sleepers)

    def next_due(self) -> datetime | None:
        """Return the earliest time anybody waits for, None if nobody does."""
        return min((when for when, _ in self._sleepers.values()), default=None)

    async def advance(self, seconds: float) -> None:
        """Move the clock on by `seconds`, stopping at every due time on the way to let sleepers act."""
        target = self._now + timedelta(seconds=seconds)
        await self.settle()
        while (due := self.next_due()) is not None and due <= target:
            self._jump(due)
            await self.settle()
        self._now = max(self._now, target)

    async def settle(self) -> None:
        """Return once every other task of this event loop waits for something."""
        quiet = 0
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._everything_waits() else 0

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Keep an auto-advancing clock still inside the block (real I/O is in flight)."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._start_mover()

    def _jump(self, when: datetime) -> None:
        self._now = max(self._now, when)
        for due, future in sorted(self._sleepers.values(), key=lambda sleeper: sleeper[0]):
            if due <= self._now and not future.done():
                future.set_result(None)

    def _start_mover(self) -> None:
        if not self._auto_advance or self._holds or not self._sleepers:
            return
        if self._mover is None or self._mover.done():
            self._mover = asyncio.get_running_loop().create_task(self._move(), name=_MOVER)

    async def _move(self) -> None:
        while self._sleepers and not self._holds:
            await self.settle()
            due = self.next_due()
            if due is not None and not self._holds:
                self._jump(due)

    def _everything_waits(self) -> bool:
        me = asyncio.current_task()
        # Other clocks' movers look for the same quiet: they must not wait for one another.
        others = (task for task in asyncio.all_tasks() if task is not me and task.get_name() != _MOVER)
        return all(_waits(task) for task in others)


def _waits(task: asyncio.Task[object]) -> bool:
    """Whether a task is blocked on a future that is not done (asyncio has no public word for it)."""
    waiter = getattr(task, "_fut_waiter", None)
    return waiter is not None and not waiter.done()
