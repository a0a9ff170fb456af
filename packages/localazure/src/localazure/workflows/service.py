"""Workflows as a service: resources, triggers, runs and their history, over one folder. No HTTP in it."""

import asyncio
import logging
import os
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from localazure.clock import Clock
from localazure.errors import ArmError, DefinitionError, Problem
from localazure.outbound import Outbound
from localazure.workflows import limits
from localazure.workflows.callbacks import Callbacks
from localazure.workflows.catalog import all_operations
from localazure.workflows.engine import Engine
from localazure.workflows.firing import Fired, Firing
from localazure.workflows.history import History
from localazure.workflows.http_requests import workflow_id_hash
from localazure.workflows.loaded_definition import Definition
from localazure.workflows.looks import Look
from localazure.workflows.operations import Services
from localazure.workflows.records import WorkflowRecord, WorkflowState
from localazure.workflows.requests import Answer, Callers, Incoming, RequestTriggers, request_outputs
from localazure.workflows.resources import WorkflowId, connection_problems, read_workflow
from localazure.workflows.retry import Draw
from localazure.workflows.trigger_definition import Trigger
from localazure.workflows.triggers import MINIMUM_POLL_S, Triggers

_log = logging.getLogger(__name__)

#: Seconds that a deleted workflow's runs get to be cancelled in.
_CANCEL_WITHIN_S = 10.0
_FORGET_EVERY = timedelta(days=1)


