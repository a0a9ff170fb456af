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

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from localazure.clock import Clock
from localazure.errors import DefinitionError
from localazure.workflows.definition import load_definition
from localazure.workflows.history import History
from localazure.workflows.loaded_definition import Definition
from localazure.workflows.naming import NameSource
from localazure.workflows.operations import Operations, Responder, Services
from localazure.workflows.parameters import resolve_parameters
from localazure.workflows.records import RunRecord, TriggerFiring, WorkflowRecord
from localazure.workflows.run import TERMINATED, Run
from localazure.workflows.run_state import RunState

RunListener = Callable[[RunRecord], None]

_log = logging.getLogger(__name__)
_DEFINITIONS_CACHED_MAX = 100


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
        self._history = history
        self._clock = clock
        self._operations = operations
        self._services = services or Services(clock)
        self._responder = responder
        self._names = NameSource()
        self._definitions: dict[tuple[str, str], Definition] = {}
        self._driven: dict[str, tuple[Run, asyncio.Task[None]]] = {}
        self._awaited: dict[str, asyncio.Future[RunRecord]] = {}
        self._listeners: list[RunListener] = []

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
        definition = self._definition(workflow)
        resolve_parameters(definition.parameters, workflow.parameters)
        now = self._clock.now()
        name = self._names.next(now)
        run = RunRecord(
            name=name,
            workflow_id=workflow.id,
            workflow_version=workflow.version,
            status="Waiting" if waiting else "Running",
            trigger=self._firing(definition, trigger_name, trigger_outputs, trigger),
            start_time=now,
            client_tracking_id=client_tracking_id or name,
        )
        self._history.put_run(run)
        if not waiting:
            self._drive(run, workflow)
        return name

    def release_run(self, name: str) -> None:
        """Let a Waiting run go; one that is not Waiting stays as it is."""
        run = self._history.run_in_full(name)
        if run is None or run.status != "Waiting":
            return
        run = replace(run, status="Running", wait_end_time=self._clock.now())
        self._history.put_run(run)
        self._go_on(run)

    def cancel_run(self, name: str) -> bool:
        """End a run as Cancelled; False if there is none, or it is finished.

        What runs in it is stopped and recorded a little later: await `run_finished`.
        """
        if name in self._driven:
            self._driven[name][0].end("Cancelled", TERMINATED, None)
            return True
        run = self._history.run_in_full(name)
        if run is None or run.finished:
            return False
        termination = {"status": "Cancelled", "code": TERMINATED, "error": None}
        run = replace(run, termination=run.termination or termination)
        self._history.put_run(run)
        self._go_on(run)
        return True

    async def run_finished(self, name: str) -> RunRecord:
        """Wait until a run is finished and return its record; at once if it is.

        Raises:
            KeyError: There is no such run.
        """
        run = self._history.run(name)
        if run is None:
            raise KeyError(name)
        if run.finished:
            return run
        if name not in self._awaited:
            self._awaited[name] = asyncio.get_running_loop().create_future()
        # Shielded: one who stops waiting must not take the others' answer away.
        return await asyncio.shield(self._awaited[name])

    def on_run_finished(self, listener: RunListener) -> None:
        """Call `listener` with each run that finishes, in the event loop, after its end is on disk."""
        self._listeners.append(listener)

    def resume_all(self) -> list[str]:
        """Go on with every Running run of the history (after a restart); return their names.

        A Waiting run that was being cancelled is ended as well.
        """
        resumed = []
        for shown in self._history.runs(statuses=("Running", "Waiting")):
            run = self._history.run_in_full(shown.name)
            if run is None or run.name in self._driven or (run.status == "Waiting" and not run.termination):
                continue
            self._go_on(run)
            resumed.append(run.name)
        return resumed

    async def aclose(self) -> None:
        """Stop driving runs, leaving them on disk as they are, to be resumed."""
        tasks = [task for _, task in self._driven.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for future in self._awaited.values():
            future.cancel()
        self._awaited.clear()

    def _definition(self, workflow: WorkflowRecord) -> Definition:
        key = (workflow.id.lower(), workflow.version)
        if key not in self._definitions:
            if len(self._definitions) >= _DEFINITIONS_CACHED_MAX:
                self._definitions.clear()
            self._definitions[key] = load_definition(workflow.definition, self._operations)
        return self._definitions[key]

    def _firing(
        self, definition: Definition, name: str, outputs: Any, firing: TriggerFiring | None
    ) -> TriggerFiring:
        declared = definition.trigger(name)
        firing = firing or TriggerFiring(name, start_time=self._clock.now(), end_time=self._clock.now())
        return replace(
            firing,
            name=declared.name if declared else name,
            outputs=outputs,
            hide_inputs=firing.hide_inputs or (declared is not None and declared.hide_inputs),
            hide_outputs=firing.hide_outputs or (declared is not None and declared.hide_outputs),
        )

    def _go_on(self, run: RunRecord) -> None:
        """Drive a run that is on disk; one whose workflow can no longer be run ends Failed."""
        workflow = self._history.workflow_version(run.workflow_id, run.workflow_version)
        if workflow is None:
            self._give_up(run, "WorkflowNotFound", f"The workflow '{run.workflow_id}' is gone.")
            return
        try:
            self._drive(run, workflow)
        except DefinitionError as error:
            self._give_up(run, error.code, str(error))

    def _drive(self, run: RunRecord, workflow: WorkflowRecord) -> None:
        definition = self._definition(workflow)
        parameters = resolve_parameters(definition.parameters, workflow.parameters)
        state = RunState(self._history, self._clock, workflow, definition, parameters, run)
        driven = Run(state, self._operations, self._services, self._responder)
        task = asyncio.get_running_loop().create_task(self._see_through(driven), name=f"run {run.name}")
        self._driven[run.name] = (driven, task)

    async def _see_through(self, driven: Run) -> None:
        name = driven.state.run.name
        try:
            await driven.drive()
        except Exception as error:
            # A defect of ours must not leave a run Running for ever.
            _log.exception("Run %s broke", name)
            self._give_up(driven.state.run, "InternalServerError", f"{type(error).__name__}: {error}")
        else:
            self._tell(name)
        finally:
            self._driven.pop(name, None)

    def _give_up(self, run: RunRecord, code: str, message: str) -> None:
        error = {"code": code, "message": message}
        self._history.put_run(
            replace(run, status="Failed", code=code, error=error, end_time=self._clock.now())
        )
        self._tell(run.name)

    def _tell(self, name: str) -> None:
        run = self._history.run(name)
        if run is None:  # its workflow was deleted meanwhile
            return
        if (future := self._awaited.pop(name, None)) is not None and not future.done():
            future.set_result(run)
        for listener in self._listeners:
            try:
                listener(run)
            except Exception:
                _log.exception("A listener for the end of run %s broke", name)
