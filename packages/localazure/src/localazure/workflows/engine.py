"""The run engine: starts runs, drives them, goes on with them after a restart.

Promises:
- `start_run` puts the run on disk before it returns; nothing of it executes before the caller next awaits, so
  a caller may register itself with the responder in between.
- Each step (an action's start, its end, a loop's turn, a variable) is on disk before the next begins.
- `run_finished` and the listeners hear of a run's end once its end is on disk.
- With `waiting=True` a run is recorded as Waiting and does nothing until `release_run`: whoever owns the
  trigger's concurrency calls that. After a restart `resume_all` goes on with Running runs, not Waiting ones.
- Runs may start for disabled workflows too: whether a trigger may fire is the trigger side's decision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localazure.clock import Clock
from localazure.workflows.history import History
from localazure.workflows.operations import Operations, Responder, Services
from localazure.workflows.records import RunRecord, TriggerFiring, WorkflowRecord

RunListener = Callable[[RunRecord], None]


class Engine:
    """Runs workflows.

    Args:
        history: Where everything is kept.
        clock: The source of time.
        operations: The I/O action types and trigger types definitions may use.
        services: What operations are given; None = the clock alone.
        responder: Who answers callers for Response actions; None = nobody waits.
    """

    def __init__(
        self,
        history: History,
        clock: Clock,
        operations: Operations,
        *,
        services: Services | None = None,
        responder: Responder | None = None,
    ) -> None:
        raise NotImplementedError

    def start_run(
        self,
        workflow: WorkflowRecord,
        trigger_name: str,
        trigger_outputs: Any,
        *,
        trigger: TriggerFiring | None = None,
        client_tracking_id: str | None = None,
        waiting: bool = False,
    ) -> str:
        """Start a run of a workflow and return its name.

        Args:
            workflow: As `History.workflow` gives it.
            trigger_name: The trigger it comes from.
            trigger_outputs: What `triggerOutputs()` gives, as a rule {"headers", "body"}.
            trigger: All else that is known of the firing (inputs, times, code); its name and outputs give
                way to the two arguments above. Secure inputs and outputs are seen to by the engine.
            client_tracking_id: None = the run's name.
            waiting: Record it as Waiting, to be released.

        Raises:
            DefinitionError: The definition or its parameter values cannot be run.
        """
        raise NotImplementedError

    def release_run(self, name: str) -> None:
        """Let a Waiting run go; one that is not Waiting stays as it is."""

    def cancel_run(self, name: str) -> bool:
        """End a run as Cancelled; False if there is none, or it is finished."""
        raise NotImplementedError

    async def run_finished(self, name: str) -> RunRecord:
        """Wait until a run is finished and return its record; at once if it is.

        Raises:
            KeyError: There is no such run.
        """
        raise NotImplementedError

    def on_run_finished(self, listener: RunListener) -> None:
        """Call `listener` with each run that finishes, in the event loop, after its end is on disk."""

    def resume_all(self) -> list[str]:
        """Go on with every Running run of the history (after a restart); return their names."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Stop driving runs, leaving them on disk as they are, to be resumed."""