class WorkflowService:
    """Everything about workflows.

    Args:
        folder: where its database and key lie; made if it is not there.
        clock: the source of time.
        outbound: the client for every request a workflow makes; closed by whoever made it.
        minimum_poll_s: the shortest interval of connector polls, in seconds.
        draw: the random part of retries' delays; None is chance itself.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        outbound: Outbound,
        *,
        minimum_poll_s: float = MINIMUM_POLL_S,
        draw: Draw | None = None,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clock = clock
        self.history = History(folder / "workflows.db")
        self.callbacks = Callbacks(_key(folder / "callback.key"), clock)
        known = all_operations()
        callers = Callers()
        services = Services(clock, outbound, {} if draw is None else {"draw": draw})
        self.engine = Engine(self.history, clock, known, services=services, responder=callers)
        self.firing = Firing(self.history, self.engine, clock)
        self.triggers = Triggers(self.history, self.firing, known, services, minimum_poll_s=minimum_poll_s)
        self._requests = RequestTriggers(self.engine, self.firing, self.triggers, callers, clock)
        # One change at a time: two at once would set up a workflow's triggers twice.
        self._changes = asyncio.Lock()
        self.engine.on_run_finished(callers.run_ended)
        self.engine.on_run_finished(self.triggers.run_ended)
        self._forgetting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on where the last process stopped: runs first, then triggers."""
        self._forgetting = asyncio.create_task(self._forget_old(), name="forget old runs")
        self.engine.resume_all()
        self.triggers.start()

    async def aclose(self) -> None:
        """Stop; what was under way goes on at the next start."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
        await self.triggers.aclose()
        await self.engine.aclose()
        self.history.close()

    async def _forget_old(self) -> None:
        """Forget, now and every day, what is past its retention: the history must not grow for ever."""
        while True:
            try:
                self.history.forget(self.clock.now() - limits.HISTORY_RETENTION)
            except sqlite3.Error:  # a disk that is full for a while must not end this
                _log.exception("Old runs could not be forgotten")
            await self.clock.sleep_until(self.clock.now() + _FORGET_EVERY)

    # Resources

    async def put(self, workflow_id: WorkflowId, body: Any) -> tuple[WorkflowRecord, bool]:
        """Create a workflow, or put a new definition in its place; tell whether it is new.

        Raises:
            ArmError: 400 if the body or the definition is not fit (InvalidTemplate names all that is wrong),
                501 for properties that are not implemented.
        """
        async with self._changes:
            return await self._put(workflow_id, body)

    async def _put(self, workflow_id: WorkflowId, body: Any) -> tuple[WorkflowRecord, bool]:
        before = self.history.workflow(str(workflow_id))
        record = self._checked(workflow_id, body, before)
        if before is not None and _alike(before, record):
            return self.history.put_workflow(record, self.clock.now()), False
        if before is not None:
            await self.triggers.disarm(before)
        kept = self.history.put_workflow(record, self.clock.now())
        for trigger in self.triggers.triggers(kept).values():
            self.firing.release(kept, trigger)
        if kept.state == "Enabled":
            self.triggers.arm(kept, afresh=True)
        return kept, before is None

    def validate(self, workflow_id: WorkflowId, body: Any) -> None:
        """Raise what `put` would raise; change nothing."""
        self._checked(workflow_id, body, self.history.workflow(str(workflow_id)))

    def get(self, workflow_id: WorkflowId) -> WorkflowRecord:
        """Return a workflow.

        Raises:
            ArmError: 404, there is none.
        """
        found = self.history.workflow(str(workflow_id))
        if found is None:
            raise ArmError(
                404,
                "ResourceNotFound",
                f"The Resource 'Microsoft.Logic/workflows/{workflow_id.name}' under resource group"
                f" '{workflow_id.resource_group}' was not found.",
            )
        return found

    def workflows(self, subscription_id: str, resource_group: str | None) -> list[WorkflowRecord]:
        """Return the workflows of a subscription, or of one resource group."""
        start = f"/subscriptions/{subscription_id}/"
        if resource_group is not None:
            start += f"resourcegroups/{resource_group}/"
        return [each for each in self.history.workflows() if each.id.lower().startswith(start.lower())]

    def patch(self, workflow_id: WorkflowId, body: Any) -> WorkflowRecord:
        """Change a workflow's tags.

        Raises:
            ArmError: 404, or 501 for anything but tags.
        """
        workflow = self.get(workflow_id)
        changes = body if isinstance(body, Mapping) else {}
        if other := sorted(set(changes) - {"tags"}):
            raise ArmError(
                501, "NotImplemented", f"localazure does not implement PATCH of {', '.join(other)}."
            )
        if "tags" in changes:
            workflow = replace(workflow, tags=changes["tags"] or {})
        return self.history.put_workflow(workflow, self.clock.now())

    async def delete(self, workflow_id: WorkflowId) -> bool:
        """Cancel a workflow's runs and remove it with its history; False if there was none."""
        async with self._changes:
            return await self._delete(workflow_id)

    async def _delete(self, workflow_id: WorkflowId) -> bool:
        workflow = self.history.workflow(str(workflow_id))
        if workflow is None:
            return False
        await self.triggers.disarm(workflow)
        names = [run.name for run in self.history.runs(workflow.id, statuses=("Running", "Waiting"))]
        for name in names:
            self.engine.cancel_run(name)
        ends = [asyncio.ensure_future(self.engine.run_finished(name)) for name in names]
        if ends:
            await asyncio.wait(ends, timeout=_CANCEL_WITHIN_S)
        return self.history.delete_workflow(workflow.id)

    async def set_state(self, workflow_id: WorkflowId, state: WorkflowState) -> None:
        """Enable or disable a workflow; runs under way go on.

        Raises:
            ArmError: 404.
        """
        async with self._changes:
            workflow = self.get(workflow_id)
            if workflow.state == state:
                return
            self.history.set_workflow_state(workflow.id, state, self.clock.now())
            await self.triggers.disarm(workflow)
            if state == "Enabled":
                self.triggers.arm(self.get(workflow_id), afresh=True)

    def by_hash(self, workflow_hash: str) -> WorkflowRecord:
        """Return the workflow that an address outside ARM names.

        Raises:
            ArmError: 404.
        """
        for workflow in self.history.workflows():
            if workflow_id_hash(workflow.id) == workflow_hash.lower():
                return workflow
        raise ArmError(404, "WorkflowNotFound", f"The workflow '{workflow_hash}' could not be found.")

    # Triggers

    def trigger(self, workflow: WorkflowRecord, name: str) -> Trigger:
        """Return a trigger.

        Raises:
            ArmError: 404.
        """
        for trigger in self.triggers.triggers(workflow).values():
            if trigger.name.lower() == name.lower():
                return trigger
        raise ArmError(
            404,
            "WorkflowTriggerNotFound",
            f"The workflow '{workflow.name}' trigger '{name}' could not be found.",
        )

    async def run_trigger(self, workflow: WorkflowRecord, trigger: Trigger, incoming: Incoming) -> Fired:
        """Run a trigger out of turn: a Recurrence or Request starts a run, a polling trigger looks.

        Raises:
            ArmError: 404 if the workflow is disabled, 429 if there is no room for a run.
        """
        if workflow.state != "Enabled":
            message = f"The trigger '{trigger.name}' of workflow '{workflow.name}' is disabled."
            raise ArmError(404, "WorkflowTriggerIsNotEnabled", message)
        if not self.firing.has_room(workflow, trigger):
            message = f"The trigger '{trigger.name}' has as many running and waiting runs as it may have."
            raise ArmError(429, "TooManyRequests", message)
        if trigger.type != "Request":
            return await self.triggers.look_now(workflow, trigger)
        now = self.clock.now()
        look = Look(now, now, fires=True, outputs=request_outputs(trigger, incoming))
        return self.firing.fire(workflow, trigger, look, self.triggers.parameters(workflow))

    async def invoke(self, workflow: WorkflowRecord, trigger: Trigger, incoming: Incoming) -> Answer:
        """Answer a call of a Request trigger's callback URL; see `RequestTriggers.invoke`."""
        if trigger.type != "Request":
            message = f"The trigger '{trigger.name}' is not a Request trigger."
            raise ArmError(404, "WorkflowTriggerNotFound", message)
        return await self._requests.invoke(workflow, trigger, incoming)

    # What may be put

    def _checked(self, workflow_id: WorkflowId, body: Any, before: WorkflowRecord | None) -> WorkflowRecord:
        record = read_workflow(workflow_id, body, before)
        unsaved = replace(record, version="")
        try:
            definition = self.triggers.definition(unsaved)
            parameters = self.triggers.parameters(unsaved)
            problems = connection_problems(unsaved, definition, parameters, self.clock)
            problems += [
                Problem(f"{trigger.path}.recurrence", "invalid", "recurrence", fault)
                for trigger in definition.triggers.values()
                if (fault := self.triggers.recurrence_fault(unsaved, trigger))
            ]
        except DefinitionError as exc:
            problems = list(exc.problems)
        if problems:
            message = "The template validation failed: " + "; ".join(str(each) for each in problems)
            raise ArmError(400, DefinitionError.code, message)
        if before is not None:
            self._check_concurrency_stays(before, definition)
        return record

    def _check_concurrency_stays(self, before: WorkflowRecord, definition: Definition) -> None:
        try:
            had = self.triggers.triggers(before).values()
        except DefinitionError:
            return
        for trigger in had:
            now = definition.trigger(trigger.name)
            if trigger.concurrency is not None and now is not None and now.concurrency is None:
                raise ArmError(
                    400,
                    "CannotDisableTriggerConcurrency",
                    f"The concurrency of trigger '{trigger.name}' cannot be switched off once it is on:"
                    " delete the workflow and create it again.",
                )


def _alike(before: WorkflowRecord, record: WorkflowRecord) -> bool:
    """Tell whether a put changes nothing that triggers go by."""
    return (before.definition, before.parameters, before.state) == (
        record.definition,
        record.parameters,
        record.state,
    )


def _key(path: Path) -> bytes:
    """Return the key kept in a file, made at random if there is none."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        draft.replace(path)
    return path.read_bytes()
