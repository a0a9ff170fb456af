"""The Azure Queues connector, V2 and V1 paths: what Azure runs behind a connection, in this process.

It takes a request as a workflow sends it, say `GET /v2/storageAccounts/{account}/queues/{queue}/messages`,
and answers as the connector does, out of the real Queue REST API. A message's text is passed as it is stored.
The list of operations is the connector's reference page; there is no other one (no update, peek or clear).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from localazure.clock import Clock
from localazure.errors import ConnectionFailedError, InvalidRequestError
from localazure.outbound import Outbound, OutboundResponse, reason_of
from localazure.workflows.storage_queues import (
    StorageQueues,
    read_error,
    read_messages,
    read_queue_names,
)

API = "azurequeues"

#: "Returning up to 32 messages", the most that Get Messages gives.
TRIGGER_MESSAGES = "32"
DEFAULT_VISIBILITY_S = "30"

#: In place of an account's name: the account of the connection.
CONNECTIONS_ACCOUNT = "accountnamefromsettings"

_V2 = re.compile(r"/v2/storageAccounts/(?P<account>[^/]+)/queues/(?P<rest>.+)", re.IGNORECASE)


@dataclass(frozen=True)
class Operation:
    """One operation of the connector.

    Attributes:
        name: its operationId, without the `_V2`.
        pattern: its path behind the account, lower-cased; `{}` stands for one segment.
        method: HTTP method.
        trigger: whether it is a polling trigger.
    """

    name: str
    pattern: str
    method: str
    trigger: bool = False

    def match(self, method: str, segments: list[str]) -> bool:
        """Tell whether a request is for this operation."""
        wanted = self.pattern.split("/")
        return (
            method.upper() == self.method
            and len(wanted) == len(segments)
            and all(want in ("{}", got.lower()) for want, got in zip(wanted, segments, strict=True))
        )


OPERATIONS = (
    Operation("ListQueues", "list", "GET"),
    Operation("PutQueue", "putqueue", "PUT"),
    Operation("GetMessages", "{}/messages", "GET"),
    Operation("PutMessage", "{}/messages", "POST"),
    Operation("DeleteMessage", "{}/messages/{}", "DELETE"),
    Operation("OnMessages", "{}/message_trigger", "GET", trigger=True),
    Operation("OnMessageThresholdReached", "{}/count_trigger", "GET", trigger=True),
)


@dataclass(frozen=True)
class QueueCall:
    """A request understood: the operation, the account (None: the connection's), the path's own values."""

    operation: Operation
    account: str | None
    values: tuple[str, ...]


def understand(method: str, path: str) -> QueueCall | None:
    """Find the operation that a method and a path ask for; None if there is none.

    The account is decoded twice, as it is encoded twice; queue and message id once.
    """
    account = None
    rest = path.partition("?")[0].strip("/")
    v2 = _V2.fullmatch("/" + rest)
    if v2 is not None:
        rest = v2["rest"]
        name = unquote(unquote(v2["account"]))
        account = None if name.lower() == CONNECTIONS_ACCOUNT else name
    segments = rest.split("/")
    for operation in OPERATIONS:
        if operation.match(method, segments):
            wanted = operation.pattern.split("/")
            values = tuple(unquote(got) for want, got in zip(wanted, segments, strict=True) if want == "{}")
            return QueueCall(operation, account, values)
    return None


@dataclass(frozen=True)
class AzureQueues:
    """The connector, over one connection."""

    outbound: Outbound
    clock: Clock

    async def answer(
        self, method: str, path: str, queries: Mapping[str, Any], body: Any = None
    ) -> OutboundResponse:
        """Answer a workflow's request.

        Args:
            method: HTTP method.
            path: the path as evaluated, its parts encoded.
            queries: evaluated query parameters.
            body: the message's text, for PutMessage.

        Returns:
            JSON as the connector gives it; an error has its status, and 502 stands for a Queue service that
            cannot be reached.

        Raises:
            InvalidRequestError: the connector has no such operation.
        """
        call = understand(method, path)
        if call is None:
            raise InvalidRequestError(f"the Azure Queues connector has no operation {method.upper()} {path}")
        account = self.outbound.account_for(call.account)
        if account is None:
            named = "of the connection" if call.account is None else repr(call.account)
            return failure(404, f"The storage account {named} is not known to this connection.")
        texts = {name.lower(): str(value) for name, value in queries.items() if value is not None}
        queues = StorageQueues(self.outbound, account, self.clock)
        try:
            return await self._run(queues, call, texts, body)
        except ConnectionFailedError as exc:
            return failure(502, f"The Queue service cannot be reached: {exc}")

    async def _run(
        self, queues: StorageQueues, call: QueueCall, queries: Mapping[str, str], body: Any
    ) -> OutboundResponse:
        match call.operation.name:
            case "ListQueues":
                return await _list(queues)
            case "PutQueue":
                return await _put_queue(queues, queries)
            case "GetMessages" | "OnMessages":
                return await _receive(queues, call, queries)
            case "PutMessage":
                text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
                if body is None:
                    return failure(400, "The message to put is missing: the body must be its text.")
                answer = await queues.put(call.values[0], text)
                return _passed(answer, 201, None)
            case "DeleteMessage":
                receipt = queries.get("popreceipt")
                if not receipt:
                    return failure(400, "The query parameter popreceipt is missing.")
                answer = await queues.delete(call.values[0], call.values[1], receipt)
                return _passed(answer, 200, None)
            case _:
                return await _count(queues, call, queries)


async def _list(queues: StorageQueues) -> OutboundResponse:
    names: list[str] = []
    marker: str | None = None
    while True:
        answer = await queues.list_queues(marker)
        if answer.status >= 300:
            return _passed(answer, 200, None)
        page, marker = read_queue_names(answer.content)
        names += page
        if marker is None:
            return reply(200, [{"Name": name} for name in names])


async def _put_queue(queues: StorageQueues, queries: Mapping[str, str]) -> OutboundResponse:
    name = queries.get("queuename")
    if not name:
        return failure(400, "The query parameter queueName is missing.")
    return _passed(await queues.create(name), 200, name)


async def _receive(queues: StorageQueues, call: QueueCall, queries: Mapping[str, str]) -> OutboundResponse:
    polls = call.operation.trigger
    count = TRIGGER_MESSAGES if polls else queries.get("numofmessages", "1")
    visibility_s = queries.get("visibilitytimeout", DEFAULT_VISIBILITY_S)
    answer = await queues.receive(call.values[0], count, visibility_s)
    if answer.status >= 300:
        return _passed(answer, 200, None)
    messages = read_messages(answer.content)
    if polls and not messages:
        return reply(202, None)
    return reply(200, {"QueueMessagesList": {"QueueMessage": messages}})


async def _count(queues: StorageQueues, call: QueueCall, queries: Mapping[str, str]) -> OutboundResponse:
    threshold = queries.get("threshold", "")
    if not threshold.isdigit():
        return failure(400, f"The query parameter threshold must be a whole number, not {threshold!r}.")
    answer = await queues.metadata(call.values[0])
    if answer.status >= 300:
        return _passed(answer, 200, None)
    count = answer.header("x-ms-approximate-messages-count") or "0"
    return reply(200, count) if int(count) >= int(threshold) else reply(202, None)


def reply(status: int, value: Any) -> OutboundResponse:
    """Answer with JSON; None means without a body."""
    content = b"" if value is None else json.dumps(value, ensure_ascii=False).encode("utf-8")
    headers = {"Content-Length": str(len(content))}
    if content:
        headers["Content-Type"] = "application/json; charset=utf-8"
    return OutboundResponse(status, reason_of(status), headers, content)


def failure(status: int, message: str) -> OutboundResponse:
    """Answer with an error as a managed connector words it."""
    return reply(
        status, {"status": status, "message": message, "error": {"message": message}, "source": "localazure"}
    )


def _passed(answer: OutboundResponse, status: int, value: Any) -> OutboundResponse:
    """Answer `value` if Storage's answer is a good one, else Storage's error in the connector's words."""
    if answer.status < 300:
        return reply(status, value)
    code, message = read_error(answer.content)
    failed = failure(answer.status, f"{code}: {message}" if code else message)
    kept = {name: value for name, value in answer.headers.items() if name.lower() == "retry-after"}
    return OutboundResponse(failed.status, failed.reason, {**failed.headers, **kept}, failed.content)
