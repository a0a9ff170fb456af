"""The state of one run: its records in memory, each written through to the history before it counts.

A run is driven by going over its definition again and again from the top, after a restart just as at the
start: what has a final record is passed over, what has a running one is gone on with, what has none begins.
So there is nothing to resume but this state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from localazure.clock import Clock
from localazure.workflows.actions import Action, Actions, Foreach, Until
from localazure.workflows.history import History
from localazure.workflows.loaded_definition import Definition
from localazure.workflows.outcomes import Outcome
from localazure.workflows.records import (
    ActionRecord,
    IterationRecord,
    RunRecord,
    VariableRecord,
    WorkflowRecord,
)

JSON = Any


@dataclass(frozen=True)
class Turn:
    """One turn of a loop that an action runs in."""

    loop: str
    #: From 0.
    index: int
    is_foreach: bool
    #: The item of a Foreach.
    item: JSON = None


@dataclass(frozen=True)
class Frame:
    """Where in the run an action executes: the turns of the loops around it, outermost first."""

    turns: tuple[Turn, ...] = ()

    def inside(self, turn: Turn) -> Frame:
        """Return the frame of what runs in a turn of a loop that is in this frame."""
        return Frame((*self.turns, turn))

    @property
    def repetition(self) -> str:
        """The turns' numbers, as Azure names repetitions: `000000-000002`; empty outside loops."""
        return repetition_name(turn.index for turn in self.turns)

    @property
    def indexes(self) -> tuple[Mapping[str, Any], ...]:
        """The turns as the history shows them."""
        return tuple({"scopeName": turn.loop, "itemIndex": turn.index} for turn in self.turns)


def repetition_name(indexes: Iterable[int]) -> str:
    """Return the name of a repetition: each number with six digits, joined by hyphens."""
    return "-".join(f"{index:06d}" for index in indexes)


