"""A call of an Http or connector operation: its tries, its asynchronous answers, what it comes to.

Times come from the clock alone, the random part of delays from `draw`, so that a test can let hours of
retries pass at once and say beforehand when each try is made.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

from localazure.clock import Clock
from localazure.content import BINARY_TYPE, decode_body, envelope
from localazure.errors import ConnectionFailedError, NotJsonError
from localazure.outbound import OutboundResponse
from localazure.workflows.operations import OperationResult
from localazure.workflows.retry import Draw, RetryPolicy, is_retried, retry_after_s

#: Seconds before an asynchronous answer (202 with Location) is looked at again if it names no Retry-After.
ASYNC_POLL_S = 1.0

#: The code of a call that got no answer.
NO_ANSWER_CODE = "BadRequest"

Send = Callable[[], Awaitable[OutboundResponse]]
SendTo = Callable[[str], Awaitable[OutboundResponse]]


@dataclass(frozen=True)
class Tries:
    """What the tries of one call came to.

    Attributes:
        response: the last answer; None if the last try got none.
        failure: why the last try got no answer; None if it got one.
        history: the tries before the last one, as run history shows them.
    """

    response: OutboundResponse | None
    failure: str | None = None
    history: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Caller:
    """Makes calls by the clock and a source of chance."""

    clock: Clock
    draw: Draw = field(default=random.uniform)

    async def call(self, send: Send, policy: RetryPolicy) -> Tries:
        """Send until an answer is not worth another try or the policy's tries are used up.

        Raises:
            InvalidRequestError: passed on from `send`.
        """
        history: list[Mapping[str, Any]] = []
        while True:
            began_at = self.clock.now()
            response, failure = await _attempt(send)
            status = response.status if response else None
            retry = len(history) + 1
            if not is_retried(status) or retry > policy.count:
                return Tries(response, failure, tuple(history))
            history.append(_history_entry(began_at, self.clock.now(), response, failure))
            await self._pause(response, policy.delay_s(retry, self.draw))

    async def call_to_the_end(self, send: Send, poll: SendTo, uri: str, policy: RetryPolicy) -> Tries:
        """Call, and follow a 202 with Location by GET until the answer is another one.

        Args:
            send: sends the request itself.
            poll: sends a GET to a URL, with the request's own credentials.
            uri: the request's address, which a relative Location is relative to.
            policy: for the request and for each look at its Location.
        """
        tries = await self.call(send, policy)
        history = tries.history
        while (response := tries.response) is not None and response.status == 202:
            location = response.header("location")
            if not location:
                break
            await self._pause(response, ASYNC_POLL_S)
            uri = urljoin(uri, location)
            tries = await self.call(_to(poll, uri), policy)
            history += tries.history
        return Tries(tries.response, tries.failure, history)

    async def _pause(self, response: OutboundResponse | None, delay_s: float) -> None:
        now = self.clock.now()
        asked_s = retry_after_s(response.header("retry-after"), now) if response else None
        await self.clock.sleep_until(now + timedelta(seconds=delay_s if asked_s is None else asked_s))


def _to(poll: SendTo, uri: str) -> Send:
    return lambda: poll(uri)


async def _attempt(send: Send) -> tuple[OutboundResponse | None, str | None]:
    try:
        return await send(), None
    except ConnectionFailedError as exc:
        return None, f"Http request failed as there is an error: '{exc}'."


def _history_entry(
    began_at: datetime, ended_at: datetime, response: OutboundResponse | None, failure: str | None
) -> dict[str, Any]:
    code = response.reason if response else NO_ANSWER_CODE
    entry: dict[str, Any] = {
        "startTime": iso(began_at),
        "endTime": iso(ended_at),
        "code": code,
        "clientRequestId": str(uuid4()),
    }
    if response is not None and (service_request_id := response.header("x-ms-request-id")):
        entry["serviceRequestId"] = service_request_id
    if failure is not None:
        entry["error"] = {"error": {"code": code, "message": failure}}
    return entry


def outputs_of(response: OutboundResponse) -> dict[str, Any]:
    """Return the `{statusCode, headers, body}` that a workflow sees; without a body there is no `body`.

    Raises:
        NotJsonError: the answer says it is JSON and is not.
    """
    outputs: dict[str, Any] = {"statusCode": response.status, "headers": dict(response.headers)}
    if response.content:
        outputs["body"] = decode_body(response.content, response.header("content-type"))
    return outputs


def result_of(tries: Tries) -> OperationResult:
    """Turn the end of a call into the action's result: 2xx Succeeded, all else Failed."""
    response = tries.response
    if response is None:
        error = {"code": NO_ANSWER_CODE, "message": tries.failure or ""}
        return OperationResult("Failed", NO_ANSWER_CODE, None, error, tries.history)
    try:
        outputs = outputs_of(response)
    except NotJsonError as exc:
        body = envelope(response.header("content-type") or BINARY_TYPE, response.content)
        outputs = {"statusCode": response.status, "headers": dict(response.headers), "body": body}
        error = {"code": "BadRequest", "message": f"The response cannot be processed: {exc}"}
        return OperationResult("Failed", "BadRequest", outputs, error, tries.history)
    status = "Succeeded" if 200 <= response.status <= 299 else "Failed"
    return OperationResult(status, response.reason, outputs, None, tries.history)


def iso(when: datetime) -> str:
    """Write a time as Azure does: UTC, up to 7 digits after the point, zeros at the end trimmed."""
    text = when.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"
