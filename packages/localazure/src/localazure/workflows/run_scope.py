"""What an expression sees of a run: the expression language's `Scope` over a `RunState`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localazure.errors import ExpressionError
from localazure.workflows.actions import Action, Foreach, Until
from localazure.workflows.records import ActionRecord
from localazure.workflows.run_state import Frame, RunState, Turn

JSON = Any
_NO_ITEM = object()


def timestamp(moment: datetime | None) -> str | None:
    """Return a moment as Azure writes it: UTC, up to seven fractional digits, trailing zeros cut off."""
    if moment is None:
        return None
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


class RunScope:
    """The scope of one action in a frame.

    Args:
        state: The run's state.
        frame: Where the action executes.
        action: The action itself, None for what belongs to the run as a whole.
        item: The item of an array action (Select, Query, Table) that is being evaluated.
        own: The action's record where it is not written yet (tracked properties).
    """

    def __init__(
        self,
        state: RunState,
        frame: Frame,
        action: Action | None = None,
        item: JSON = _NO_ITEM,
        own: ActionRecord | None = None,
    ) -> None:
        self._own = own
        self._state = state
        self._frame = frame
        self._action = action
        self._item = item

    def with_item(self, item: JSON) -> RunScope:
        """Return the same scope with an item of an array action."""
        return RunScope(self._state, self._frame, self._action, item)

    def parameter(self, name: str) -> JSON:
        """Return a parameter's value."""
        for each, value in self._state.parameters.items():
            if each.lower() == name.lower():
                return value
        raise LookupError(name)

    def variable(self, name: str) -> JSON:
        """Return a variable's present value."""
        variable = self._state.variables.get(name.lower())
        if variable is None:
            raise ExpressionError("not-found", f"variable '{name}' has not been initialized")
        return variable.value

    def action(self, name: str | None) -> Mapping[str, JSON]:
        """Return an action's record; None = the action itself."""
        action = self._action if name is None else self._state.definition.action(name)
        if action is None:
            raise ExpressionError("not-found", f"there is no action '{name or 'here'}'")
        own = self._own if action is self._action else None
        record = own or self._state.record_seen_from(action, self._frame)
        if record is None:
            raise ExpressionError("not-found", f"action '{action.name}' has not run")
        return shown(record)

    def trigger(self) -> Mapping[str, JSON]:
        """Return the trigger's record."""
        firing = self._state.run.trigger
        record = {
            "name": firing.name,
            "inputs": firing.inputs,
            "outputs": firing.outputs,
            "startTime": timestamp(firing.start_time),
            "endTime": timestamp(firing.end_time),
            "scheduledTime": timestamp(firing.scheduled_time),
            "trackingId": firing.tracking_id,
            "clientTrackingId": self._state.run.client_tracking_id,
            "originHistoryName": firing.history_name or self._state.run.name,
            "code": firing.code,
            "status": firing.status,
        }
        return {name: value for name, value in record.items() if value is not None}

    def workflow(self) -> Mapping[str, JSON]:
        """Return the workflow and its run."""
        workflow, run = self._state.workflow, self._state.run
        return {
            "id": workflow.id,
            "name": workflow.name,
            "type": "Microsoft.Logic/workflows",
            "location": workflow.location,
            "tags": dict(workflow.tags),
            "run": {
                "id": f"{workflow.id}/runs/{run.name}",
                "name": run.name,
                "type": "Microsoft.Logic/workflows/runs",
            },
        }

    def item(self) -> JSON:
        """Return the item of the array action, else of the innermost Foreach."""
        if self._item is not _NO_ITEM:
            return self._item
        for turn in reversed(self._frame.turns):
            if turn.is_foreach:
                return turn.item
        raise ExpressionError("not-found", "item() has no Foreach and no array action around it")

    def items(self, loop_name: str) -> JSON:
        """Return the item of a Foreach around the action."""
        return self._turn(loop_name, is_foreach=True).item

    def iteration_index(self, loop_name: str) -> int:
        """Return the turn of an Until around the action, from 0."""
        return self._turn(loop_name, is_foreach=False).index

    def result(self, scope_name: str) -> list[JSON]:
        """Return the records of the actions right inside a Scope, Foreach or Until.

        Of a Foreach there is one object per action, its inputs and outputs arrays over the turns; of an
        Until there is its last turn.
        """
        container = self._state.definition.action(scope_name)
        if container is None:
            raise LookupError(scope_name)
        inner = [action for group in container.containers for action in group.values()]
        if isinstance(container, Foreach):
            return [self._over_turns(container, action) for action in inner]
        frame = self._last_turn(container) if isinstance(container, Until) else self._frame
        records = [self._state.record_seen_from(action, frame) for action in inner]
        return [shown(record) for record in records if record is not None]

    def now(self) -> datetime:
        """Return the present moment."""
        return self._state.now()

    def callback_url(self) -> str:
        """Refuse: no action type that is called back is supported."""
        raise ExpressionError("not-found", "listCallbackUrl() has no webhook action here")

    def _turn(self, loop_name: str, *, is_foreach: bool) -> Turn:
        for turn in reversed(self._frame.turns):
            if turn.loop.lower() == loop_name.lower() and turn.is_foreach == is_foreach:
                return turn
        raise LookupError(loop_name)

    def _last_turn(self, until: Until) -> Frame:
        record = self._state.record_seen_from(until, self._frame)
        last = max((record.iteration_count or 1) - 1, 0) if record else 0
        return self._frame.inside(Turn(until.name, last, is_foreach=False))

    def _over_turns(self, loop: Foreach, action: Action) -> JSON:
        record = self._state.record_seen_from(loop, self._frame)
        turns = (record.iteration_count or 0) if record else 0
        frames = [self._frame.inside(Turn(loop.name, index, is_foreach=True)) for index in range(turns)]
        every = [found for frame in frames if (found := self._state.record_seen_from(action, frame))]
        whole: dict[str, JSON] = {
            "name": action.name,
            "inputs": [it.inputs for it in every],
            "outputs": [it.outputs for it in every],
        }
        if every:
            whole |= {
                "startTime": timestamp(every[0].start_time),
                "endTime": timestamp(every[-1].end_time),
                "code": every[-1].code,
                "status": next((it.status for it in every if it.status == "Failed"), every[-1].status),
            }
        return whole


def shown(record: ActionRecord) -> dict[str, JSON]:
    """Return an action's record as the language gives it."""
    whole: dict[str, JSON] = {"name": record.name}
    if record.has_inputs:
        whole["inputs"] = record.inputs
    if record.has_outputs:
        whole["outputs"] = record.outputs
    whole |= {
        "startTime": timestamp(record.start_time),
        "endTime": timestamp(record.end_time),
        "trackingId": record.tracking_id,
        "clientTrackingId": record.client_tracking_id,
        "code": record.code,
        "status": record.status,
    }
    if record.error is not None:
        whole["error"] = dict(record.error)
    if record.iteration_count is not None:
        whole["iterationCount"] = record.iteration_count
    return {
        name: value for name, value in whole.items() if value is not None or name in ("inputs", "outputs")
    }
