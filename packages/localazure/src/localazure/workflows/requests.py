"""Request triggers: from a call of the callback URL to a run, and from its Response action to the caller."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from localazure.clock import Clock
from localazure.content import decode_body, encode_body
from localazure.errors import ArmError, NotJsonError
from localazure.workflows.actions import Response
from localazure.workflows.engine import Engine
from localazure.workflows.firing import Firing
from localazure.workflows.http_checks import options_of
from localazure.workflows.http_requests import workflow_id_hash
from localazure.workflows.looks import Look
from localazure.workflows.operations import Delivery
from localazure.workflows.records import RunRecord, WorkflowRecord
from localazure.workflows.schemas import worst_misfit
from localazure.workflows.trigger_definition import Trigger
from localazure.workflows.triggers import Triggers

#: How long a caller is held for a Response action, in seconds (Logic Apps limits, inbound requests).
ANSWER_WITHIN_S = 120.0

_UNSENDABLE = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "date", "server"})


@dataclass(frozen=True)
class Incoming:
    """A call of a callback URL.

    Attributes:
        method: HTTP method.
        relative_path: what stands behind `/paths/invoke`, without slashes around it, escapes as they came.
        headers: as they came.
        queries: without those of the signature.
        content: the body, empty for none.
    """

    method: str
    relative_path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header by name, case aside, or None."""
        return next((value for key, value in self.headers.items() if key.lower() == name), None)


@dataclass(frozen=True)
class Answer:
    """What the caller gets."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""


class Callers:
    """Those who wait for a Response action; the engine's `Responder`."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Mapping[str, Any]]] = {}

    def expect(self, run_name: str) -> asyncio.Future[Mapping[str, Any]]:
        """Register a caller of a run; cancel the future to give up waiting."""
        self._waiting[run_name] = asyncio.get_running_loop().create_future()
        return self._waiting[run_name]

    def respond(self, run_name: str, response: Mapping[str, Any]) -> Delivery:
        """Hand an answer to the caller of a run."""
        caller = self._waiting.get(run_name)
        if caller is None:
            return "no_caller"
        if caller.done():
            return "already_answered"
        caller.set_result(response)
        return "sent"

    def run_ended(self, run: RunRecord) -> None:
        """Forget the caller of a run."""
        self._waiting.pop(run.name, None)


class RequestTriggers:
    """Takes calls of callback URLs.

    Args:
        engine: what runs workflows.
        firing: what starts runs.
        triggers: knows the workflows' triggers.
        callers: who waits.
        clock: the source of time.
    """

    def __init__(
        self, engine: Engine, firing: Firing, triggers: Triggers, callers: Callers, clock: Clock
    ) -> None:
        self._engine = engine
        self._firing = firing
        self._triggers = triggers
        self._callers = callers
        self._clock = clock

    async def invoke(self, workflow: WorkflowRecord, trigger: Trigger, incoming: Incoming) -> Answer:
        """Start what a call asks for and answer it.

        Raises:
            ArmError: the workflow is disabled, method, path or body do not fit, there is no room for one more
                run (429), or no answer came from the run (502, 504).
        """
        if workflow.state != "Enabled":
            raise ArmError(
                404,
                "WorkflowTriggerIsNotEnabled",
                f"Could not execute workflow '{workflow.name}' trigger '{trigger.name}' with state"
                f" '{workflow.state}': trigger is not enabled.",
            )
        _check_method(trigger, incoming)
        outputs = request_outputs(trigger, incoming)
        if not self._firing.has_room(workflow, trigger):
            message = f"The trigger '{trigger.name}' has as many running and waiting runs as it may have."
            raise ArmError(429, "TooManyRequests", message, headers={"Retry-After": "10"})
        now = self._clock.now()
        fired = self._firing.fire(
            workflow,
            trigger,
            Look(now, now, fires=True, outputs=outputs),
            self._triggers.parameters(workflow),
            client_tracking_id=incoming.header("x-ms-client-tracking-id"),
        )
        headers = _tracking(workflow, fired.history.name, fired.history.client_tracking_id)
        if fired.history.status == "Failed":
            error = fired.history.error or {}
            raise ArmError(400, str(error.get("code")), str(error.get("message")), headers=headers)
        if not fired.runs:
            return Answer(202, headers)
        headers["x-ms-workflow-run-id"] = fired.runs[0]
        responds = any(
            isinstance(each, Response) for each in self._triggers.definition(workflow).by_name.values()
        )
        if not responds or trigger.split_on is not None:
            return Answer(202, headers)
        return await self._answered(fired.runs[0], headers)

    async def _answered(self, run_name: str, headers: Mapping[str, str]) -> Answer:
        caller = self._callers.expect(run_name)
        until = self._clock.now() + timedelta(seconds=ANSWER_WITHIN_S)
        ended = asyncio.ensure_future(self._engine.run_finished(run_name))
        late = asyncio.ensure_future(self._clock.sleep_until(until))
        waited: list[asyncio.Future[Any]] = [caller, ended, late]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if caller.done():
                return _answer(caller.result(), headers)
            if ended.done():
                message = f"The server did not receive a response from an upstream server. Run: '{run_name}'."
                raise ArmError(502, "NoResponse", message, headers=headers)
            message = f"The run '{run_name}' did not answer within {ANSWER_WITHIN_S:g} s."
            raise ArmError(504, "GatewayTimeout", message, headers=headers)
        finally:
            for each in waited:
                each.cancel()


