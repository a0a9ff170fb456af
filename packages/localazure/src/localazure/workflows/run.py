"""One run, driven: which action begins when, and what each does.

A group's actions are tasks that wait for those they run after. Every one looks first at what is recorded of
it (see `run_state`), which is why going on after a restart needs no code of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from localazure.errors import ExpressionError
from localazure.workflows import branches, data_actions, io_actions, loops, variable_actions, waits
from localazure.workflows.actions import (
    Action,
    Actions,
    ChangeVariable,
    Compose,
    Foreach,
    If,
    InitializeVariable,
    Join,
    Operation,
    ParseJson,
    Query,
    Response,
    Scope,
    Select,
    Switch,
    Table,
    Terminate,
    Until,
    Wait,
)
from localazure.workflows.kinds import RUN_STATUSES
from localazure.workflows.operations import Operations, Responder, Services
from localazure.workflows.outcomes import (
    ActionError,
    Outcome,
    group_outcome,
    invalid_template,
    leaf_status,
    run_after_miss,
)
from localazure.workflows.records import RunRecord
from localazure.workflows.run_scope import RunScope
from localazure.workflows.run_state import Frame, RunState

JSON = Any
Work = Callable[[], Coroutine[Any, Any, Outcome]]
_log = logging.getLogger(__name__)

#: The code of actions that a run's early end stops or leaves out.
TERMINATED = "Terminated"
#: The code of actions that took longer than `limit.timeout`.
TIMED_OUT = "ActionTimedOut"


class Run:
    """A run that is being driven.

    Args:
        state: What is recorded of it.
        operations: The I/O action types.
        services: What they are given.
        responder: Who answers the caller; None = nobody waits.
    """

    def __init__(
        self, state: RunState, operations: Operations, services: Services, responder: Responder | None
    ) -> None:
        self.state = state
        self._operations = operations
        self._services = services
        self._responder = responder
        self._ending = asyncio.Event()

    async def drive(self) -> RunRecord:
        """Do all that is to do and return the run's record, finished."""
        if self.state.run.termination is None:
            work = asyncio.create_task(self.group(self.state.definition.actions, Frame()))
            ending = asyncio.create_task(self._ending.wait())
            try:
                await asyncio.wait((work, ending), return_when=asyncio.FIRST_COMPLETED)
                if self.state.run.termination is None:
                    return self._finish(await work)
            finally:
                await _stopped(work, ending)
        return self._finish_early()

    def end(self, status: str, code: str, error: Mapping[str, Any] | None) -> None:
        """Have the run end before its last action; the first who says so is heard."""
        if self.state.run.termination is None:
            self.state.save_run(termination={"status": status, "code": code, "error": error})
        self._ending.set()

    # Groups of actions

    async def group(self, actions: Actions, frame: Frame) -> str:
        """Run a group of actions and return the status it comes to."""
        started: dict[str, asyncio.Task[str]] = {}
        async with asyncio.TaskGroup() as tasks:
            for name, action in actions.items():
                started[name] = tasks.create_task(self._step(action, frame, started))
        return leaf_status(actions, {name: task.result() for name, task in started.items()})

    async def _step(self, action: Action, frame: Frame, started: Mapping[str, asyncio.Task[str]]) -> str:
        statuses = {name: await started[name] for name in action.run_after}
        record = self.state.record(action, frame)
        if record is not None and record.finished:
            return record.status
        if self.state.run.termination is not None:
            await asyncio.Event().wait()  # until `drive` cancels this: nothing begins any more
        if record is None and (miss := run_after_miss(action.name, action.run_after, statuses)):
            self.state.skip(action, frame, "ActionSkipped", miss)
            return "Skipped"
        return await self._execute(action, frame)

    # One action

    async def _execute(self, action: Action, frame: Frame) -> str:
        try:
            outcome = await self._perform(action, frame)
        except ExpressionError as error:
            outcome = invalid_template(action.name, error)
        except ActionError as error:
            outcome = error.outcome
        written = self.state.record(action, frame)
        if written is not None and written.finished:  # with something else that had to go in the same write
            return written.status
        with self.state.history.transaction():
            record = self.state.end(action, frame, *self._tracked(action, frame, outcome))
            # What could not begin inside (a Foreach without an array, an If without an answer) is told too.
            if record.status == "Failed":
                self.state.skip_unbegun(action, frame)
        return record.status

    async def _perform(self, action: Action, frame: Frame) -> Outcome:
        scope = RunScope(self.state, frame, action)
        match action:
            case Compose() | ParseJson() | Select() | Query() | Join() | Table():
                return data_actions.run_data_action(action, scope)
            case InitializeVariable():
                return variable_actions.initialize_variables(action, scope)
            case ChangeVariable():
                return variable_actions.change_variable(action, scope, self.state.variables)
            case Response():
                return io_actions.respond(self.state, action, frame, scope, self._responder)
            case Terminate():
                return await self._terminate(action, frame, scope)
            case Scope() | If() | Switch():
                work = partial(branches.run_branch, self, action, frame, scope)
            case Foreach():
                work = partial(loops.run_foreach, self, action, frame, scope)
            case Until():
                work = partial(loops.run_until, self, action, frame, scope)
            case Wait():
                work = partial(io_actions.wait, self.state, action, frame, scope)
            case Operation():
                work = partial(
                    io_actions.operate, self.state, action, frame, scope, self._operations, self._services
                )
            case _:
                raise TypeError(f"{action.type} cannot be run")
        return await self._within_limit(action, frame, scope, work)

    async def _within_limit(self, action: Action, frame: Frame, scope: RunScope, work: Work) -> Outcome:
        """Do what takes its time, for as long as `limit.timeout` allows."""
        if action.timeout is None:
            return await work()
        begun = self.state.record(action, frame)
        start = begun.start_time if begun else self.state.now()
        limit = waits.limit_of(action.timeout.evaluate(scope))
        task = asyncio.ensure_future(work())
        alarm = asyncio.ensure_future(self.state.clock.sleep_until(start + limit))
        try:
            await asyncio.wait((task, alarm), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await task
        finally:
            await _stopped(task, alarm)
        self.state.abandon_contents(action, frame, TIMED_OUT)
        message = f"The execution of template action '{action.name}' took longer than its limit of {limit}."
        return Outcome("TimedOut", TIMED_OUT, {"code": TIMED_OUT, "message": message})

    async def _terminate(self, action: Terminate, frame: Frame, scope: RunScope) -> Outcome:
        inputs = action.inputs.evaluate(scope)
        status = {each.lower(): each for each in RUN_STATUSES}.get(str(inputs.get("runStatus")).lower())
        if status is None:
            message = (
                f"The run status '{inputs.get('runStatus')}' of Terminate action '{action.name}' is unknown."
            )
            raise ActionError("InvalidTemplate", message, inputs=inputs, has_inputs=True)
        error = (inputs.get("runError") or None) if status == "Failed" else None
        code = (error or {}).get("code") or TERMINATED
        done = Outcome("Succeeded", "OK", inputs=inputs, has_inputs=True)
        with self.state.history.transaction():
            self.state.end(action, frame, *self._tracked(action, frame, done))
            self.end(status, str(code), error)
        return await asyncio.Event().wait() and done  # until `drive` cancels this

    def _tracked(self, action: Action, frame: Frame, outcome: Outcome) -> tuple[Outcome, JSON | None]:
        """Return the outcome with the tracked properties; of what is hidden there are none."""
        ended = self.state.ended(action, frame, outcome)
        if action.tracked_properties is None or ended.hide_inputs or ended.hide_outputs:
            return outcome, None
        try:
            return outcome, action.tracked_properties.evaluate(RunScope(self.state, frame, action, own=ended))
        except ExpressionError as error:
            return invalid_template(action.name, error), None

    # The run's end

    def _finish(self, status: str) -> RunRecord:
        state = self.state
        if status != "Succeeded":
            outcome = group_outcome(status)
            return state.save_run(status=status, code=outcome.code, error=outcome.error, end_time=state.now())
        scope = RunScope(state, Frame())
        try:
            outputs = {
                name: {"type": it.type, "value": it.value.evaluate(scope)}
                for name, it in state.definition.outputs.items()
            }
        except ExpressionError as error:
            wrong = invalid_template("outputs", error)
            return state.save_run(
                status="Failed", code="InvalidTemplate", error=wrong.error, end_time=state.now()
            )
        return state.save_run(status=status, outputs=outputs, end_time=state.now())

    def _finish_early(self) -> RunRecord:
        state = self.state
        termination = state.run.termination or {"status": "Cancelled", "code": TERMINATED, "error": None}
        with state.history.transaction():
            state.abandon(state.definition.actions, Frame(), TERMINATED)
            return state.save_run(**termination, end_time=state.now())


async def _stopped(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
