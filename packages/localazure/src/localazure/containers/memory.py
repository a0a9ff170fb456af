"""The in-memory twin of a backend: containers that end when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from localazure.containers.backend import Exit, Run, RunSpec


@dataclass
class MemoryRun:
    """A run as a test sees it."""

    spec: RunSpec
    started_at: datetime
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ended: Exit | None = None
    log: bytes = b""


class MemoryBackend:
    """Runs nothing.

    Args:
        images: The images there are; None means every one.
        exit_codes: Asked for each new run; an exit code ends it at once, None lets it run on.
        now: Tells the time.
    """

    def __init__(
        self,
        *,
        images: set[str] | None = None,
        exit_codes: Callable[[Run], int | None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.runs: dict[Run, MemoryRun] = {}
        self.images = images
        self._exit_codes = exit_codes
        self._now = now

    def has_image(self, image: str) -> bool:
        """Whether this image is there."""
        return self.images is None or image in self.images

    async def start(self, run: Run, spec: RunSpec) -> datetime:
        """Start a run, or find it started."""
        if run not in self.runs:
            self.runs[run] = MemoryRun(spec, self._now())
            code = self._exit_codes(run)
            if code is not None:
                self.finish(run, code)
        return self.runs[run].started_at

    async def wait(self, run: Run) -> Exit:
        """Wait until somebody finishes the run."""
        if run not in self.runs:
            return Exit(137, self._now(), lost=True)
        await self.runs[run].over.wait()
        ended = self.runs[run].ended
        if ended is None:
            raise AssertionError("over without an exit")
        return ended

    async def kill(self, run: Run) -> None:
        """End a run by a signal."""
        if run in self.runs:
            self.finish(run, 137)

    def log(self, run: Run) -> bytes:
        """Return what a test wrote into `runs[run].log`."""
        return self.runs[run].log if run in self.runs else b""

    async def remove(self, group_uid: str, *, keep_deployment: int | None = None) -> None:
        """Kill and forget a group's runs."""
        for run in [run for run in self.runs if run.group_uid == group_uid]:
            if run.deployment != keep_deployment:
                self.finish(run, 137)
                del self.runs[run]

    def finish(self, run: Run, exit_code: int) -> None:
        """End a run; one that is over stays as it is."""
        state = self.runs[run]
        if state.ended is None:
            state.ended = Exit(exit_code, self._now())
            state.over.set()

    def running(self) -> list[Run]:
        """Return the runs that are not over."""
        return [run for run, state in self.runs.items() if state.ended is None]
