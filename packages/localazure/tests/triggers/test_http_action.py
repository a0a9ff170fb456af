"""The Http action: what it sends, how it tries again, what it gives back."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime
from typing import Any

import httpx
import pytest
from localazure.errors import ArmError
from localazure.workflows.http_requests import sanitized

HOST = "api.example"


def http(**inputs: Any) -> dict[str, Any]:
    more = inputs.pop("more", {})
    return {"type": "Http", "inputs": {"method": "GET", "uri": f"https://{HOST}/x", **inputs}, **more}


async def test_an_answer_becomes_status_headers_and_body(desk: Any) -> None:
    desk.world.on(HOST, httpx.Response(200, json={"n": [1]}, headers={"X-Thing": "yes"}))
    act = await desk.act(http())
    assert (act.status, act.code, act.error) == ("Succeeded", "OK", None)
    assert act.outputs["statusCode"] == 200
    assert act.outputs["headers"]["X-Thing"] == "yes"
    assert act.outputs["body"] == {"n": [1]}


async def test_an_answer_of_400_or_more_fails_and_keeps_its_outputs(desk: Any) -> None:
    desk.world.on(HOST, httpx.Response(404, json={"error": {"code": "Gone"}}))
    act = await desk.act(http())
    assert (act.status, act.code) == ("Failed", "NotFound")
    assert act.outputs["body"] == {"error": {"code": "Gone"}}
    assert len(desk.world.requests) == 1


async def test_an_answer_that_only_says_it_is_json_fails(desk: Any) -> None:
    desk.world.on(HOST, httpx.Response(200, content=b"oops", headers={"content-type": "application/json"}))
    act = await desk.act(http())
    assert (act.status, act.code) == ("Failed", "BadRequest")
    assert "application/json" in act.error["message"]


async def test_body_queries_and_headers_are_sent(desk: Any) -> None:
    desk.world.on(HOST, httpx.Response(200))
    await desk.act(
        http(
            method="post",
            uri=f"https://{HOST}/x?a=1%2F2",
            queries={"b": "two words&more", "n": 3, "none": None},
            headers={
                "X-Own": "1",
                "Accept": "text/plain",
                "Accept-Language": "de",
                "Host": "evil",
                "Content-Length": "9",
            },
            cookie="c=1",
            body={"a": "\u00e9"},
        )
    )
    (sent,) = desk.world.requests
    assert sent.method == "POST"
    assert str(sent.url) == f"https://{HOST}/x?a=1%2F2&b=two%20words%26more&n=3"
    assert sent.content == '{"a":"\u00e9"}'.encode()
    assert sent.headers["content-type"] == "application/json"
    assert (sent.headers["x-own"], sent.headers["accept"], sent.headers["cookie"]) == (
        "1",
        "text/plain",
        "c=1",
    )
    assert sent.headers["host"] == HOST
    assert "accept-language" not in sent.headers
    assert sent.headers["x-ms-workflow-run-id"] == desk.runs[0].name
    assert sent.headers["x-ms-workflow-operation-name"] == "Act"


async def test_workflow_headers_may_be_suppressed(desk: Any) -> None:
    desk.world.on(HOST, httpx.Response(200))
    await desk.act(http(more={"operationOptions": "SuppressWorkflowHeaders"}))
    assert not [name for name in desk.world.requests[0].headers if name.startswith("x-ms-workflow")]


async def test_the_default_policy_tries_five_times_by_the_clock(desk: Any) -> None:
    desk.world.on(
        HOST,
        httpx.Response(503),
        httpx.ConnectError("refused"),
        httpx.Response(429),
        httpx.Response(500),
        httpx.Response(502),
    )
    act = await desk.act(http(), seconds=200)
    assert (act.status, act.code) == ("Failed", "BadGateway")
    assert [each["code"] for each in act.retry_history] == [
        "ServiceUnavailable",
        "BadRequest",
        "TooManyRequests",
        "InternalServerError",
    ]
    began = [datetime.fromisoformat(each["startTime"]) for each in act.retry_history]
    assert [(after - before).total_seconds() for before, after in itertools.pairwise(began)] == [
        7.5,
        15,
        30,
    ]
    assert "refused" in act.retry_history[1]["error"]["error"]["message"]


async def test_no_answer_at_all_fails_with_the_reason(desk: Any) -> None:
    desk.world.on(HOST, httpx.ConnectError("name or service not known"))
    act = await desk.act(http(retryPolicy={"type": "none"}))
    assert (act.status, act.outputs, act.retry_history) == ("Failed", None, ())
    assert "name or service not known" in act.error["message"]


async def test_retry_after_is_honoured(desk: Any) -> None:
    desk.world.on(HOST, httpx.Response(429, headers={"Retry-After": "90"}), httpx.Response(200))
    policy = {"type": "fixed", "count": 1, "interval": "PT5S"}
    await desk.act(http(retryPolicy=policy), seconds=89)
    assert len(desk.world.requests) == 1
    await desk.clock.advance(2)
    assert desk.action("Act").status == "Succeeded"


async def test_accepted_with_a_location_is_followed_to_the_end(desk: Any) -> None:
    desk.world.on(
        HOST,
        httpx.Response(202, headers={"Location": "/operations/7"}),
        httpx.Response(202, headers={"Location": "/operations/7", "Retry-After": "30"}),
        httpx.Response(200, json="done"),
    )
    identity = {"type": "Raw", "value": "Key 1"}
    act = await desk.act(http(method="PUT", body={}, authentication=identity), seconds=32)
    assert (act.status, act.code, act.outputs["body"]) == ("Succeeded", "OK", "done")
    assert [(each.method, each.url.path) for each in desk.world.requests] == [
        ("PUT", "/x"),
        ("GET", "/operations/7"),
        ("GET", "/operations/7"),
    ]
    assert {each.headers["authorization"] for each in desk.world.requests} == {"Key 1"}
    assert "content-type" not in desk.world.requests[1].headers


async def test_accepted_is_final_where_the_pattern_is_disabled_or_names_no_location(desk: Any) -> None:
    desk.world.on(HOST, httpx.Response(202, headers={"Location": "/operations/7"}))
    act = await desk.act(http(more={"operationOptions": "DisableAsyncPattern"}))
    assert (act.status, act.code) == ("Succeeded", "Accepted")
    desk.world.on(HOST, httpx.Response(202))
    act = await desk.act(http())
    assert (act.status, act.code) == ("Succeeded", "Accepted")


async def test_storage_refuses_an_identity_without_its_headers(desk: Any) -> None:
    identity = {"type": "ManagedServiceIdentity", "audience": "https://storage.azure.com/"}
    uri = "https://acct.queue.core.windows.net/tasks/messages"
    act = await desk.act(http(uri=uri, authentication=identity))
    assert (act.status, act.code) == ("Failed", "Forbidden")
    assert act.outputs["body"]["$content-type"] == "application/xml"
    headers = {"x-ms-version": "2021-12-02", "x-ms-date": "@{formatDateTime(utcNow(), 'r')}"}
    act = await desk.act(
        http(uri=uri + "?numofmessages=1&visibilitytimeout=1", headers=headers, authentication=identity)
    )
    assert (act.status, act.code) == ("Succeeded", "OK")


def test_credentials_do_not_show() -> None:
    basic = {"type": "Basic", "username": "ada", "password": "pw"}
    assert sanitized({"method": "GET", "authentication": basic})["authentication"] == {
        "type": "Basic",
        "username": "*sanitized*",
        "password": "*sanitized*",
    }
    identity = {"type": "ManagedServiceIdentity", "audience": "https://storage.azure.com/"}
    assert sanitized({"authentication": identity}) == {"authentication": identity}
    assert sanitized({"authentication": "Key 1"}) == {"authentication": "*sanitized*"}


@pytest.mark.parametrize(
    ("action", "wrong"),
    [
        (http(uri=None), "inputs.uri"),
        (http(method="FETCH"), "FETCH"),
        (http(urn="x"), "urn"),
        (http(authentication={"type": "ClientCertificate", "pfx": "x"}), "ClientCertificate"),
        (http(authentication={"type": "Basic", "username": "x"}), "password"),
        (http(retryPolicy={"type": "fixed", "count": 0, "interval": "PT5S"}), "count 0"),
        (http(more={"operationOptions": "DisableAutomaticDecompression"}), "DisableAutomaticDecompression"),
        (
            http(more={"runtimeConfiguration": {"paginationPolicy": {"minimumItemCount": 9}}}),
            "paginationPolicy",
        ),
    ],
)
async def test_what_is_not_known_is_refused_by_name(desk: Any, action: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ArmError, match="InvalidTemplate") as caught:
        await desk.act(action)
    assert wrong in str(caught.value)


@pytest.mark.parametrize("uri", ["/relative", "@{triggerBody()?['nothing']}"])
async def test_an_address_that_is_none_fails_the_action(desk: Any, uri: str) -> None:
    act = await desk.act(http(uri=uri))
    assert (act.status, act.code) == ("Failed", "BadRequest")


async def test_an_interrupted_call_is_made_again_unless_its_policy_says_none(desk: Any) -> None:
    hang = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        desk.world.requests.append(request)
        await hang.wait()
        return httpx.Response(200)

    desk.outbound._transport = httpx.MockTransport(never)
    await desk.act(http())
    await desk.act(http(retryPolicy={"type": "none"}))
    assert len(desk.world.requests) == 2
    desk.world.on(HOST, httpx.Response(200))
    await desk.restart()
    await desk.clock.settle()
    again, given_up = desk.runs
    assert desk.action("Act", again).code == "OK"
    assert desk.action("Act", given_up).code == "ServiceInterrupted"