def _check_method(trigger: Trigger, incoming: Incoming) -> None:
    inputs = trigger.source.get("inputs") or {}
    expected = str(inputs.get("method") or "POST").upper()
    if incoming.method.upper() != expected:
        raise ArmError(
            404,
            "TriggerRequestMethodNotValid",
            f"The trigger '{trigger.name}' expects '{expected}' method but actual method is"
            f" '{incoming.method}'.",
        )


def request_outputs(trigger: Trigger, incoming: Incoming) -> dict[str, Any]:
    """Return what `triggerOutputs()` gives for a call.

    Raises:
        ArmError: its path or body does not fit the trigger.
    """
    inputs = trigger.source.get("inputs") or {}
    outputs: dict[str, Any] = {"headers": dict(incoming.headers)}
    if incoming.queries:
        outputs["queries"] = dict(incoming.queries)
    parameters = _path_parameters(trigger, str(inputs.get("relativePath") or ""), incoming.relative_path)
    if parameters:
        outputs["relativePathParameters"] = parameters
    try:
        body = decode_body(incoming.content, incoming.header("content-type"))
    except NotJsonError as exc:
        raise ArmError(400, "InvalidRequestContent", f"The request content is not valid: {exc}") from None
    if incoming.content:
        outputs["body"] = body
    if "enableschemavalidation" in options_of(trigger.source) and inputs.get("schema"):
        _check_schema(body, inputs["schema"])
    return outputs


def _path_parameters(trigger: Trigger, template: str, path: str) -> dict[str, str]:
    parts = re.split(r"\{([^{}]+)\}", template.strip("/"))
    pattern = "".join(
        f"(?P<p{number}>[^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, path.strip("/"))
    if found is None:
        message = (
            f"The trigger '{trigger.name}' has the relative path '{template}', which '{path}' does not match."
        )
        raise ArmError(404, "TriggerRelativePathNotValid", message)
    return {parts[number]: unquote(found[f"p{number}"]) for number in range(1, len(parts), 2)}


def _check_schema(body: Any, schema: Any) -> None:
    if (wrong := worst_misfit(body, schema)) is not None:
        message = f"The input body for trigger did not match its schema definition: {wrong}"
        raise ArmError(400, "TriggerInputSchemaMismatch", message)


def _tracking(workflow: WorkflowRecord, history_name: str, client_tracking_id: str) -> dict[str, str]:
    return {
        "x-ms-workflow-id": workflow_id_hash(workflow.id),
        "x-ms-workflow-version": workflow.version,
        "x-ms-workflow-name": workflow.name,
        "x-ms-trigger-history-name": history_name,
        "x-ms-client-tracking-id": client_tracking_id,
        "x-ms-tracking-id": str(uuid4()),
    }


def _answer(response: Mapping[str, Any], tracking: Mapping[str, str]) -> Answer:
    given = response.get("headers") or {}
    headers = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
        if value is not None and name.lower() not in _UNSENDABLE
    }
    named = next((name for name in headers if name.lower() == "content-type"), None)
    content, content_type = encode_body(response.get("body"), headers.pop(named) if named else None)
    if content_type:
        headers["Content-Type"] = content_type
    return Answer(int(response["statusCode"]), {**tracking, **headers}, content or b"")
