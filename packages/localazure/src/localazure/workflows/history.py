"""The history: one SQLite file that a run can be gone on with from.

Promises:
- Every write is committed (write-ahead log) when its method returns; `transaction()` makes several one.
- One writer: the methods are synchronous, take about a millisecond, and belong to the event loop's thread.
- Readers for others (`workflow`, `run`, `runs`, `action`, `actions`, `repetitions`, `scope_repetitions`,
  `trigger_history`, `trigger_histories`) never show hidden inputs and outputs nor values of SecureString
  and SecureObject parameters. (`workflow` does hold its parameters: show `public_parameters`.)
- The engine's own readers (`run_state` …) show all.
- Runs keep the version of the workflow they began with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from localazure.workflows.records import (
    ActionRecord,
    IterationRecord,
    RunRecord,
    TimerRecord,
    TriggerHistoryRecord,
    VariableRecord,
    WorkflowRecord,
    WorkflowState,
)


class History:
    """Keeps workflows and their runs.

    Args:
        path: The database file, made if it is not there; `":memory:"` keeps nothing.
    """

    def __init__(self, path: Path | str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes inside the block one: all or nothing. May be nested; the outermost commits."""
        yield

    # Workflows

    def put_workflow(self, workflow: WorkflowRecord, now: datetime) -> WorkflowRecord:
        """Create or replace a workflow; return it with version, created_at and changed_at set."""
        raise NotImplementedError

    def workflow(self, workflow_id: str) -> WorkflowRecord | None:
        """Return the newest version of a workflow, None if there is none of that id."""
        raise NotImplementedError

    def workflow_version(self, workflow_id: str, version: str) -> WorkflowRecord | None:
        """Return a workflow as it was in a version (kept as long as the workflow or a run of it is)."""
        raise NotImplementedError

    def workflows(self) -> list[WorkflowRecord]:
        """Return all workflows in their newest version, by id."""
        raise NotImplementedError

    def set_workflow_state(self, workflow_id: str, state: WorkflowState, now: datetime) -> None:
        """Enable or disable."""

    def delete_workflow(self, workflow_id: str) -> bool:
        """Remove a workflow, its timers, its runs and trigger histories; False if there was none."""
        raise NotImplementedError

    # Runs, for readers

    def run(self, name: str) -> RunRecord | None:
        """Return a run, None if there is none called so."""
        raise NotImplementedError

    def runs(
        self, workflow_id: str | None = None, *, statuses: Sequence[str] = (), limit: int | None = None
    ) -> list[RunRecord]:
        """Return runs, the newest first; `statuses` empty = all."""
        raise NotImplementedError

    def actions(self, run_name: str) -> list[ActionRecord]:
        """Return one record per action of a run, by start; of actions in loops the last repetition."""
        raise NotImplementedError

    def action(self, run_name: str, name: str) -> ActionRecord | None:
        """Return one of `actions` by its name (case does not matter)."""
        raise NotImplementedError

    def repetitions(self, run_name: str, name: str) -> list[ActionRecord]:
        """Return every execution of an action in loops, in order of iteration."""
        raise NotImplementedError

    def scope_repetitions(self, run_name: str, name: str) -> list[IterationRecord]:
        """Return the turns of a loop, in order."""
        raise NotImplementedError

    def variables(self, run_name: str) -> list[VariableRecord]:
        """Return a run's variables as they are now (the engine's view: nothing hidden)."""
        raise NotImplementedError

    # Trigger histories and timers

    def put_trigger_history(self, record: TriggerHistoryRecord) -> None:
        """Create or replace the history of one look of a trigger."""

    def trigger_history(self, workflow_id: str, trigger_name: str, name: str) -> TriggerHistoryRecord | None:
        """Return one, None if there is none."""
        raise NotImplementedError

    def trigger_histories(
        self, workflow_id: str, trigger_name: str, *, limit: int | None = None
    ) -> list[TriggerHistoryRecord]:
        """Return a trigger's histories, the newest first."""
        raise NotImplementedError

    def set_timer(self, timer: TimerRecord) -> None:
        """Create or replace a timer."""

    def timer(self, owner: str, name: str) -> TimerRecord | None:
        """Return one, None if there is none."""
        raise NotImplementedError

    def timers(self, owner: str | None = None) -> list[TimerRecord]:
        """Return timers by due time; owner None = everybody's."""
        raise NotImplementedError

    def delete_timer(self, owner: str, name: str) -> None:
        """Remove one; none there is fine."""

    # Runs, for the engine

    def put_run(self, run: RunRecord) -> None:
        """Create or replace a run."""

    def put_action(self, action: ActionRecord, variables: Sequence[VariableRecord] = ()) -> None:
        """Create or replace an action's record, and set variables with it."""

    def put_iteration(self, iteration: IterationRecord) -> None:
        """Create or replace a loop's turn."""
