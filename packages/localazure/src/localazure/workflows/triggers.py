"""The triggers that act by the clock: when each is due next, and what it does then.

Due times are timers of the history, so that a restart goes on with them; one task per trigger waits for its
own. A look, its trigger history, the runs it starts and the next due time are one write.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from localazure.clock import Clock
from localazure.errors import DefinitionError, ExpressionError
from localazure.expressions import parse_template
from localazure.workflows.definition import load_definition
from localazure.workflows.firing import Fired, Firing
from localazure.workflows.history import History
from localazure.workflows.loaded_definition import Definition
from localazure.workflows.looks import Look, look
from localazure.workflows.operations import Operations, Services
from localazure.workflows.parameters import resolve_parameters
from localazure.workflows.records import RunRecord, TimerRecord, WorkflowRecord
from localazure.workflows.recurrence import Recurrence
from localazure.workflows.trigger_definition import Trigger
from localazure.workflows.trigger_scope import TriggerScope

_log = logging.getLogger(__name__)

#: Seconds between two polls of a connector that Azure allows ("trigger polls: 1 per 60 seconds").
MINIMUM_POLL_S = 60.0
#: Seconds until a trigger that broke, by a defect of ours, is tried again.
_AFTER_DEFECT_S = 60.0
#: Seconds that a look under way gets when its trigger is stopped.
_FINISH_WITHIN_S = 2.0


class Triggers:
    """Keeps the triggers of all enabled workflows.

    Args:
        history: where timers are kept.
        firing: what starts runs.
        operations: the types a definition may use.
        services: the clock, the outbound client.
        minimum_poll_s: the shortest interval of connector polls, in seconds.
    """

    def __init__(
        self,
        history: History,
        firing: Firing,
        operations: Operations,
        services: Services,
        *,
        minimum_poll_s: float = MINIMUM_POLL_S,
    ) -> None:
        self._history = history
        self._firing = firing
        self._operations = operations
        self._services = services
        self._clock: Clock = services.clock
        self._minimum_poll_s = minimum_poll_s
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._definitions: dict[str, tuple[str, Definition]] = {}

    def start(self) -> None:
        """Go on with all enabled workflows, after a start of the process."""
        for workflow in self._history.workflows():
            try:
                for trigger in self.triggers(workflow).values():
                    self._firing.release(workflow, trigger)
                if workflow.state == "Enabled":
                    self.arm(workflow, afresh=False)
            except DefinitionError as exc:
                # Put by another version of localazure: it stays readable, and the others go on.
                _log.warning("Workflow %s cannot be run any more: %s", workflow.name, exc)

    async def aclose(self) -> None:
        """Stop, leaving the timers as they are."""
        await _cancelled(list(self._tasks.values()))
        self._tasks.clear()

    def definition(self, workflow: WorkflowRecord) -> Definition:
        """Return a workflow's definition, loaded.

        Raises:
            DefinitionError: it cannot be run.
        """
        key = workflow.id.lower()
        version, known = self._definitions.get(key, (None, None))
        if known is None or version != workflow.version or not version:
            known = load_definition(workflow.definition, self._operations)
            self._definitions[key] = (workflow.version, known)
        return known

    def triggers(self, workflow: WorkflowRecord) -> Mapping[str, Trigger]:
        """Return a workflow's triggers by name."""
        return self.definition(workflow).triggers

    def parameters(self, workflow: WorkflowRecord) -> dict[str, Any]:
        """Return the values of a workflow's parameters.

        Raises:
            DefinitionError: one has no value, or one that does not fit.
        """
        return resolve_parameters(self.definition(workflow).parameters, workflow.parameters)

    def arm(self, workflow: WorkflowRecord, *, afresh: bool) -> None:
        """Set up the triggers of an enabled workflow; call `disarm` before if it was set up already.

        Args:
            workflow: the workflow.
            afresh: whether recurrences begin anew, as they do when a workflow is saved or enabled.
        """
        now = self._clock.now()
        for trigger in self.triggers(workflow).values():
            if trigger.type == "Request":
                continue
            if afresh or self._history.timer(workflow.id, trigger.name) is None:
                self._set_timer(workflow, trigger, self.recurrence(workflow, trigger).first_due(now), None)
            task = asyncio.get_running_loop().create_task(
                self._keep(workflow.id, trigger.name), name=f"trigger {workflow.name}/{trigger.name}"
            )
            self._tasks[workflow.id.lower(), trigger.name.lower()] = task

    async def disarm(self, workflow: WorkflowRecord) -> None:
        """Stop the triggers of a workflow and forget when they are due."""
        mine = [key for key in self._tasks if key[0] == workflow.id.lower()]
        await _cancelled([self._tasks.pop(key) for key in mine])
        for timer in self._history.timers(workflow.id):
            self._history.delete_timer(timer.owner, timer.name)

    def recurrence(self, workflow: WorkflowRecord, trigger: Trigger) -> Recurrence:
        """Return a trigger's recurrence.

        Raises:
            ExpressionError, ValueError: it cannot be evaluated, or gives no recurrence.
        """
        return Recurrence.from_json(self.recurrence_json(workflow, trigger))

    def recurrence_fault(self, workflow: WorkflowRecord, trigger: Trigger) -> str | None:
        """Say what is wrong with a trigger's recurrence once its expressions have values; None: nothing."""
        if trigger.type == "Request":
            return None
        try:
            self.recurrence(workflow, trigger)
        except (ExpressionError, ValueError) as exc:
            return str(exc)
        return None

    def recurrence_json(self, workflow: WorkflowRecord, trigger: Trigger) -> Any:
        """Return a trigger's `recurrence` with its expressions evaluated."""
        scope = TriggerScope(workflow, self.parameters(workflow), self._clock.now(), {})
        return parse_template(trigger.source["recurrence"]).evaluate(scope)

    def next_due(self, workflow: WorkflowRecord, trigger: Trigger) -> datetime | None:
        """Return when a trigger is due, None if it is not by the clock, or its workflow is disabled."""
        timer = self._history.timer(workflow.id, trigger.name)
        return timer.due_at if timer else None

    async def look_now(self, workflow: WorkflowRecord, trigger: Trigger) -> Fired:
        """Look out of turn, and start what there is to start; the next due time stays."""
        seen = await self._look(workflow, trigger, None, None)
        return self._firing.fire(workflow, trigger, seen, self.parameters(workflow))

    def run_ended(self, run: RunRecord) -> None:
        """Let the next waiting run of the same trigger go."""
        workflow = self._history.workflow(run.workflow_id)
        if workflow is None:
            return
        with suppress(DefinitionError):
            for trigger in self.triggers(workflow).values():
                if trigger.name.lower() == run.trigger.name.lower():
                    self._firing.release(workflow, trigger)

    async def _keep(self, workflow_id: str, trigger_name: str) -> None:
        while (timer := self._history.timer(workflow_id, trigger_name)) is not None:
            await self._clock.sleep_until(timer.due_at)
            workflow = self._history.workflow(workflow_id)
            if workflow is None:
                return
            trigger = next(
                each for each in self.triggers(workflow).values() if each.name.lower() == trigger_name.lower()
            )
            try:
                await _finishing(self._turn(workflow, trigger, timer))
            except Exception:
                # A defect of ours must not stop a trigger for ever.
                _log.exception("Trigger %s of %s broke", trigger_name, workflow_id)
                due_at = self._clock.now() + timedelta(seconds=_AFTER_DEFECT_S)
                self._set_timer(workflow, trigger, due_at, None)

    async def _turn(self, workflow: WorkflowRecord, trigger: Trigger, timer: TimerRecord) -> None:
        began_at = self._clock.now()
        if not self._firing.has_room(workflow, trigger):
            self._set_timer(workflow, trigger, self._after(workflow, trigger, began_at, None), timer.payload)
            return
        seen = await self._look(workflow, trigger, timer.due_at, timer.payload.get("location"))
        due_at = self._after(workflow, trigger, began_at, seen)
        payload = {"location": seen.location} if seen.location else {}
        with self._history.transaction():
            self._firing.fire(workflow, trigger, seen, self.parameters(workflow))
            self._set_timer(workflow, trigger, due_at, payload)

    async def _look(
        self, workflow: WorkflowRecord, trigger: Trigger, due_at: datetime | None, location: str | None
    ) -> Look:
        parameters = self.parameters(workflow)
        last = self._history.trigger_histories(workflow.id, trigger.name, limit=1)
        before = {"name": trigger.name, "outputs": last[0].outputs, "status": last[0].status} if last else {}
        scope = TriggerScope(workflow, parameters, self._clock.now(), before)
        return await look(
            workflow, trigger, scope, parameters, self._services, scheduled_time=due_at, location=location
        )

    def _after(
        self, workflow: WorkflowRecord, trigger: Trigger, began_at: datetime, seen: Look | None
    ) -> datetime | None:
        """Return when a trigger that looked at `began_at` is due again."""
        due_at = self.recurrence(workflow, trigger).next_due(began_at)
        if trigger.type == "Recurrence" or due_at is None:
            return due_at
        if seen is not None and seen.next_at is not None:
            due_at = seen.next_at
        shortest_s = self._minimum_poll_s if trigger.type == "ApiConnection" else 1.0
        return max(due_at, began_at + timedelta(seconds=shortest_s))

    def _set_timer(
        self,
        workflow: WorkflowRecord,
        trigger: Trigger,
        due_at: datetime | None,
        payload: Mapping[str, Any] | None,
    ) -> None:
        if due_at is None:
            self._history.delete_timer(workflow.id, trigger.name)
        else:
            self._history.set_timer(TimerRecord(workflow.id, trigger.name, due_at, payload or {}))


async def _finishing(turn: Coroutine[Any, Any, None]) -> None:
    """Await a turn; being cancelled meanwhile, let it finish first, if it does so soon.

    What a poll has taken from a queue is hidden there: broken off, it would be seen again hours later.
    """
    task = asyncio.ensure_future(turn)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_FINISH_WITHIN_S)
        task.cancel()
        raise


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
