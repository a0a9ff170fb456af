"""A desk for workflows: a service with a clock moved by hand, and a world in memory that answers."""

from __future__ import annotations

import base64
import html
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from localazure.outbound import HostMapping, Outbound
from localazure.storage_signing import StorageAccount
from localazure.testing import ManualClock
from localazure.workflows.records import ActionRecord, RunRecord, TriggerHistoryRecord, WorkflowRecord
from localazure.workflows.requests import Answer, Incoming
from localazure.workflows.resources import WorkflowId
from localazure.workflows.service import WorkflowService

KEY = base64.b64encode(b"key").decode()
ENDPOINT = "http://127.0.0.1:10001/acct"
ACCOUNT = StorageAccount.from_connection_string(
    f"AccountName=acct;AccountKey={KEY};QueueEndpoint={ENDPOINT};BlobEndpoint=http://127.0.0.1:10000/acct"
)
CONNECTION = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/connections/azurequeues"
CONNECTIONS = {
    "azurequeues": {
        "connectionId": CONNECTION,
        "connectionName": "azurequeues",
        "id": "/subscriptions/s/providers/Microsoft.Web/locations/westeurope/managedApis/azurequeues",
    }
}
ID = WorkflowId("s", "g", "sample")
Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Message:
    """A message of the queue in memory."""

    id: str
    text: str
    visible_at: datetime
    receipt: str = ""
    dequeue_count: int = 0


