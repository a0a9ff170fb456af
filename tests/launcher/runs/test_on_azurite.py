"""The launcher's calls of Storage against the real wire protocol; container groups stay in memory."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient
from dayfly_cli.azurite import Azurite, azurite
from dayfly_cli.node import npm_packages
from localazure.clock import SystemClock
from localazure.outbound import HostMapping, Outbound
from localazure.storage_signing import StorageAccount


class Tokens:
    async def token(self, audience: str, identity: str | None) -> str:
        return f"token of {audience}"


class Split(httpx.AsyncBaseTransport):
    """ARM in memory, everything else over the wire, after what the tests do before a request."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self._wire = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "management.azure.com":
            answer: httpx.Response = await self._cloud.handle_async_request(request)
            return answer
        self._cloud.act_before(request)
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        await self._wire.aclose()


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Azurite]:
    async with azurite(npm_packages(), tmp_path / "azurite.log", location=None) as account:
        yield account


@pytest.fixture
async def outbound(cloud: Any, account: Azurite) -> AsyncIterator[Outbound]:
    hosts = [
        HostMapping("acct.queue.core.windows.net", account.queue_endpoint),
        HostMapping("acct.blob.core.windows.net", account.blob_endpoint),
    ]
    storage = [StorageAccount.from_connection_string(account.connection_string)]
    async with Outbound(hosts=hosts, storage=storage, tokens=Tokens(), transport=Split(cloud)) as outbound:
        yield outbound


@pytest.fixture
def queue(account: Azurite) -> QueueClient:
    for name in ("acme-tasks", "acme-tasks-poison"):
        QueueClient.from_connection_string(account.connection_string, name).create_queue()
    return QueueClient.from_connection_string(account.connection_string, "acme-tasks")


@pytest.fixture
def blobs(account: Azurite) -> ContainerClient:
    client = ContainerClient.from_connection_string(account.connection_string, "acme-dayfly")
    client.create_container()
    return client


@pytest.fixture
def launch_received(cloud: Any, life: Any, run_workflow: Any, parameters: dict[str, Any]) -> Any:
    """Run the launcher for a message received through the SDK; no worker ever takes it."""
    cloud.life = life(worker="nothing", exit_code=78, starts_after=0, runs_for=0)

    async def launch_received(message: Any) -> Any:
        received = {
            "MessageId": message.id,
            "InsertionTime": f"{message.inserted_on:%a, %d %b %Y %H:%M:%S GMT}",
            "ExpirationTime": f"{message.expires_on:%a, %d %b %Y %H:%M:%S GMT}",
            "PopReceipt": message.pop_receipt,
            "MessageText": message.content,
            "DequeueCount": str(message.dequeue_count),
        }
        trigger, outputs = "When_there_are_messages_in_the_queue", {"headers": {}, "body": received}
        return await run_workflow("launcher", parameters | {"waitSeconds": 1}, trigger, outputs)

    return launch_received


async def test_a_message_is_claimed_and_given_back(
    queue: QueueClient, blobs: ContainerClient, launch_received: Any
) -> None:
    queue.send_message("{}")
    (first,) = queue.receive_messages(visibility_timeout=1)
    run = await launch_received(first)

    assert run.code == "ExitCode78"
    assert "No worker had taken the message over" in run.message
    assert not list(queue.receive_messages()), "hidden by the give back"
    assert queue.get_queue_properties().approximate_message_count == 1

    refused = await launch_received(first)
    assert refused.status == "Cancelled"
    assert refused.ran("Terminate_another_has_the_message")


async def test_a_message_on_its_last_day_is_settled(
    account: Azurite, queue: QueueClient, blobs: ContainerClient, launch_received: Any
) -> None:
    queue.send_message('{"payload": "<&>"}', time_to_live=3600)
    (message,) = queue.receive_messages(visibility_timeout=60)
    run = await launch_received(message)

    assert run.code == "NeverStarted"
    entry = json.loads(blobs.download_blob(f"ledger/{message.id}.json").readall())
    letter = json.loads(blobs.download_blob(f"deadletters/{message.id}.json").readall())
    assert entry["outcome"]["reason"] == "never_started"
    assert letter["text"] == '{"payload": "<&>"}'
    poison = QueueClient.from_connection_string(account.connection_string, "acme-tasks-poison")
    (named,) = poison.receive_messages()
    assert json.loads(named.content)["blob"] == f"deadletters/{message.id}.json"
    assert named.expires_on.year == 9999
    assert queue.get_queue_properties().approximate_message_count == 0


async def test_an_entry_is_swapped_by_its_etag_or_not_at_all(
    queue: QueueClient, blobs: ContainerClient, launch_received: Any, entry: Any, ended: Any, cloud: Any
) -> None:
    queue.send_message("{}", time_to_live=3600)
    (message,) = queue.receive_messages(visibility_timeout=60)
    before = entry(cloud.put(message_id=message.id), cloud.clock.now()) | ended("completed", None, mark=None)
    name, theirs = f"ledger/{message.id}.json", json.dumps(before | {"log": "somebody was here"})
    blobs.upload_blob(name, json.dumps(before))  # as octets, as the SDK writes them
    cloud.before("PUT", "/ledger/", lambda: blobs.upload_blob(name, theirs, overwrite=True))
    run = await launch_received(message)
    assert run.code == "ExitCode78", "the write was refused"
    assert blobs.download_blob(name).readall().decode() == theirs

    cloud.watchers.clear()
    queue.send_message(json.dumps({"dayfly": {"key": message.id, "generation": 0}}), time_to_live=3600)
    (copy,) = queue.receive_messages(visibility_timeout=60)
    run = await launch_received(copy)
    assert run.code == "Undelivered"
    after = json.loads(blobs.download_blob(name).readall())
    assert after["delivery"]["state"] == "undelivered"
    assert after["outcome"] == before["outcome"]
    assert after["log"] == "somebody was here"
