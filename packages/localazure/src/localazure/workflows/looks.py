"""One look of a trigger at the world: a due time, a poll of a connector or an address."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localazure.errors import ExpressionError, InvalidRequestError
from localazure.outbound import OutboundResponse
from localazure.workflows.calls import Caller, Send, result_of
from localazure.workflows.connection_action import connection_call
from localazure.workflows.connector_azurequeues import AzureQueues
from localazure.workflows.http_requests import http_request, with_location, workflow_id_hash
from localazure.workflows.operations import OperationResult, Services
from localazure.workflows.records import WorkflowRecord
from localazure.workflows.retry import RetryPolicy, retry_after_s
from localazure.workflows.trigger_definition import Trigger
from localazure.workflows.trigger_scope import TriggerScope

_NAMES_STATUS = re.compile(r"statusCode|\.code\b|\['code'\]", re.IGNORECASE)


@dataclass(frozen=True)
class Look:
    """What a trigger saw.

    Attributes:
        start_time: when it began to look.
        end_time: when it knew.
        fires: whether there is something to start a run for, conditions aside.
        status: Succeeded, Skipped or Failed.
        code: Azure's word: OK, Accepted, an HTTP reason.
        outputs: what `triggerOutputs()` gives, None for nothing.
        inputs: evaluated inputs, None for none.
        error: `{"code", "message"}` where it failed without an answer.
        scheduled_time: when it was due, None if it was not by the clock.
        next_at: when the answer asks to be looked for again, None if it does not.
        location: the address that the answer wants polled next, None for the same.
    """

    start_time: datetime
    end_time: datetime
    fires: bool
    status: str = "Succeeded"
    code: str = "OK"
    outputs: Any = None
    inputs: Any = None
    error: Mapping[str, Any] | None = None
    scheduled_time: datetime | None = None
    next_at: datetime | None = None
    location: str | None = None

    def record(self, name: str) -> dict[str, Any]:
        """Return the trigger's record as expressions see it."""
        return {
            "name": name,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "status": self.status,
            "code": self.code,
        }


async def look(
    workflow: WorkflowRecord,
    trigger: Trigger,
    scope: TriggerScope,
    parameters: Mapping[str, Any],
    services: Services,
    *,
    scheduled_time: datetime | None = None,
    location: str | None = None,
) -> Look:
    """Look once.

    Args:
        workflow: whose trigger it is.
        trigger: of type Recurrence, ApiConnection or Http.
        scope: for its inputs.
        parameters: the workflow's, for `$connections`.
        services: the clock and the outbound client.
        scheduled_time: when it was due.
        location: the address that the last answer wanted polled.
    """
    began_at = services.clock.now()
    if trigger.type == "Recurrence":
        return Look(began_at, began_at, fires=True, scheduled_time=scheduled_time)
    inputs: Any = None
    try:
        inputs = trigger.inputs.evaluate(scope)
        send = _sender(workflow, trigger, inputs, parameters, services, location)
        policy = RetryPolicy.from_json(inputs.get("retryPolicy"))
        caller = Caller(services.clock, services.extras.get("draw", random.uniform))
        tries = await caller.call(send, policy)
    except (ExpressionError, InvalidRequestError, ValueError) as exc:
        code = "InvalidTemplate" if isinstance(exc, ExpressionError) else "BadRequest"
        return _failed(began_at, services.clock.now(), code, str(exc), inputs, scheduled_time)
    now = services.clock.now()
    result = result_of(tries)
    status = tries.response.status if tries.response else None
    fires = status is not None and (status == 200 or _judges_status(trigger))
    return Look(
        began_at,
        now,
        fires and result.error is None,
        _history_status(result, fires=fires),
        result.code,
        result.outputs,
        inputs,
        result.error,
        scheduled_time,
        _next_at(tries.response, now),
        tries.response.header("location") if tries.response and trigger.type == "Http" else None,
    )


def _sender(
    workflow: WorkflowRecord,
    trigger: Trigger,
    inputs: Any,
    parameters: Mapping[str, Any],
    services: Services,
    location: str | None,
) -> Send:
    if trigger.type == "ApiConnection":
        connector = AzureQueues(services.outbound, services.clock)
        return connection_call(inputs, parameters.get("$connections") or {}, connector)
    headers = {
        "x-ms-workflow-id": workflow_id_hash(workflow.id),
        "x-ms-workflow-version": workflow.version,
        "x-ms-workflow-name": workflow.name,
        "x-ms-workflow-operation-name": trigger.name,
    }
    request = with_location(http_request(inputs, headers), location)

    async def send() -> OutboundResponse:
        return await services.outbound.send(request)  # type: ignore[no-any-return] # services hold it untyped

    return send


def _judges_status(trigger: Trigger) -> bool:
    """Tell whether its conditions look at the status, and so replace the rule that only 200 fires."""
    conditions = trigger.source.get("conditions") or ()
    return any(_NAMES_STATUS.search(str(each.get("expression", ""))) for each in conditions)


def _history_status(result: OperationResult, *, fires: bool) -> str:
    if result.status == "Failed" and not (fires and result.error is None):
        return "Failed"
    return "Succeeded" if fires else "Skipped"


def _next_at(response: OutboundResponse | None, now: datetime) -> datetime | None:
    seconds = retry_after_s(response.header("retry-after"), now) if response else None
    return None if seconds is None else now + timedelta(seconds=seconds)


def _failed(
    began_at: datetime, now: datetime, code: str, message: str, inputs: Any, scheduled_time: datetime | None
) -> Look:
    error = {"code": code, "message": message}
    return Look(began_at, now, False, "Failed", code, None, inputs, error, scheduled_time)
