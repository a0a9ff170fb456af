"""From what a trigger saw to runs: conditions, splitOn, concurrency, trigger histories."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from localazure.clock import Clock
from localazure.errors import ExpressionError
from localazure.workflows.engine import Engine
from localazure.workflows.history import History
from localazure.workflows.looks import Look
from localazure.workflows.naming import NameSource
from localazure.workflows.records import RunRecord, TriggerFiring, TriggerHistoryRecord, WorkflowRecord
from localazure.workflows.trigger_definition import Trigger
from localazure.workflows.trigger_scope import TriggerScope

#: Items that one look may be split into, without and with trigger concurrency.
SPLIT_MAX = 100_000
SPLIT_WITH_CONCURRENCY_MAX = 100

#: For how long looks in a row that saw nothing share one trigger history.
IDLE_LOOKS_SHARE = timedelta(minutes=1)

_UNFINISHED = ("Running", "Waiting")


@dataclass(frozen=True)
class Fired:
    """What came of a look.

    Attributes:
        runs: the runs that were started, in order.
        history: what was recorded; of several runs the first one's.
    """

    runs: tuple[str, ...]
    history: TriggerHistoryRecord


class Firing:
    """Starts runs for triggers.

    Args:
        history: where all is kept.
        engine: what runs them.
        clock: the source of time.
    """

    def __init__(self, history: History, engine: Engine, clock: Clock) -> None:
        self._history = history
        self._engine = engine
        self._clock = clock
        self._names = NameSource()
        #: Of triggers that saw nothing last: the record's name, and when the first of its looks was.
        self._idle: dict[tuple[str, str], tuple[str, datetime]] = {}

    def fire(
        self,
        workflow: WorkflowRecord,
        trigger: Trigger,
        look: Look,
        parameters: Mapping[str, Any],
        *,
        client_tracking_id: str | None = None,
    ) -> Fired:
        """Record a look and start what it calls for, in one write. Nothing runs before the caller awaits."""
        scope = TriggerScope(workflow, parameters, self._clock.now(), look.record(trigger.name))
        items: list[Any] = []
        try:
            if look.fires and all(each.evaluate(scope) is True for each in trigger.conditions):
                items = _items(trigger, look, scope)
            elif look.fires:
                look = replace(look, status="Skipped")
            if trigger.client_tracking_id is not None and items:
                client_tracking_id = str(trigger.client_tracking_id.evaluate(scope))
        except ExpressionError as exc:
            error = {"code": "InvalidTemplate", "message": str(exc)}
            look = replace(look, status="Failed", code="InvalidTemplate", error=error)
            items = []
        if look.fires and look.status == "Succeeded" and not items:
            look = replace(look, status="Skipped")
        with self._history.transaction():
            if not items:
                return Fired((), self._put_history(workflow, trigger, look, None, client_tracking_id))
            self._idle.pop((workflow.id.lower(), trigger.name.lower()), None)
            free = self._free(workflow, trigger)
            records = [
                self._start(
                    workflow,
                    trigger,
                    replace(look, outputs=outputs),
                    client_tracking_id,
                    waits=free is not None and place >= free,
                )
                for place, outputs in enumerate(items)
            ]
        return Fired(tuple(str(each.run_name) for each in records), records[0])

    def has_room(self, workflow: WorkflowRecord, trigger: Trigger) -> bool:
        """Tell whether one more run of a trigger may at least wait."""
        limit = trigger.concurrency
        if limit is None:
            return True
        return len(self._unfinished(workflow.id, trigger.name)) < limit.runs + limit.maximum_waiting_runs

    def release(self, workflow: WorkflowRecord, trigger: Trigger) -> None:
        """Let waiting runs go, the oldest first, as far as the trigger's concurrency allows."""
        runs = self._unfinished(workflow.id, trigger.name)
        waiting = [run for run in runs if run.status == "Waiting"][::-1]
        for run in waiting[: self._free(workflow, trigger)]:
            self._engine.release_run(run.name)

    def _free(self, workflow: WorkflowRecord, trigger: Trigger) -> int | None:
        """Return how many runs of a trigger may begin now, None for any number."""
        if trigger.concurrency is None:
            return None
        running = [each for each in self._unfinished(workflow.id, trigger.name) if each.status == "Running"]
        return max(0, trigger.concurrency.runs - len(running))

    def _unfinished(self, workflow_id: str, trigger_name: str) -> list[RunRecord]:
        runs = self._history.runs(workflow_id, statuses=_UNFINISHED)
        return [run for run in runs if run.trigger.name.lower() == trigger_name.lower()]

    def _start(
        self,
        workflow: WorkflowRecord,
        trigger: Trigger,
        look: Look,
        client_tracking_id: str | None,
        *,
        waits: bool,
    ) -> TriggerHistoryRecord:
        firing = TriggerFiring(
            trigger.name,
            inputs=look.inputs,
            start_time=look.start_time,
            end_time=look.end_time,
            scheduled_time=look.scheduled_time,
            status=look.status,
            code=look.code,
            tracking_id=str(uuid4()),
        )
        name = self._engine.start_run(
            workflow,
            trigger.name,
            look.outputs,
            trigger=firing,
            client_tracking_id=client_tracking_id,
            waiting=waits,
        )
        return self._put_history(workflow, trigger, look, name, client_tracking_id)

    def _put_history(
        self,
        workflow: WorkflowRecord,
        trigger: Trigger,
        look: Look,
        run_name: str | None,
        client_tracking_id: str | None,
    ) -> TriggerHistoryRecord:
        name = run_name or self._history_name(workflow, trigger, look)
        record = TriggerHistoryRecord(
            workflow_id=workflow.id,
            trigger_name=trigger.name,
            name=name,
            status=look.status,
            start_time=look.start_time,
            fired=run_name is not None,
            run_name=run_name,
            code=look.code,
            end_time=look.end_time,
            scheduled_time=look.scheduled_time,
            inputs=look.inputs,
            outputs=look.outputs,
            error=look.error,
            tracking_id=str(uuid4()),
            client_tracking_id=client_tracking_id or name,
            hide_inputs=trigger.hide_inputs,
            hide_outputs=trigger.hide_outputs,
        )
        self._history.put_trigger_history(record)
        return record

    def _history_name(self, workflow: WorkflowRecord, trigger: Trigger, look: Look) -> str:
        """Return the name to record a look under that fired nothing.

        Looks that saw nothing, one after the other, share a record for a minute: as many are kept as Azure
        would make, however fast the polls are here.
        """
        key = (workflow.id.lower(), trigger.name.lower())
        idle = self._idle.pop(key, None)
        name = self._names.next(self._clock.now())
        if look.status == "Skipped":
            if idle is not None and look.start_time - idle[1] < IDLE_LOOKS_SHARE:
                self._idle[key] = idle
                return idle[0]
            self._idle[key] = (name, look.start_time)
        return name


def _items(trigger: Trigger, look: Look, scope: TriggerScope) -> list[Any]:
    """Return the trigger outputs of each run that a look calls for.

    Raises:
        ExpressionError: splitOn cannot be evaluated, gives no array, or gives too many items.
    """
    if trigger.split_on is None:
        return [look.outputs]
    array = trigger.split_on.evaluate(scope)
    if not isinstance(array, list):
        raise ExpressionError(
            "invalid-template", f"splitOn gives {type(array).__name__} in place of an array"
        )
    most = SPLIT_MAX if trigger.concurrency is None else SPLIT_WITH_CONCURRENCY_MAX
    if len(array) > most:
        raise ExpressionError("invalid-template", f"splitOn gives {len(array)} items, more than {most}")
    return [{"body": item} for item in array]