class Queue:
    """One queue in memory, with the REST calls that the connector makes."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.messages: dict[str, Message] = {}
        self.polls: list[datetime] = []
        self.receives: list[Mapping[str, str]] = []
        self._numbers = itertools.count(1)
        self.refusal: httpx.Response | None = None

    def put(self, *texts: str) -> None:
        for text in texts:
            number = str(next(self._numbers))
            self.messages[number] = Message(number, text, self.clock.now())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"].startswith("SharedKey acct:")
        parts = urlsplit(str(request.url))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = [unquote(part) for part in parts.path.split("/")[2:]]
        if self.refusal is not None:
            return self.refusal
        match request.method, path:
            case "GET", [_, "messages"]:
                return self._receive(query)
            case "GET", [_] if query.get("comp") == "metadata":
                return httpx.Response(
                    200, headers={"x-ms-approximate-messages-count": str(len(self.messages))}
                )
            case "POST", [_, "messages"]:
                self.put(html.unescape(request.content.decode().split("MessageText>")[1].removesuffix("</")))
                return httpx.Response(201)
            case "DELETE", [_, "messages", number]:
                found = self.messages.get(number)
                if found is None or found.receipt != query["popreceipt"]:
                    return error(404, "MessageNotFound", "The specified message does not exist.")
                del self.messages[number]
                return httpx.Response(204)
            case "PUT", [_]:
                return httpx.Response(201)
            case _:
                return error(400, "Unexpected", f"{request.method} {request.url}")

    def _receive(self, query: Mapping[str, str]) -> httpx.Response:
        now = self.clock.now()
        self.polls.append(now)
        self.receives.append(query)
        found = [each for each in self.messages.values() if each.visible_at <= now][
            : int(query["numofmessages"])
        ]
        for each in found:
            each.dequeue_count += 1
            each.visible_at = now + timedelta(seconds=int(query["visibilitytimeout"]))
            each.receipt = f"r+{each.id}/{each.dequeue_count}="
        shown = "".join(
            f"<QueueMessage><MessageId>{each.id}</MessageId><InsertionTime>then</InsertionTime>"
            f"<ExpirationTime>later</ExpirationTime><PopReceipt>{each.receipt}</PopReceipt>"
            f"<TimeNextVisible>soon</TimeNextVisible><DequeueCount>{each.dequeue_count}</DequeueCount>"
            f"<MessageText>{html.escape(each.text)}</MessageText></QueueMessage>"
            for each in found
        )
        text = f'<?xml version="1.0" encoding="utf-8"?><QueueMessagesList>{shown}</QueueMessagesList>'
        return httpx.Response(200, content=text.encode(), headers={"content-type": "application/xml"})


def error(status: int, code: str, message: str) -> httpx.Response:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return httpx.Response(status, content=text.encode(), headers={"content-type": "application/xml"})


@dataclass
class World:
    """Everything there is outside: a queue, and addresses that a test gives an answer to."""

    queue: Queue
    answers: dict[str, Handler] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if str(request.url).startswith(ENDPOINT):
            return self.queue(request)
        return self.answers[request.url.host](request)

    def on(self, host: str, *answers: httpx.Response | Exception) -> None:
        """Have a host give these answers one after the other, the last one again and again."""
        left = list(answers)

        def answer(_: httpx.Request) -> httpx.Response:
            found = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(found, Exception):
                raise found
            return httpx.Response(found.status_code, headers=found.headers, content=found.content)

        self.answers[host] = answer


class Desk:
    """A service and all it works with."""

    id = ID

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.world = World(Queue(self.clock))
        self.minimum_poll_s = 60.0
        self.service = self.opened()

    def opened(self) -> WorkflowService:
        self.outbound = Outbound(
            hosts=[HostMapping.parse(f"acct.queue.core.windows.net={ENDPOINT}")],
            storage=[ACCOUNT],
            transport=httpx.MockTransport(self.world),
        )
        return WorkflowService(
            self.folder,
            self.clock,
            self.outbound,
            minimum_poll_s=self.minimum_poll_s,
            draw=lambda _, high: high,
        )

    async def restart(self) -> None:
        """Stop as a process does, and start over the same folder."""
        await self.aclose()
        self.service = self.opened()
        await self.service.start()

    async def aclose(self) -> None:
        await self.service.aclose()
        await self.outbound.aclose()

    @property
    def queue(self) -> Queue:
        return self.world.queue

    async def put(
        self, triggers: Mapping[str, Any], actions: Mapping[str, Any] | None = None, **more: Any
    ) -> WorkflowRecord:
        """Put the one workflow there is; `state` and `parameters` (values) may be given."""
        values = {"$connections": CONNECTIONS, **more.pop("values", {})}
        declared = {"$connections": {"type": "Object"}, **more.pop("parameters", {})}
        properties = {
            "definition": {"parameters": declared, "triggers": triggers, "actions": actions or {}},
            "parameters": {name: {"value": value} for name, value in values.items()},
            **more,
        }
        record, _ = await self.service.put(ID, {"location": "westeurope", "properties": properties})
        return record

    async def call(self, trigger: str = "manual", **how: Any) -> Answer:
        """Call the callback URL of a Request trigger."""
        workflow = self.service.get(ID)
        return await self.service.invoke(
            workflow, self.service.trigger(workflow, trigger), self.incoming(**how)
        )

    def incoming(self, **how: Any) -> Incoming:
        return Incoming("POST", **how)

    async def act(self, *actions: Mapping[str, Any], seconds: float = 0.0, **more: Any) -> ActionRecord:
        """Run one action, or several one after the other, and return the record of the last one."""
        named = {f"Act{number}" if number else "Act": dict(each) for number, each in enumerate(actions)}
        for before, after in itertools.pairwise(named):
            named[after]["runAfter"] = {before: ["Succeeded", "Failed"]}
        await self.put({"manual": {"type": "Request", "kind": "Http"}}, named, **more)
        await self.call()
        await self.clock.advance(seconds)
        return self.action(list(named)[-1])

    @property
    def runs(self) -> list[RunRecord]:
        """All runs, the oldest first."""
        return self.service.history.runs(str(ID))[::-1]

    def histories(self, trigger: str) -> list[TriggerHistoryRecord]:
        """A trigger's looks, the oldest first."""
        return self.service.history.trigger_histories(str(ID), trigger)[::-1]

    def action(self, name: str, run: RunRecord | None = None) -> ActionRecord:
        found = self.service.history.action((run or self.runs[-1]).name, name)
        assert found is not None, f"{name} has not begun"
        return found


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.service.start()
    yield desk
    await desk.aclose()