class RunState:
    """The records of one run.

    Args:
        history: Where they are written through to.
        clock: The source of time.
        workflow: The version of the workflow that the run began with.
        definition: Its definition, loaded.
        parameters: The parameters' values by name.
        run: The run's record, on disk already.
    """

    def __init__(
        self,
        history: History,
        clock: Clock,
        workflow: WorkflowRecord,
        definition: Definition,
        parameters: Mapping[str, JSON],
        run: RunRecord,
    ) -> None:
        self.history = history
        self.clock = clock
        self.workflow = workflow
        self.definition = definition
        self.parameters = parameters
        self.run = run
        self._actions: dict[str, dict[str, ActionRecord]] = {}
        self._iterations: dict[tuple[str, str], IterationRecord] = {}
        for action in history.actions_in_full(run.name):
            self._actions.setdefault(action.name.lower(), {})[action.repetition] = action
        for turn in history.iterations_in_full(run.name):
            self._iterations[turn.name.lower(), turn.repetition] = turn
        self.variables = {it.name.lower(): it for it in history.variables(run.name)}

    # What is there

    def now(self) -> datetime:
        """Return the present moment."""
        return self.clock.now()

    def record(self, action: Action, frame: Frame) -> ActionRecord | None:
        """Return the record of an action in a frame, None if it has not begun."""
        return self._actions.get(action.name.lower(), {}).get(frame.repetition)

    def record_seen_from(self, action: Action, frame: Frame) -> ActionRecord | None:
        """Return the record of an action that may be in other loops than `frame`: then its last turn's."""
        common = 0
        for loop, turn in zip(action.loops, frame.turns, strict=False):
            if loop != turn.loop:
                break
            common += 1
        own = self._actions.get(action.name.lower(), {})
        prefix = repetition_name(turn.index for turn in frame.turns[:common])
        if common == len(action.loops):
            return own.get(prefix)
        last = max((name for name in own if name.startswith(prefix)), default=None)
        return None if last is None else own[last]

    def iteration(self, loop: Action, frame: Frame) -> IterationRecord | None:
        """Return the record of a loop's turn (the last one of `frame`), None if it has not begun."""
        return self._iterations.get((loop.name.lower(), frame.repetition))

    # What is written

    def save_run(self, **changes: Any) -> RunRecord:
        """Change the run's record."""
        changed = dataclasses.replace(self.run, **changes)
        self.history.put_run(changed)
        self.run = changed
        return changed

    def begin(self, action: Action, frame: Frame, **fields: Any) -> ActionRecord:
        """Write the record of an action that has begun and will take its time."""
        record = dataclasses.replace(self._blank(action, frame, "Running"), **fields)
        self._put(record)
        return record

    def update(self, record: ActionRecord, **changes: Any) -> ActionRecord:
        """Change the record of a running action."""
        changed = dataclasses.replace(record, **changes)
        self._put(changed)
        return changed

    def ended(
        self, action: Action, frame: Frame, outcome: Outcome, tracked: JSON | None = None
    ) -> ActionRecord:
        """Return the record of an action that ends so; nothing is written."""
        begun = self.record(action, frame) or self._blank(action, frame, "Running")
        return dataclasses.replace(
            begun,
            status=outcome.status,
            code=outcome.code,
            error=outcome.error,
            inputs=outcome.inputs if outcome.has_inputs else begun.inputs,
            has_inputs=outcome.has_inputs or begun.has_inputs,
            outputs=outcome.outputs,
            has_outputs=outcome.has_outputs,
            retry_history=outcome.retry_history,
            tracked_properties=tracked,
            end_time=self.now(),
        )

    def end(
        self, action: Action, frame: Frame, outcome: Outcome, tracked: JSON | None = None
    ) -> ActionRecord:
        """Write how an action ended, whether or not its beginning was written."""
        record = self.ended(action, frame, outcome, tracked)
        changed = [
            VariableRecord(self.run.name, name, kind, value)
            for name, (kind, value) in outcome.variables.items()
        ]
        self._put(record, changed)
        return record

    def begin_iteration(self, loop: Action, frame: Frame) -> None:
        """Write that a turn of a loop has begun."""
        turn = IterationRecord(
            self.run.name,
            loop.name,
            frame.repetition,
            "Running",
            self.now(),
            repetition_indexes=frame.indexes,
        )
        self._put_iteration(turn)

    def end_iteration(self, loop: Action, frame: Frame, outcome: Outcome) -> None:
        """Write how a turn of a loop ended."""
        begun = self.iteration(loop, frame)
        if begun is not None:
            self._put_iteration(
                dataclasses.replace(
                    begun, status=outcome.status, code=outcome.code, error=outcome.error, end_time=self.now()
                )
            )

    def skip(self, action: Action, frame: Frame, code: str, error: Mapping[str, Any] | None) -> None:
        """Write that an action is skipped, and with it all that is inside."""
        with self.history.transaction():
            record = self._blank(action, frame, "Skipped")
            self._put(dataclasses.replace(record, code=code, error=error, end_time=record.start_time))
            for group in action.containers:
                self.skip_group(group, frame, code, error and _for_contents(action, error))

    def skip_group(self, group: Actions, frame: Frame, code: str, error: Mapping[str, Any] | None) -> None:
        """Write that all actions of a group are skipped."""
        with self.history.transaction():
            for action in group.values():
                self.skip(action, frame, code, error)

    def skip_unbegun(self, action: Action, frame: Frame) -> None:
        """Write that what is inside a failed action is skipped, if nothing of it has begun."""
        groups = action.containers
        if any(self._actions.get(inner.name.lower()) for group in groups for inner in group.values()):
            return
        message = f"The execution of the template action is skipped: '{action.name}', which it is in, failed."
        for group in groups:
            self.skip_group(
                group, frame, "ActionSkipped", {"code": "ActionDependencyFailed", "message": message}
            )

    def abandon(self, group: Actions, frame: Frame, code: str) -> None:
        """Write that a group ends here: what runs is Cancelled, what has not begun Skipped."""
        with self.history.transaction():
            for action in group.values():
                record = self.record(action, frame)
                if record is None:
                    self.skip(action, frame, code, None)
                elif not record.finished:
                    self.abandon_contents(action, frame, code)
                    self._put(dataclasses.replace(record, status="Cancelled", code=code, end_time=self.now()))

    def abandon_contents(self, action: Action, frame: Frame, code: str) -> None:
        """Do `abandon` to what is inside an action."""
        with self.history.transaction():
            if isinstance(action, Foreach | Until):
                for inner in self._open_turns(action, frame):
                    self.abandon(action.actions, inner, code)
                    self.end_iteration(action, inner, Outcome("Cancelled", code))
            else:
                for group in action.containers:
                    self.abandon(group, frame, code)

    # How

    def _open_turns(self, loop: Action, frame: Frame) -> Iterator[Frame]:
        depth = len(frame.turns)
        for (name, repetition), turn in list(self._iterations.items()):
            inside = name == loop.name.lower() and turn.end_time is None
            indexes = [int(part) for part in repetition.split("-")]
            if inside and indexes[:depth] == [each.index for each in frame.turns]:
                yield frame.inside(Turn(loop.name, indexes[-1], isinstance(loop, Foreach)))

    def _blank(self, action: Action, frame: Frame, status: str) -> ActionRecord:
        hidden = self.definition.hidden
        return ActionRecord(
            run_name=self.run.name,
            name=action.name,
            repetition=frame.repetition,
            type=action.type,
            status=status,
            start_time=self.now(),
            tracking_id=str(uuid4()),
            client_tracking_id=self.run.client_tracking_id,
            repetition_indexes=frame.indexes,
            hide_inputs=action.name.lower() in hidden.inputs,
            hide_outputs=action.name.lower() in hidden.outputs,
        )

    def _put(self, record: ActionRecord, variables: Iterable[VariableRecord] = ()) -> None:
        changed = list(variables)
        self.history.put_action(record, changed)
        # Memory follows the disk, never the other way round.
        self._actions.setdefault(record.name.lower(), {})[record.repetition] = record
        self.variables.update({variable.name.lower(): variable for variable in changed})

    def _put_iteration(self, turn: IterationRecord) -> None:
        self.history.put_iteration(turn)
        self._iterations[turn.name.lower(), turn.repetition] = turn


def _for_contents(action: Action, error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the error of what is inside a skipped action."""
    if error["code"] == "ActionBranchingConditionNotSatisfied":
        return error
    message = (
        f"The execution of the template action is skipped: '{action.name}', which it is in, was skipped."
    )
    return {"code": "ActionDependencyFailed", "message": message}
