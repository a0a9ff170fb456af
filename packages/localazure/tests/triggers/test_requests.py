"""Request triggers and Response actions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from localazure.errors import ArmError

MANUAL = {"manual": {"type": "Request", "kind": "Http"}}
JSON_TYPE = {"Content-Type": "application/json"}


def wait(seconds: int) -> dict[str, Any]:
    return {"Nap": {"type": "Wait", "inputs": {"interval": {"count": seconds, "unit": "Second"}}}}


def response(after: str | None = None, **inputs: Any) -> dict[str, Any]:
    runs_after = {after: ["Succeeded"]} if after else {}
    return {
        "Answer": {
            "type": "Response",
            "kind": "Http",
            "inputs": {"statusCode": 200, **inputs},
            "runAfter": runs_after,
        }
    }


async def test_without_a_response_action_the_caller_is_answered_at_once(desk: Any) -> None:
    await desk.put(MANUAL, wait(60))
    answer = await desk.call()
    assert (answer.status, answer.content) == (202, b"")
    assert answer.headers["x-ms-workflow-run-id"] == desk.runs[0].name
    assert desk.runs[0].status == "Running"


async def test_a_caller_is_held_for_the_response(desk: Any) -> None:
    await desk.put(MANUAL, wait(60) | response("Nap", statusCode=201, headers={"X-N": 1}, body={"ok": True}))
    call = asyncio.ensure_future(desk.call())
    await desk.clock.advance(59)
    assert not call.done()
    await desk.clock.advance(2)
    answer = await call
    assert (answer.status, answer.content, answer.headers["X-N"]) == (201, b'{"ok":true}', "1")
    assert answer.headers["Content-Type"] == "application/json"
    assert desk.runs[0].response["body"] == {"ok": True}


async def test_a_caller_is_held_two_minutes_at_most(desk: Any) -> None:
    await desk.put(MANUAL, wait(150) | response("Nap"))
    call = asyncio.ensure_future(desk.call())
    await desk.clock.advance(121)
    with pytest.raises(ArmError) as caught:
        await call
    assert (caught.value.status, caught.value.code) == (504, "GatewayTimeout")
    await desk.clock.advance(30)
    assert (desk.runs[0].status, desk.action("Answer").code) == ("Failed", "ActionResponseTimedOut")


async def test_a_run_that_ends_without_its_response_is_a_bad_gateway(desk: Any) -> None:
    failing = {"Nap": {"type": "ParseJson", "inputs": {"content": "x", "schema": {}}}}
    await desk.put(MANUAL, failing | response("Nap"))
    with pytest.raises(ArmError) as caught:
        await desk.call()
    assert (caught.value.status, caught.value.code) == (502, "NoResponse")


async def test_a_response_nobody_waits_for_is_skipped(desk: Any) -> None:
    await desk.put(MANUAL, response())
    workflow = desk.service.get(desk.id)
    incoming = desk.incoming(content=b"{}", headers=JSON_TYPE)
    await desk.service.run_trigger(workflow, desk.service.trigger(workflow, "manual"), incoming)
    await desk.clock.settle()
    assert desk.action("Answer").code == "ActionResponseSkipped"


async def test_split_requests_are_answered_at_once_and_run_one_by_one(desk: Any) -> None:
    triggers = {"manual": {**MANUAL["manual"], "splitOn": "@triggerBody()?['rows']"}}
    await desk.put(triggers, response())
    answer = await desk.call(content=json.dumps({"rows": [1, 2, 3]}).encode(), headers=JSON_TYPE)
    assert answer.status == 202
    assert [run.trigger.outputs for run in desk.runs] == [{"body": 1}, {"body": 2}, {"body": 3}]


async def test_an_empty_split_starts_nothing(desk: Any) -> None:
    triggers = {"manual": {**MANUAL["manual"], "splitOn": "@triggerBody()"}}
    await desk.put(triggers, wait(1))
    answer = await desk.call(content=b"[]", headers=JSON_TYPE)
    assert (answer.status, desk.runs) == (202, [])
    assert desk.histories("manual")[0].status == "Skipped"


async def test_a_request_beyond_running_and_waiting_runs_is_refused(desk: Any) -> None:
    limited = {"concurrency": {"runs": 1, "maximumWaitingRuns": 1}}
    await desk.put({"manual": {**MANUAL["manual"], "runtimeConfiguration": limited}}, wait(60))
    await desk.call()
    await desk.call()
    with pytest.raises(ArmError) as caught:
        await desk.call()
    assert caught.value.status == 429
    assert [run.status for run in desk.runs] == ["Running", "Waiting"]


async def test_single_instance_is_a_concurrency_of_one(desk: Any) -> None:
    await desk.put({"manual": {**MANUAL["manual"], "operationOptions": "SingleInstance"}}, wait(60))
    await desk.call()
    await desk.call()
    assert [run.status for run in desk.runs] == ["Running", "Waiting"]


async def test_the_tracking_id_comes_from_the_caller_or_the_definition(desk: Any) -> None:
    await desk.put(MANUAL, {})
    await desk.call(headers={"X-Ms-Client-Tracking-Id": "abc"})
    assert desk.runs[-1].client_tracking_id == "abc"
    correlated = {
        "manual": {**MANUAL["manual"], "correlation": {"clientTrackingId": "@{triggerBody()?['id']}"}}
    }
    await desk.put(correlated, {})
    await desk.call(content=b'{"id": 7}', headers=JSON_TYPE)
    assert desk.runs[-1].client_tracking_id == "7"


async def test_a_schema_counts_only_where_it_is_enabled(desk: Any) -> None:
    inputs = {"schema": {"type": "object", "required": ["id"]}}
    await desk.put({"manual": {**MANUAL["manual"], "inputs": inputs}}, {})
    assert (await desk.call(content=b"{}", headers=JSON_TYPE)).status == 202
    strict = {"manual": {**MANUAL["manual"], "inputs": inputs, "operationOptions": "EnableSchemaValidation"}}
    await desk.put(strict, {})
    with pytest.raises(ArmError, match="TriggerInputSchemaMismatch"):
        await desk.call(content=b"{}", headers=JSON_TYPE)


async def test_a_body_that_only_says_it_is_json_is_refused(desk: Any) -> None:
    await desk.put(MANUAL, {})
    with pytest.raises(ArmError) as caught:
        await desk.call(content=b"{", headers=JSON_TYPE)
    assert caught.value.status == 400


async def test_an_unmet_condition_starts_nothing(desk: Any) -> None:
    triggers = {
        "manual": {**MANUAL["manual"], "conditions": [{"expression": "@equals(triggerBody()?['go'], true)"}]}
    }
    await desk.put(triggers, wait(1))
    assert (await desk.call(content=b'{"go": false}', headers=JSON_TYPE)).status == 202
    assert desk.runs == []
    await desk.call(content=b'{"go": true}', headers=JSON_TYPE)
    assert len(desk.runs) == 1


@pytest.mark.parametrize(
    ("trigger", "wrong"),
    [
        ({"type": "Request", "kind": "VirtualAgent"}, "VirtualAgent"),
        ({"type": "Request", "inputs": {"relativePath": "a/{b}"}}, "method"),
        ({"type": "Request", "inputs": {"method": "GET", "relativePath": "a/{b"}}, "relativePath"),
        ({"type": "Request", "inputs": {"triggerAuthorizationPolicies": {}}}, "triggerAuthorizationPolicies"),
        ({"type": "Request", "recurrence": {"frequency": "Day", "interval": 1}}, "recurrence"),
        ({"type": "Recurrence"}, "recurrence"),
        ({"type": "Recurrence", "recurrence": {"frequency": "Day", "interval": 501}}, "501"),
        ({"type": "HttpWebhook", "inputs": {}}, "HttpWebhook"),
    ],
)
async def test_triggers_that_are_not_known_are_refused_by_name(
    desk: Any, trigger: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ArmError, match="InvalidTemplate") as caught:
        await desk.put({"manual": trigger})
    assert wrong in str(caught.value)
