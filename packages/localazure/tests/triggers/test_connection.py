"""ApiConnection actions of the Azure Queues connector, V2 and V1."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from localazure.errors import ArmError
from localazure.workflows.connector_azurequeues import understand

ACCOUNTS = "/v2/storageAccounts/"
V2 = "/v2/storageAccounts/@{encodeURIComponent(encodeURIComponent('https://acct.queue.core.windows.net'))}/queues/"
SETTINGS = "/v2/storageAccounts/@{encodeURIComponent(encodeURIComponent('AccountNameFromSettings'))}/queues/"
NAME = "@parameters('$connections')['azurequeues']['connectionId']"


def named(key: str) -> str:
    return NAME.replace("azurequeues", key)


def queue(method: str, path: str, **inputs: Any) -> dict[str, Any]:
    host = {"connection": {"name": inputs.pop("name", NAME)}}
    return {"type": "ApiConnection", "inputs": {"host": host, "method": method, "path": path, **inputs}}


@pytest.mark.parametrize("prefix", [V2, SETTINGS, "/"])
async def test_messages_are_put_received_and_deleted(desk: Any, prefix: str) -> None:
    messages = f"{prefix}@{{encodeURIComponent('tasks')}}/messages"
    put = await desk.act(queue("post", messages, body="a <message> & more"))
    assert (put.status, put.code) == ("Succeeded", "Created")
    got = await desk.act(queue("get", messages, queries={"numofmessages": "5", "visibilitytimeout": "60"}))
    (message,) = got.outputs["body"]["QueueMessagesList"]["QueueMessage"]
    assert message["MessageText"] == "a <message> & more"
    assert message["DequeueCount"] == "1"
    gone = await desk.act(
        queue(
            "delete",
            f"{messages}/@{{encodeURIComponent('1')}}",
            queries={"popreceipt": message["PopReceipt"]},
        )
    )
    assert (gone.status, gone.code) == ("Succeeded", "OK")
    assert desk.queue.messages == {}


async def test_an_empty_queue_gives_an_empty_array(desk: Any) -> None:
    got = await desk.act(queue("get", f"{V2}tasks/messages"))
    assert (got.code, got.outputs["body"]) == ("OK", {"QueueMessagesList": {"QueueMessage": []}})


async def test_a_refusal_of_storage_fails_in_the_connectors_words(desk: Any) -> None:
    gone = await desk.act(queue("delete", f"{V2}tasks/messages/9", queries={"popreceipt": "x"}))
    assert (gone.status, gone.code) == ("Failed", "NotFound")
    body = gone.outputs["body"]
    assert body["status"] == 404
    assert "MessageNotFound" in body["message"]
    assert body["error"] == {"message": body["message"]}


async def test_queues_are_listed_over_all_pages(desk: Any) -> None:
    pages = [
        "<Queues><Queue><Name>a</Name></Queue></Queues><NextMarker>m</NextMarker>",
        "<Queues><Queue><Name>b</Name></Queue></Queues><NextMarker/>",
    ]
    asked = []

    def listing(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("marker"))
        return httpx.Response(
            200, content=f"<EnumerationResults>{pages[len(asked) - 1]}</EnumerationResults>"
        )

    desk.outbound._transport = httpx.MockTransport(listing)
    found = await desk.act(queue("get", f"{V2}list"))
    assert found.outputs["body"] == [{"Name": "a"}, {"Name": "b"}]
    assert asked == [None, "m"]


async def test_a_queue_service_that_is_away_is_a_bad_gateway_and_tried_again(desk: Any) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    desk.outbound._transport = httpx.MockTransport(away)
    policy = {"type": "fixed", "count": 2, "interval": "PT5S"}
    got = await desk.act(queue("get", f"{V2}tasks/messages", retryPolicy=policy), seconds=10)
    assert (got.status, got.code, len(got.retry_history)) == ("Failed", "BadGateway", 2)


async def test_an_account_of_nobody_is_not_found(desk: Any) -> None:
    got = await desk.act(queue("get", "/v2/storageAccounts/other/queues/tasks/messages"))
    assert (got.status, got.code) == ("Failed", "NotFound")
    assert "other" in got.outputs["body"]["message"]


@pytest.mark.parametrize(
    ("action", "wrong"),
    [
        (queue("put", f"{V2}tasks/messages/1"), "inputs.path"),
        (queue("get", f"{V2}tasks/message_trigger"), "inputs.path"),
        (queue("get", "/datasets/default/files", name=named("azureblob")), "azureblob"),
        (queue("get", "/@{'q'}/messages", name=named("servicebus_2")), "servicebus"),
        (queue("get", f"{V2}tasks/messages", name=named("azurequeues_1")), "azurequeues_1"),
        (queue("get", f"{V2}tasks/messages", timeout=3), "timeout"),
        ({"type": "ApiConnection", "inputs": {"method": "get", "path": "/x"}}, "host"),
    ],
)
async def test_what_is_not_known_is_refused_by_name(desk: Any, action: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ArmError, match="InvalidTemplate") as caught:
        await desk.act(action)
    assert wrong in str(caught.value)


async def test_a_connection_of_another_connector_is_refused_whatever_its_key(desk: Any) -> None:
    connection = {
        "connectionId": "/x",
        "id": "/subscriptions/s/providers/Microsoft.Web/locations/l/managedApis/azureblob",
    }
    values = {"$connections": {"azurequeues": connection}}
    with pytest.raises(ArmError, match="connector azureblob"):
        await desk.act(queue("get", f"{V2}tasks/messages"), values=values)


@pytest.mark.parametrize(
    ("method", "path", "name", "account", "values"),
    [
        (
            "GET",
            f"{ACCOUNTS}https%253A%252F%252Fa.example/queues/q/messages",
            "GetMessages",
            "https://a.example",
            ("q",),
        ),
        ("post", f"{ACCOUNTS}AccountNameFromSettings/queues/my%2Dq/messages", "PutMessage", None, ("my-q",)),
        ("DELETE", "/q/messages/id%2F1", "DeleteMessage", None, ("q", "id/1")),
        ("get", "/q/message_trigger", "OnMessages", None, ("q",)),
        ("get", f"{ACCOUNTS}a/queues/q/count_trigger", "OnMessageThresholdReached", "a", ("q",)),
        ("put", f"{ACCOUNTS}a/queues/putQueue", "PutQueue", "a", ()),
    ],
)
def test_paths_are_understood(
    method: str, path: str, name: str, account: str | None, values: tuple[str, ...]
) -> None:
    call = understand(method, path)
    assert call is not None
    assert (call.operation.name, call.account, call.values) == (name, account, values)


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/q/messages"), ("GET", "/q"), ("GET", "/v2/x/y")])
def test_other_paths_are_not(method: str, path: str) -> None:
    assert understand(method, path) is None
