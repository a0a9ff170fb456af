"""The port to whatever runs containers.

A *run* is one start of one container: its folder, process and exit belong to it alone. All calls are safe to
repeat, also by another process after a crash: a run is started once, whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Run:
    """Which start of which container.

    Attributes:
        group_uid: The group's own id, another one each time a name is created anew.
        container: The container's name.
        deployment: Counts the group's deployments, from 1.
        number: Counts the container's starts in this deployment, from 1.
    """

    group_uid: str
    container: str
    deployment: int
    number: int


@dataclass(frozen=True)
class RunSpec:
    """What a run is to execute.

    Attributes:
        image: The image as the group names it.
        command: Replaces the image's own command; empty means that one.
        environment: The container's variables. Secret.
        cpu: Cores asked for.
        memory_gb: Memory asked for, in GB.
    """

    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    cpu: float
    memory_gb: float


@dataclass(frozen=True)
class Exit:
    """How a run ended.

    Attributes:
        exit_code: 0 to 255; 128 + n for a process that died by signal n.
        finished_at: When.
        lost: Whether nobody saw it end: the machine, or what watched the container, went down.
    """

    exit_code: int
    finished_at: datetime
    lost: bool = False


class Backend(Protocol):
    """Runs containers."""

    def has_image(self, image: str) -> bool:
        """Whether this image can be pulled."""
        ...

    async def start(self, run: Run, spec: RunSpec) -> datetime:
        """Start a run and return when it began; if it was started before, only that."""
        ...

    async def wait(self, run: Run) -> Exit:
        """Wait for the end of a run that was started."""
        ...

    async def kill(self, run: Run) -> None:
        """End a run at once, with all its processes; nothing if it is over or never began."""
        ...

    def log(self, run: Run) -> bytes:
        """Return a run's output, lines led by their times as the shim writes them; b"" if there is none."""
        ...

    async def remove(self, group_uid: str, *, keep_deployment: int | None = None) -> None:
        """Kill and forget all runs of a group, except those of one deployment."""
        ...
