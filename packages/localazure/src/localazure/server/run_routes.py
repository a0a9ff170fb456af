"""Runs, actions, trigger histories; and the addresses outside ARM: callbacks, inputs and outputs."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localazure.errors import ArmError
from localazure.server.paging import filtered, page_of
from localazure.server.workflow_lookup import (
    base_of,
    found_action,
    found_history,
    found_run,
    found_trigger,
    incoming_of,
    workflow_id,
)
from localazure.server.workflow_views import RunViews, raw
from localazure.workflows.records import ActionRecord, RunRecord, WorkflowRecord
from localazure.workflows.service import WorkflowService


class RunEndpoints:
    """Runs, their actions, and what triggers looked at."""

    def __init__(self, service: WorkflowService) -> None:
        self._service = service
        self._history = service.history

    async def histories(self, request: Request) -> Response:
        """List a trigger's looks, the newest first."""
        workflow, trigger = found_trigger(self._service, request)
        found = self._history.trigger_histories(workflow.id, trigger.name)
        fields = {"status": lambda each: each.status, "starttime": lambda each: each.start_time}
        page = page_of(request, filtered(request, found, fields), lambda each: each.name)
        views = self._views(request, workflow)
        return JSONResponse(page.view([views.trigger_history(each) for each in page.items]))

    async def history(self, request: Request) -> Response:
        """Return one look of a trigger."""
        workflow, trigger = found_trigger(self._service, request)
        record = found_history(self._service, workflow, trigger.name, request.path_params["history"])
        return JSONResponse(self._views(request, workflow).trigger_history(record))

    async def list_all(self, request: Request) -> Response:
        """List a workflow's runs, the newest first."""
        workflow = self._service.get(workflow_id(request))
        fields = {
            "status": lambda each: each.status,
            "starttime": lambda each: each.start_time,
            "clienttrackingid": lambda each: each.client_tracking_id,
        }
        found = filtered(request, self._history.runs(workflow.id), fields)
        page = page_of(request, found, lambda each: each.name)
        views = self._views(request, workflow)
        return JSONResponse(page.view([views.run(each) for each in page.items]))

    async def get(self, request: Request) -> Response:
        """Return a run."""
        workflow, run = self._run(request)
        return JSONResponse(self._views(request, workflow).run(run))

    async def cancel(self, request: Request) -> Response:
        """Cancel a run."""
        _, run = self._run(request)
        if not self._service.engine.cancel_run(run.name):
            message = f"The run '{run.name}' is {run.status} and cannot be cancelled."
            raise ArmError(409, "WorkflowRunNotInProgress", message)
        return Response()

    async def actions(self, request: Request) -> Response:
        """List a run's actions."""
        workflow, run = self._run(request)
        found = filtered(request, self._history.actions(run.name), {"status": lambda each: each.status})
        page = page_of(request, found, lambda each: each.name)
        views = self._views(request, workflow)
        return JSONResponse(page.view([self._action(views, each) for each in page.items]))

    async def action(self, request: Request) -> Response:
        """Return one action of a run."""
        workflow, run = self._run(request)
        action = found_action(self._service, run, request.path_params["action"], None)
        return JSONResponse(self._action(self._views(request, workflow), action))

    async def repetitions(self, request: Request) -> Response:
        """List the executions of an action in loops."""
        workflow, run = self._run(request)
        found = [
            each
            for each in self._history.repetitions(run.name, request.path_params["action"])
            if each.repetition
        ]
        page = page_of(request, found, lambda each: each.repetition)
        views = self._views(request, workflow)
        return JSONResponse(page.view([views.repetition(each) for each in page.items]))

    async def repetition(self, request: Request) -> Response:
        """Return one execution of an action in loops."""
        workflow, run = self._run(request)
        path = request.path_params
        action = found_action(self._service, run, path["action"], path["repetition"])
        return JSONResponse(self._views(request, workflow).repetition(action))

    async def scope_repetitions(self, request: Request) -> Response:
        """List the turns of a loop."""
        workflow, run = self._run(request)
        found = self._history.scope_repetitions(run.name, request.path_params["action"])
        page = page_of(request, found, lambda each: each.repetition)
        views = self._views(request, workflow)
        return JSONResponse(page.view([views.scope_repetition(each) for each in page.items]))

    async def scope_repetition(self, request: Request) -> Response:
        """Return one turn of a loop."""
        workflow, run = self._run(request)
        name, wanted = request.path_params["action"], request.path_params["repetition"]
        for turn in self._history.scope_repetitions(run.name, name):
            if turn.repetition == wanted:
                return JSONResponse(self._views(request, workflow).scope_repetition(turn))
        message = f"The repetition '{wanted}' of action '{name}' could not be found."
        raise ArmError(404, "WorkflowRunActionRepetitionNotFound", message)

    def _action(self, views: RunViews, action: ActionRecord) -> dict[str, Any]:
        count = len(self._history.repetitions(action.run_name, action.name)) if action.repetition else 0
        return views.action(action, count)

    def _views(self, request: Request, workflow: WorkflowRecord) -> RunViews:
        return RunViews(self._service.callbacks, base_of(request), workflow)

    def _run(self, request: Request) -> tuple[WorkflowRecord, RunRecord]:
        workflow = self._service.get(workflow_id(request))
        return workflow, found_run(self._service, workflow, request.path_params["run"])


class OpenEndpoints:
    """Addresses that carry their own signature: callbacks of Request triggers, inputs and outputs."""

    def __init__(self, service: WorkflowService) -> None:
        self._service = service

    async def invoke(self, request: Request) -> Response:
        """Take a call of a callback URL."""
        path = request.path_params
        permission = f"/triggers/{path['trigger']}/run"
        self._service.callbacks.check(path["workflow"], request.query_params, permission)
        workflow = self._service.by_hash(path["workflow"])
        trigger = self._service.trigger(workflow, path["trigger"])
        incoming = await incoming_of(request, path.get("path", ""))
        answer = await self._service.invoke(workflow, trigger, incoming)
        return Response(answer.content, status_code=answer.status, headers=dict(answer.headers))

    async def content(self, request: Request) -> Response:
        """Serve inputs or outputs as raw JSON."""
        path = request.path_params
        below = request.scope["path"].partition(f"/workflows/{path['workflow']}")[2]
        self._service.callbacks.check(path["workflow"], request.query_params, f"{below}/read")
        workflow = self._service.by_hash(path["workflow"])
        return Response(raw(self._value(workflow, path)), media_type="application/json; charset=utf-8")

    def _value(self, workflow: WorkflowRecord, path: dict[str, str]) -> Any:
        wants_inputs = path["kind"].lower().endswith("inputs")
        if "history" in path:
            record = found_history(self._service, workflow, path["trigger"], path["history"])
            return record.inputs if wants_inputs else record.outputs
        run = found_run(self._service, workflow, path["run"])
        if "action" not in path:
            return run.trigger.inputs if wants_inputs else run.trigger.outputs
        action = found_action(self._service, run, path["action"], path.get("repetition"))
        return action.inputs if wants_inputs else action.outputs
