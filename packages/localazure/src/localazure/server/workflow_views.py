"""Workflows, triggers and runs as Microsoft.Logic shows them (api-version 2019-05-01)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localazure.workflows.callbacks import Callbacks
from localazure.workflows.calls import iso
from localazure.workflows.http_requests import sanitized, workflow_id_hash
from localazure.workflows.records import (
    ActionRecord,
    IterationRecord,
    RunRecord,
    TriggerFiring,
    TriggerHistoryRecord,
    WorkflowRecord,
)
from localazure.workflows.trigger_definition import Trigger

JSON = Any
_WORKFLOWS = "Microsoft.Logic/workflows"


def raw(value: JSON) -> bytes:
    """Return inputs or outputs as their link serves them."""
    return json.dumps(sanitized(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def workflow_view(workflow: WorkflowRecord, base: str) -> dict[str, JSON]:
    """Return a workflow; values of secure parameters are left out.

    Args:
        workflow: the workflow.
        base: the server's address, `https://host:port`.
    """
    whole = {
        "id": workflow.id,
        "name": workflow.name,
        "type": _WORKFLOWS,
        "location": workflow.location,
        "tags": dict(workflow.tags),
        "identity": dict(workflow.identity) if workflow.identity else None,
        "properties": {
            "provisioningState": "Succeeded",
            "createdTime": _time(workflow.created_at),
            "changedTime": _time(workflow.changed_at),
            "state": workflow.state,
            "version": workflow.version,
            "accessEndpoint": f"{base}/workflows/{workflow_id_hash(workflow.id)}",
            "definition": workflow.definition,
            "parameters": workflow.public_parameters,
        },
    }
    return _without_none(whole)


def trigger_view(
    workflow: WorkflowRecord,
    trigger: Trigger,
    *,
    recurrence: JSON,
    last: TriggerHistoryRecord | None,
    next_due: datetime | None,
) -> dict[str, JSON]:
    """Return a trigger.

    Args:
        workflow: whose it is.
        trigger: the trigger.
        recurrence: its recurrence with values, None if it has none.
        last: its last look, None if it has not looked yet.
        next_due: when it looks again, None if it does not by itself.
    """
    properties = {
        "provisioningState": "Succeeded",
        "createdTime": _time(workflow.created_at),
        "changedTime": _time(workflow.changed_at),
        "state": workflow.state,
        "status": last.status if last else "Waiting",
        "lastExecutionTime": _time(last.start_time) if last else None,
        "nextExecutionTime": _time(next_due),
        "recurrence": recurrence,
        "workflow": _version(workflow.id, workflow.version),
    }
    return {
        "id": f"{workflow.id}/triggers/{trigger.name}",
        "name": trigger.name,
        "type": f"{_WORKFLOWS}/triggers",
        "properties": _without_none(properties),
    }


@dataclass(frozen=True)
class RunViews:
    """Makes the views that hold links to inputs and outputs.

    Attributes:
        callbacks: what signs the links.
        base: the server's address.
        workflow: the workflow whose runs are shown.
    """

    callbacks: Callbacks
    base: str
    workflow: WorkflowRecord

    def run(self, run: RunRecord) -> dict[str, JSON]:
        """Return a run."""
        properties = {
            "waitEndTime": _time(run.wait_end_time or run.start_time),
            "startTime": _time(run.start_time),
            "endTime": _time(run.end_time),
            "status": run.status,
            "code": run.code,
            "error": run.error,
            "correlation": {"clientTrackingId": run.client_tracking_id},
            "workflow": _version(run.workflow_id, run.workflow_version),
            "trigger": self._firing(run, run.trigger),
            "outputs": dict(run.outputs),
            "response": {} if run.response is None else {"status": "Succeeded", "code": "OK"},
        }
        return {
            "id": f"{self.workflow.id}/runs/{run.name}",
            "name": run.name,
            "type": f"{_WORKFLOWS}/runs",
            "properties": _without_none(properties),
        }

    def action(self, action: ActionRecord, repetitions: int) -> dict[str, JSON]:
        """Return an action of a run; of one in loops its last repetition and how many there are."""
        path = f"/runs/{action.run_name}/actions/{action.name}"
        properties = self._action_properties(action, path)
        if action.repetition:
            properties["repetitionCount"] = repetitions
        return {
            "id": f"{self.workflow.id}{path}",
            "name": action.name,
            "type": f"{_WORKFLOWS}/runs/actions",
            "properties": properties,
        }

    def repetition(self, action: ActionRecord) -> dict[str, JSON]:
        """Return one execution of an action in loops."""
        path = f"/runs/{action.run_name}/actions/{action.name}/repetitions/{action.repetition}"
        properties = self._action_properties(action, path)
        properties["repetitionIndexes"] = [dict(each) for each in action.repetition_indexes]
        return {
            "id": f"{self.workflow.id}{path}",
            "name": action.repetition,
            "type": f"{_WORKFLOWS}/runs/actions/repetitions",
            "properties": properties,
        }

    def scope_repetition(self, turn: IterationRecord) -> dict[str, JSON]:
        """Return one turn of a loop."""
        path = f"/runs/{turn.run_name}/actions/{turn.name}/scopeRepetitions/{turn.repetition}"
        properties = {
            "startTime": _time(turn.start_time),
            "endTime": _time(turn.end_time),
            "status": turn.status,
            "code": turn.code,
            "error": turn.error,
            "repetitionIndexes": [dict(each) for each in turn.repetition_indexes],
        }
        return {
            "id": f"{self.workflow.id}{path}",
            "name": turn.repetition,
            "type": f"{_WORKFLOWS}/runs/actions/scopeRepetitions",
            "properties": _without_none(properties),
        }

    def trigger_history(self, record: TriggerHistoryRecord) -> dict[str, JSON]:
        """Return one look of a trigger."""
        path = f"/triggers/{record.trigger_name}/histories/{record.name}"
        run = None
        if record.run_name:
            run = {
                "id": f"{self.workflow.id}/runs/{record.run_name}",
                "name": record.run_name,
                "type": f"{_WORKFLOWS}/runs",
            }
        properties = {
            "startTime": _time(record.start_time),
            "endTime": _time(record.end_time),
            "scheduledTime": _time(record.scheduled_time),
            "status": record.status,
            "code": record.code,
            "error": record.error,
            "trackingId": record.tracking_id,
            "correlation": {"clientTrackingId": record.client_tracking_id},
            "inputsLink": self._link(path, "TriggerInputs", record.inputs),
            "outputsLink": self._link(path, "TriggerOutputs", record.outputs),
            "fired": record.fired,
            "run": run,
        }
        return {
            "id": f"{self.workflow.id}{path}",
            "name": record.name,
            "type": f"{_WORKFLOWS}/triggers/histories",
            "properties": _without_none(properties),
        }

    def _firing(self, run: RunRecord, firing: TriggerFiring) -> dict[str, JSON]:
        path = f"/runs/{run.name}"
        whole = {
            "name": firing.name,
            "inputsLink": self._link(path, "TriggerInputs", firing.inputs),
            "outputsLink": self._link(path, "TriggerOutputs", firing.outputs),
            "startTime": _time(firing.start_time),
            "endTime": _time(firing.end_time),
            "scheduledTime": _time(firing.scheduled_time),
            "originHistoryName": firing.history_name or run.name,
            "correlation": {"clientTrackingId": run.client_tracking_id},
            "code": firing.code,
            "status": firing.status,
            "error": firing.error,
        }
        return _without_none(whole)

    def _action_properties(self, action: ActionRecord, path: str) -> dict[str, JSON]:
        properties = {
            "inputsLink": self._link(path, "ActionInputs", action.inputs, exists=action.has_inputs),
            "outputsLink": self._link(path, "ActionOutputs", action.outputs, exists=action.has_outputs),
            "startTime": _time(action.start_time),
            "endTime": _time(action.end_time),
            "correlation": {
                "actionTrackingId": action.tracking_id,
                "clientTrackingId": action.client_tracking_id,
            },
            "status": action.status,
            "code": action.code,
            "error": action.error,
            "trackedProperties": action.tracked_properties,
            "retryHistory": _list_or_none(action.retry_history),
            "iterationCount": action.iteration_count,
        }
        return _without_none(properties)

    def _link(self, path: str, kind: str, value: JSON, *, exists: bool | None = None) -> JSON:
        if not (value is not None if exists is None else exists):
            return None
        where = f"{path}/contents/{kind}"
        return self.callbacks.content(self.base, self.workflow.id, where, raw(value))


def _version(workflow_id: str, version: str) -> dict[str, JSON]:
    return {
        "id": f"{workflow_id}/versions/{version}",
        "name": version,
        "type": f"{_WORKFLOWS}/versions",
    }


def _time(when: datetime | None) -> str | None:
    return None if when is None else iso(when)


def _list_or_none(values: Sequence[Mapping[str, JSON]]) -> list[dict[str, JSON]] | None:
    return [dict(each) for each in values] or None


def _without_none(whole: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: value for name, value in whole.items() if value is not None}
