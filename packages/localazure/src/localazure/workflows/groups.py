"""What actions that hold other actions ask of the run they are in."""

from __future__ import annotations

from typing import Protocol

from localazure.workflows.actions import Actions
from localazure.workflows.run_state import Frame, RunState


class GroupRunner(Protocol):
    """A run, as branches and loops see it: `run.Run` calls them, and they call it for what is inside."""

    state: RunState

    async def group(self, actions: Actions, frame: Frame) -> str:
        """Run a group of actions and return the status it comes to."""
        ...
