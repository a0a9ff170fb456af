"""The Http action.

Authentication, asynchronous answers and retries follow the Logic Apps documentation ("HTTP", "Schema
reference for trigger and action types").
"""

import random
from collections.abc import Mapping
from typing import Any

from localazure.errors import InvalidRequestError, Problem
from localazure.outbound import OutboundRequest, OutboundResponse
from localazure.workflows.calls import Caller, result_of
from localazure.workflows.http_checks import (
    http_inputs_problems,
    option_problems,
    options_of,
    runtime_problems,
)
from localazure.workflows.http_requests import http_request, workflow_headers
from localazure.workflows.operations import OperationCall, OperationResult
from localazure.workflows.retry import RetryPolicy

_OPTIONS = frozenset({"disableasyncpattern", "suppressworkflowheaders"})


class HttpAction:
    """Action type `Http`."""

    name = "Http"

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Name what is wrong with an Http action."""
        return (
            http_inputs_problems(definition.get("inputs"))
            + option_problems(definition, _OPTIONS)
            + runtime_problems(definition, {"securedata", "contenttransfer"})
        )

    async def execute(self, call: OperationCall) -> OperationResult:
        """Send the request, again where its retry policy says so, and follow an asynchronous answer."""
        try:
            policy = RetryPolicy.from_json(call.inputs.get("retryPolicy"))
            request = http_request(call.inputs, workflow_headers(call))
        except (ValueError, InvalidRequestError) as exc:
            return refused(str(exc))
        caller = Caller(call.services.clock, call.services.extras.get("draw", random.uniform))
        outbound = call.services.outbound

        async def send() -> OutboundResponse:
            return await outbound.send(request)  # type: ignore[no-any-return] # services hold it untyped

        async def poll(uri: str) -> OutboundResponse:
            kept = {k: v for k, v in request.headers.items() if not k.lower().startswith("content-")}
            again = OutboundRequest("GET", uri, kept, None, request.authentication)
            return await outbound.send(again)  # type: ignore[no-any-return] # services hold it untyped

        try:
            if "disableasyncpattern" in options_of(call.definition):
                tries = await caller.call(send, policy)
            else:
                tries = await caller.call_to_the_end(send, poll, request.uri, policy)
        except InvalidRequestError as exc:
            return refused(str(exc))
        return result_of(tries)


def refused(message: str) -> OperationResult:
    """Return the result of a request that was never sent."""
    return OperationResult("Failed", "BadRequest", None, {"code": "BadRequest", "message": message})
