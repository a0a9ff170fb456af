"""The Azure Queues connector and Storage by identity, against the real wire protocol."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient
from localazure.clock import SystemClock
from localazure.outbound import HostMapping, Outbound, OutboundRequest
from localazure.storage_signing import StorageAccount
from localazure.workflows.connector_azurequeues import AzureQueues
from localazure.workflows.resources import WorkflowId
from localazure.workflows.service import WorkflowService
from localazure.workflows.storage_queues import http_date

TEXT = 'grüße <&> "quoted" \U0001f41d | tail\r\n'


@pytest.fixture
def queue(azurite: Any) -> Iterator[QueueClient]:
    name = f"q-{uuid.uuid4().hex}"
    with QueueClient.from_connection_string(azurite.connection_string, name) as queue:
        queue.create_queue()
        yield queue
        queue.delete_queue()


@pytest.fixture
async def outbound(azurite: Any) -> AsyncIterator[Outbound]:
    account = StorageAccount.from_connection_string(azurite.connection_string)
    mapped = HostMapping.parse(f"prod.queue.core.windows.net={azurite.queue_endpoint}")
    async with Outbound(hosts=[mapped], storage=[account]) as outbound:
        yield outbound


async def test_the_connector_does_what_it_says(outbound: Outbound, queue: QueueClient) -> None:
    connector = AzureQueues(outbound, SystemClock())
    base = f"/v2/storageAccounts/AccountNameFromSettings/queues/{queue.queue_name}"
    assert (await connector.answer("GET", f"{base}/message_trigger", {})).status == 202
    assert (await connector.answer("POST", f"{base}/messages", {}, TEXT)).status == 201
    assert (await connector.answer("GET", f"{base}/count_trigger", {"threshold": "1"})).status == 200
    received = await connector.answer("GET", f"{base}/message_trigger", {"visibilitytimeout": "30"})
    (message,) = _messages(received.content)
    assert {type(value) for value in message.values()} == {str}
    assert message["MessageText"] == TEXT
    stale = await connector.answer(
        "DELETE", f"{base}/messages/{message['MessageId']}", {"popreceipt": "AAAA"}
    )
    assert stale.status == 400
    path = f"{base}/messages/{message['MessageId']}"
    assert (await connector.answer("DELETE", path, {"popreceipt": message["PopReceipt"]})).status == 200
    assert queue.get_queue_properties().approximate_message_count == 0
    listed = await connector.answer("GET", "/v2/storageAccounts/AccountNameFromSettings/queues/list", {})
    assert queue.queue_name in listed.content.decode()
    missing = await connector.answer("GET", "/v2/storageAccounts/prod/queues/no-such-queue/messages", {})
    assert missing.status == 404
    assert "QueueNotFound" in missing.content.decode()


async def test_a_lease_is_taken_over_by_identity(outbound: Outbound, queue: QueueClient) -> None:
    queue.send_message("work")
    message = next(iter(queue.receive_messages(visibility_timeout=30)))
    headers = {"x-ms-version": "2021-12-02", "x-ms-date": http_date(SystemClock().now())}
    identity = {"type": "ManagedServiceIdentity", "audience": "https://storage.azure.com/"}
    uri = f"https://prod.queue.core.windows.net/{queue.queue_name}/messages/{message.id}"
    receipt = message.pop_receipt.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    for _ in range(2):
        request = OutboundRequest(
            "PUT", f"{uri}?popreceipt={receipt}&visibilitytimeout=60", headers, None, identity
        )
        answer = await outbound.send(request)
        assert answer.status == 204, answer.content
        new = answer.header("x-ms-popreceipt") or ""
        receipt = new.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


async def test_messages_become_runs_that_delete_them(
    outbound: Outbound, queue: QueueClient, tmp_path: Path
) -> None:
    connection = {"connectionId": "/connections/azurequeues", "id": "/managedApis/azurequeues"}
    host = {"connection": {"name": "@parameters('$connections')['azurequeues']['connectionId']"}}
    definition = {
        "parameters": {"$connections": {"type": "Object"}},
        "triggers": {
            "Queue": {
                "type": "ApiConnection",
                "inputs": {"host": host, "method": "get", "path": f"/{queue.queue_name}/message_trigger"},
                "recurrence": {"frequency": "Second", "interval": 1},
                "splitOn": "@triggerBody()?['QueueMessagesList']?['QueueMessage']",
            }
        },
        "actions": {
            "Delete": {
                "type": "ApiConnection",
                "inputs": {
                    "host": host,
                    "method": "delete",
                    "path": f"/{queue.queue_name}/messages/@{{triggerBody()?['MessageId']}}",
                    "queries": {"popreceipt": "@triggerBody()?['PopReceipt']"},
                },
            }
        },
    }
    for number in range(3):
        queue.send_message(f"work {number}")
    service = WorkflowService(tmp_path, SystemClock(), outbound, minimum_poll_s=1.0)
    await service.start()
    try:
        values = {"$connections": {"value": {"azurequeues": connection}}}
        body = {"location": "here", "properties": {"definition": definition, "parameters": values}}
        await service.put(WorkflowId("s", "g", "w"), body)
        async with asyncio.timeout(10):
            while [run.status for run in service.history.runs()] != ["Succeeded"] * 3:
                await asyncio.sleep(0.02)
    finally:
        await service.aclose()
    assert queue.get_queue_properties().approximate_message_count == 0


def _messages(content: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(content)["QueueMessagesList"]["QueueMessage"]
    return found
