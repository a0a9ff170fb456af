"""What a request about workflows names: found, or refused as Azure refuses it."""

from starlette.requests import Request

from localazure.errors import ArmError
from localazure.workflows.callbacks import OWN_QUERIES
from localazure.workflows.records import ActionRecord, RunRecord, TriggerHistoryRecord, WorkflowRecord
from localazure.workflows.requests import Incoming
from localazure.workflows.resources import WorkflowId
from localazure.workflows.service import WorkflowService
from localazure.workflows.trigger_definition import Trigger


def workflow_id(request: Request) -> WorkflowId:
    """Return the id of the workflow that a request's path names."""
    path = request.path_params
    return WorkflowId(path["subscription"], path["resource_group"], path["workflow"])


def base_of(request: Request) -> str:
    """Return the server's address as the client wrote it: `https://host:port`."""
    return str(request.base_url).rstrip("/")


def found_trigger(service: WorkflowService, request: Request) -> tuple[WorkflowRecord, Trigger]:
    """Return the workflow and trigger that a request's path names.

    Raises:
        ArmError: 404.
    """
    workflow = service.get(workflow_id(request))
    return workflow, service.trigger(workflow, request.path_params["trigger"])


def found_run(service: WorkflowService, workflow: WorkflowRecord, name: str) -> RunRecord:
    """Return a run of a workflow.

    Raises:
        ArmError: 404.
    """
    run = service.history.run(name)
    if run is None or run.workflow_id.lower() != workflow.id.lower():
        message = f"The workflow run '{name}' of workflow '{workflow.name}' could not be found."
        raise ArmError(404, "WorkflowRunNotFound", message)
    return run


def found_action(service: WorkflowService, run: RunRecord, name: str, repetition: str | None) -> ActionRecord:
    """Return an action of a run, or (repetition not None) one of its executions in loops.

    Raises:
        ArmError: 404.
    """
    if repetition is None:
        action = service.history.action(run.name, name)
    else:
        found = service.history.repetitions(run.name, name)
        action = next((each for each in found if each.repetition == repetition), None)
    if action is None:
        message = f"The action '{name}' of workflow run '{run.name}' could not be found."
        raise ArmError(404, "WorkflowRunActionNotFound", message)
    return action


def found_history(
    service: WorkflowService, workflow: WorkflowRecord, trigger_name: str, name: str
) -> TriggerHistoryRecord:
    """Return one look of a trigger.

    Raises:
        ArmError: 404.
    """
    record = service.history.trigger_history(workflow.id, trigger_name, name)
    if record is None:
        message = f"The history '{name}' of trigger '{trigger_name}' could not be found."
        raise ArmError(404, "WorkflowTriggerHistoryNotFound", message)
    return record


async def incoming_of(request: Request, relative_path: str) -> Incoming:
    """Return a request as a Request trigger sees it: without signature and bearer token."""
    queries = {name: value for name, value in request.query_params.items() if name not in OWN_QUERIES}
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        if name.lower() != "authorization":
            headers["-".join(part.capitalize() for part in name.split("-"))] = value
    return Incoming(request.method, relative_path, headers, queries, await request.body())
