"""The actions that deal with the world: Wait, Response, and every type of the `Operations` registry.

Their beginning is on disk before they act, so that a restart knows what was in flight.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from localazure.errors import ExpressionError
from localazure.workflows import waits
from localazure.workflows.actions import Operation, Response, Wait
from localazure.workflows.kinds import is_response_status
from localazure.workflows.operations import OperationCall, Operations, Responder, Services
from localazure.workflows.outcomes import ActionError, Outcome
from localazure.workflows.records import ActionRecord
from localazure.workflows.run_scope import RunScope
from localazure.workflows.run_state import Frame, RunState

JSON = Any
_log = logging.getLogger(__name__)

#: The code of actions whose answer a restart has lost, and that must not be tried twice.
INTERRUPTED = "ServiceInterrupted"
_RESPONSE_ERRORS = {
    "ActionResponseTimedOut": "failed: the client application timed out, or has been answered already",
    "ActionResponseSkipped": "skipped: the client application is not waiting for a response from service",
}


async def wait(state: RunState, action: Wait, frame: Frame, scope: RunScope) -> Outcome:
    """Wait until the moment that was worked out when the action began.

    Raises:
        ActionError: The interval or timestamp is not fit.
        ExpressionError: It cannot be evaluated.
    """
    record = state.record(action, frame)
    if record is None:
        inputs: dict[str, JSON]
        if action.interval is not None:
            inputs = {"interval": action.interval.evaluate(scope)}
            due = waits.due_after(state.now(), inputs["interval"])
        else:
            inputs = {"until": {"timestamp": action.until.evaluate(scope) if action.until else None}}
            due = waits.due_at(inputs["until"]["timestamp"])
        record = state.begin(action, frame, inputs=inputs, has_inputs=True, state={"due": due.isoformat()})
    await state.clock.sleep_until(datetime.fromisoformat(record.state["due"]))
    return Outcome("Succeeded", "OK")


async def operate(
    state: RunState,
    action: Operation,
    frame: Frame,
    scope: RunScope,
    operations: Operations,
    services: Services,
) -> Outcome:
    """Execute an action of the registry; one that a restart interrupted, once more if it may be retried.

    Raises:
        ExpressionError: The inputs cannot be evaluated.
    """
    record = state.record(action, frame)
    if record is None:
        inputs = action.inputs.evaluate(scope)
        record = state.begin(action, frame, inputs=inputs, has_inputs=True)
    elif not _may_be_retried(record.inputs):
        return _failed(
            INTERRUPTED,
            "The service was interrupted while the action ran, and its retry policy allows no second try.",
        )
    operation = operations.action(action.type)
    if operation is None:
        return _failed("ActionFailed", f"The action type '{action.type}' is not supported.")
    try:
        result = await operation.execute(_call(state, action, record, services))
    except ExpressionError:
        raise
    except Exception as error:
        _log.exception("Action %s of run %s broke", action.name, record.run_name)
        return _failed("ActionFailed", f"{type(error).__name__}: {error}")
    return Outcome(
        result.status,
        result.code,
        result.error,
        outputs=result.outputs,
        has_outputs=result.outputs is not None,
        retry_history=tuple(result.retry_history),
    )


def respond(
    state: RunState, action: Response, frame: Frame, scope: RunScope, responder: Responder | None
) -> Outcome:
    """Answer the run's caller, and record it with the action's end in one write.

    Nothing awaits in between, so that a caller is answered if and only if it is told.

    Raises:
        ActionError: The status code is none that a Response may have.
        ExpressionError: The inputs cannot be evaluated.
    """
    response = action.inputs.evaluate(scope)
    status = response.get("statusCode", 200)
    if not is_response_status(status):
        message = f"The status code '{status}' of Response action '{action.name}' is not 2xx, 4xx or 5xx."
        raise ActionError("InvalidTemplate", message, inputs=response, has_inputs=True)
    response = {**response, "statusCode": int(status)}
    match responder.respond(state.run.name, response) if responder else "no_caller":
        case "sent":
            outcome = Outcome("Succeeded", "OK", outputs=response, has_outputs=True)
        case "already_answered":
            outcome = _unanswered("Failed", "ActionResponseTimedOut", action)
        case _:
            outcome = _unanswered("Skipped", "ActionResponseSkipped", action)
    outcome = replace(outcome, inputs=response, has_inputs=True)
    with state.history.transaction():
        if outcome.status == "Succeeded":
            state.save_run(response=response)
        state.end(action, frame, outcome)
    return outcome


def _call(state: RunState, action: Operation, record: ActionRecord, services: Services) -> OperationCall:
    workflow = state.workflow
    return OperationCall(
        workflow_id=workflow.id,
        run_name=record.run_name,
        action_name=action.name,
        inputs=record.inputs,
        definition=action.source,
        connections=state.parameters.get("$connections") or {},
        services=services,
        workflow_name=workflow.name,
        workflow_version=workflow.version,
        identity=workflow.identity,
        repetition=record.repetition,
        tracking_id=record.tracking_id,
        client_tracking_id=record.client_tracking_id,
    )


def _may_be_retried(inputs: JSON) -> bool:
    policy = inputs.get("retryPolicy") if isinstance(inputs, Mapping) else None
    kind = policy.get("type") if isinstance(policy, Mapping) else None
    return not isinstance(kind, str) or kind.lower() != "none"


def _failed(code: str, message: str) -> Outcome:
    return Outcome("Failed", code, {"code": code, "message": message})


def _unanswered(status: str, code: str, action: Response) -> Outcome:
    message = f"The execution of template action '{action.name}' is {_RESPONSE_ERRORS[code]}."
    return Outcome(status, code, {"code": code, "message": message})
