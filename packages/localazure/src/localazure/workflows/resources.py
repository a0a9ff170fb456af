"""The workflow resource: what may be put, and what is kept of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

from localazure.clock import Clock
from localazure.errors import ArmError, ExpressionError, InvalidRequestError, Problem
from localazure.expressions import parse_template
from localazure.workflows.actions import Action, walk
from localazure.workflows.connection_action import connection_api
from localazure.workflows.connector_azurequeues import API
from localazure.workflows.loaded_definition import Definition
from localazure.workflows.records import WorkflowRecord, WorkflowState
from localazure.workflows.trigger_definition import Trigger
from localazure.workflows.trigger_scope import TriggerScope

_NAME = re.compile(r"[A-Za-z0-9_.()-]{1,80}")
#: What a workflow resource may hold beside what is kept of it; given back by Azure, and changed by nobody.
_READ_ONLY = frozenset(
    {"provisioningState", "createdTime", "changedTime", "version", "accessEndpoint", "endpointsConfiguration"}
)
_KEPT = frozenset({"definition", "parameters", "state"})


@dataclass(frozen=True)
class WorkflowId:
    """The ARM id of a workflow, in its parts."""

    subscription_id: str
    resource_group: str
    name: str

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.Logic/workflows/{self.name}"
        )


def read_workflow(workflow_id: WorkflowId, body: Any, before: WorkflowRecord | None) -> WorkflowRecord:
    """Read the body of a PUT; the definition is not looked into.

    Args:
        workflow_id: where it is put.
        body: the resource, as JSON.
        before: what is there already; None for nothing.

    Raises:
        ArmError: 400 if it is no workflow resource, 501 for properties that are not implemented.
    """
    if not _NAME.fullmatch(workflow_id.name):
        message = (
            f"The workflow name '{workflow_id.name}' is not 1 to 80 letters, digits, '-', '_', '.', '(', ')'."
        )
        raise ArmError(400, "InvalidWorkflowName", message)
    properties = body.get("properties") if isinstance(body, Mapping) else None
    if not isinstance(properties, Mapping):
        raise ArmError(400, "InvalidRequestContent", "The body needs 'properties' with 'definition'.")
    if not body.get("location"):
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    if other := sorted(name for name in properties if name not in _KEPT | _READ_ONLY and properties[name]):
        message = f"localazure does not implement {', '.join(other)} of a workflow."
        raise ArmError(501, "NotImplemented", message)
    state = str(properties.get("state") or "Enabled")
    if state.lower() not in {"enabled", "disabled"}:
        raise ArmError(400, "InvalidWorkflowState", f"The state '{state}' is not one of Enabled, Disabled.")
    parameters = properties.get("parameters") or {}
    return WorkflowRecord(
        id=before.id if before else str(workflow_id),
        name=before.name if before else workflow_id.name,
        definition=properties.get("definition") or {},
        parameters=parameters,
        state=cast("WorkflowState", state.title()),
        location=str(body["location"]),
        tags=body.get("tags") or {},
        identity=_identity(workflow_id, body.get("identity")),
    )


def _identity(workflow_id: WorkflowId, identity: Any) -> Mapping[str, Any] | None:
    """Return the identity as Azure gives it back, with the ids of a system-assigned one."""
    if not isinstance(identity, Mapping) or str(identity.get("type", "None")).lower() == "none":
        return None
    if "systemassigned" not in str(identity["type"]).lower():
        return dict(identity)
    return {
        **identity,
        "principalId": str(uuid5(NAMESPACE_URL, f"principal{str(workflow_id).lower()}")),
        "tenantId": str(uuid5(NAMESPACE_URL, f"tenant/{workflow_id.subscription_id}")),
    }


def connection_problems(
    record: WorkflowRecord, definition: Definition, parameters: Mapping[str, Any], clock: Clock
) -> list[Problem]:
    """Name the connections that are used and are not there, or are of a connector that is not."""
    connections = parameters.get("$connections") or {}
    scope = TriggerScope(record, parameters, clock.now(), {})
    used: list[Trigger | Action] = [*definition.triggers.values(), *walk(definition.actions)]
    problems = []
    for each in used:
        if each.type != "ApiConnection":
            continue
        where = f"{each.path}.inputs.host.connection.name"
        try:
            name = parse_template(each.source["inputs"]["host"]["connection"]["name"]).evaluate(scope)
            api = connection_api(name, connections)
        except (ExpressionError, InvalidRequestError) as exc:
            problems.append(Problem(where, "unknown-reference", "connection", str(exc)))
            continue
        if api.lower() != API:
            message = f"the connector {api} is not supported; supported is {API}"
            problems.append(Problem(where, "unsupported-connector", api, message))
    return problems
