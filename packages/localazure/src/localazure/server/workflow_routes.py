"""ARM's operations on workflows: Microsoft.Logic, api-version 2019-05-01."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localazure.errors import ArmError
from localazure.server.arm import arm_route, read_json
from localazure.server.paging import filtered, page_of
from localazure.server.run_routes import OpenEndpoints, RunEndpoints
from localazure.server.workflow_lookup import base_of, found_trigger, incoming_of, workflow_id
from localazure.server.workflow_views import trigger_view, workflow_view
from localazure.workflows.records import WorkflowRecord
from localazure.workflows.service import WorkflowService
from localazure.workflows.trigger_definition import Trigger

_PROVIDER = "/providers/Microsoft.Logic"
_SUBSCRIPTION = "/subscriptions/{subscription}"
_WORKFLOWS = f"{_SUBSCRIPTION}/resourceGroups/{{resource_group}}{_PROVIDER}/workflows"
_WORKFLOW = f"{_WORKFLOWS}/{{workflow}}"
_AT_LOCATION = f"{_SUBSCRIPTION}/resourceGroups/{{resource_group}}{_PROVIDER}/locations/{{location}}"
_TRIGGER = f"{_WORKFLOW}/triggers/{{trigger}}"
_RUN = f"{_WORKFLOW}/runs/{{run}}"
_ACTION = f"{_RUN}/actions/{{action}}"
_OPEN = "/workflows/{workflow}"
_CALLS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def workflow_routes(service: WorkflowService) -> list[Route]:
    """Return the routes over a service of workflows."""
    arm, outside = _Resources(service), OpenEndpoints(service)
    runs = RunEndpoints(service)
    return [
        arm_route(f"{_SUBSCRIPTION}{_PROVIDER}/workflows", arm.list_all, methods=["GET"]),
        arm_route(_WORKFLOWS, arm.list_all, methods=["GET"]),
        arm_route(_WORKFLOW, arm.put, methods=["PUT"]),
        arm_route(_WORKFLOW, arm.get, methods=["GET"]),
        arm_route(_WORKFLOW, arm.patch, methods=["PATCH"]),
        arm_route(_WORKFLOW, arm.delete, methods=["DELETE"]),
        arm_route(f"{_WORKFLOW}/enable", arm.enable, methods=["POST"]),
        arm_route(f"{_WORKFLOW}/disable", arm.disable, methods=["POST"]),
        arm_route(f"{_WORKFLOW}/validate", arm.validate, methods=["POST"]),
        arm_route(f"{_AT_LOCATION}/workflows/{{workflow}}/validate", arm.validate, methods=["POST"]),
        arm_route(f"{_WORKFLOW}/triggers", arm.triggers, methods=["GET"]),
        arm_route(_TRIGGER, arm.trigger, methods=["GET"]),
        arm_route(f"{_TRIGGER}/run", arm.run_trigger, methods=["POST"]),
        arm_route(f"{_TRIGGER}/listCallbackUrl", arm.callback_url, methods=["POST"]),
        arm_route(f"{_TRIGGER}/histories", runs.histories, methods=["GET"]),
        arm_route(f"{_TRIGGER}/histories/{{history}}", runs.history, methods=["GET"]),
        arm_route(f"{_WORKFLOW}/runs", runs.list_all, methods=["GET"]),
        arm_route(_RUN, runs.get, methods=["GET"]),
        arm_route(f"{_RUN}/cancel", runs.cancel, methods=["POST"]),
        arm_route(f"{_RUN}/actions", runs.actions, methods=["GET"]),
        arm_route(_ACTION, runs.action, methods=["GET"]),
        arm_route(f"{_ACTION}/repetitions", runs.repetitions, methods=["GET"]),
        arm_route(f"{_ACTION}/repetitions/{{repetition}}", runs.repetition, methods=["GET"]),
        arm_route(f"{_ACTION}/scopeRepetitions", runs.scope_repetitions, methods=["GET"]),
        arm_route(f"{_ACTION}/scopeRepetitions/{{repetition}}", runs.scope_repetition, methods=["GET"]),
        Route(f"{_OPEN}/triggers/{{trigger}}/paths/invoke", outside.invoke, methods=_CALLS),
        Route(f"{_OPEN}/triggers/{{trigger}}/paths/invoke/{{path:path}}", outside.invoke, methods=_CALLS),
        Route(f"{_OPEN}/triggers/{{trigger}}/histories/{{history}}/contents/{{kind}}", outside.content),
        Route(f"{_OPEN}/runs/{{run}}/contents/{{kind}}", outside.content),
        Route(f"{_OPEN}/runs/{{run}}/actions/{{action}}/contents/{{kind}}", outside.content),
        Route(
            f"{_OPEN}/runs/{{run}}/actions/{{action}}/repetitions/{{repetition}}/contents/{{kind}}",
            outside.content,
        ),
    ]


class _Resources:
    """Workflows and their triggers."""

    def __init__(self, service: WorkflowService) -> None:
        self._service = service

    async def list_all(self, request: Request) -> Response:
        path = request.path_params
        found = self._service.workflows(path["subscription"], path.get("resource_group"))
        found = filtered(request, found, {"state": lambda each: each.state})
        page = page_of(request, found, lambda each: each.id)
        return JSONResponse(page.view([workflow_view(each, base_of(request)) for each in page.items]))

    async def put(self, request: Request) -> Response:
        workflow, is_new = await self._service.put(workflow_id(request), await read_json(request))
        return JSONResponse(workflow_view(workflow, base_of(request)), status_code=201 if is_new else 200)

    async def get(self, request: Request) -> Response:
        return JSONResponse(workflow_view(self._service.get(workflow_id(request)), base_of(request)))

    async def patch(self, request: Request) -> Response:
        body = await read_json(request) if await request.body() else {}
        return JSONResponse(workflow_view(self._service.patch(workflow_id(request), body), base_of(request)))

    async def delete(self, request: Request) -> Response:
        return Response(status_code=200 if await self._service.delete(workflow_id(request)) else 204)

    async def enable(self, request: Request) -> Response:
        await self._service.set_state(workflow_id(request), "Enabled")
        return Response()

    async def disable(self, request: Request) -> Response:
        await self._service.set_state(workflow_id(request), "Disabled")
        return Response()

    async def validate(self, request: Request) -> Response:
        self._service.validate(workflow_id(request), await read_json(request))
        return Response()

    async def triggers(self, request: Request) -> Response:
        workflow = self._service.get(workflow_id(request))
        found = list(self._service.triggers.triggers(workflow).values())
        page = page_of(request, found, lambda each: each.name)
        return JSONResponse(page.view([self._view(workflow, each) for each in page.items]))

    async def trigger(self, request: Request) -> Response:
        workflow, trigger = found_trigger(self._service, request)
        return JSONResponse(self._view(workflow, trigger))

    async def run_trigger(self, request: Request) -> Response:
        workflow, trigger = found_trigger(self._service, request)
        fired = await self._service.run_trigger(workflow, trigger, await incoming_of(request, ""))
        headers = {"x-ms-trigger-history-name": fired.history.name}
        if fired.runs:
            headers["x-ms-workflow-run-id"] = fired.runs[0]
        return Response(status_code=202, headers=headers)

    async def callback_url(self, request: Request) -> Response:
        workflow, trigger = found_trigger(self._service, request)
        if trigger.type != "Request":
            message = f"localazure implements listCallbackUrl of Request triggers, not of {trigger.type}."
            raise ArmError(501, "NotImplemented", message)
        inputs = trigger.source.get("inputs") or {}
        callbacks = self._service.callbacks
        return JSONResponse(callbacks.trigger(base_of(request), workflow.id, trigger.name, inputs))

    def _view(self, workflow: WorkflowRecord, trigger: Trigger) -> dict[str, Any]:
        triggers = self._service.triggers
        last = self._service.history.trigger_histories(workflow.id, trigger.name, limit=1)
        return trigger_view(
            workflow,
            trigger,
            recurrence=None if trigger.type == "Request" else triggers.recurrence_json(workflow, trigger),
            last=last[0] if last else None,
            next_due=triggers.next_due(workflow, trigger),
        )
