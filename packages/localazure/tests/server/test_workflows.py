"""Azure's own SDK drives workflows over ARM."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.logic.aio import LogicManagementClient
from azure.mgmt.logic.models import Workflow, WorkflowRun

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "localazure"
REQUEST = {"manual": {"type": "Request", "kind": "Http"}}
SECURE = {"secureData": {"properties": ["inputs", "outputs"]}}


class Credential:
    """A token that was fetched before."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        return


@pytest_asyncio.fixture(loop_scope="module")
async def logic(served: Any) -> AsyncIterator[LogicManagementClient]:
    client = LogicManagementClient(
        Credential(served.token),
        served.ready["subscription_id"],
        base_url=served.ready["arm"],
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=served.ready["arm_ca"],
        retry_total=0,
    )
    yield client
    async for each in client.workflows.list_by_resource_group(GROUP):
        await client.workflows.delete(GROUP, each.name)
    await client.close()


def workflow(actions: dict[str, Any], triggers: dict[str, Any] | None = None, **more: Any) -> Workflow:
    definition = {"triggers": triggers or REQUEST, "actions": actions, **more}
    return Workflow(location="westeurope", definition=definition, state="Enabled")


async def invoke(served: Any, logic: LogicManagementClient, name: str, **how: Any) -> httpx.Response:
    """Call a workflow's callback URL as a stranger would: without a token."""
    url = await logic.workflow_triggers.list_callback_url(GROUP, name, "manual")
    method = how.pop("method", url.method)
    return await served.http.request(
        method, url.value, headers={"Authorization": ""} | how.pop("headers", {}), **how
    )


async def finished(logic: LogicManagementClient, name: str, run: str) -> WorkflowRun:
    async with asyncio.timeout(10):
        while True:
            found = await logic.workflow_runs.get(GROUP, name, run)
            if found.status not in {"Running", "Waiting"}:
                return found
            await asyncio.sleep(0.02)


async def contents(served: Any, link: Any) -> Any:
    answer = await served.http.get(link.uri, headers={"Authorization": ""})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_workflow_is_put_read_listed_and_deleted(logic: LogicManagementClient) -> None:
    made = await logic.workflows.create_or_update(
        GROUP, "orders", workflow({"Say": {"type": "Compose", "inputs": "hello"}})
    )
    assert made.provisioning_state == "Succeeded"
    assert made.state == "Enabled"
    assert made.version
    assert made.access_endpoint
    read = await logic.workflows.get(GROUP, "orders")
    assert read.definition == made.definition
    assert [each.name async for each in logic.workflows.list_by_subscription()] == ["orders"]
    await logic.workflows.delete(GROUP, "orders")
    with pytest.raises(ResourceNotFoundError):
        await logic.workflows.get(GROUP, "orders")


async def test_putting_the_same_again_changes_nothing(logic: LogicManagementClient) -> None:
    same = workflow({"Say": {"type": "Compose", "inputs": "hello"}})
    first = await logic.workflows.create_or_update(GROUP, "orders", same)
    second = await logic.workflows.create_or_update(GROUP, "orders", same)
    assert second.version == first.version


async def test_a_bad_definition_is_refused_with_all_that_is_wrong(logic: LogicManagementClient) -> None:
    bad = workflow(
        {
            "Call": {"type": "Http", "inputs": {"uri": "https://example.com"}},
            "Odd": {"type": "Liquid", "inputs": {}},
            "Say": {"type": "Compose", "inputs": "@nothing()"},
        }
    )
    with pytest.raises(HttpResponseError) as caught:
        await logic.workflows.create_or_update(GROUP, "orders", bad)
    assert caught.value.status_code == 400
    assert caught.value.error.code == "InvalidTemplate"
    for part in ("$.actions.Call.inputs.method", "Liquid", "nothing"):
        assert part in caught.value.error.message


async def test_validate_says_the_same_and_puts_nothing(logic: LogicManagementClient) -> None:
    await logic.workflows.validate_by_resource_group(GROUP, "orders", workflow({}))
    with pytest.raises(HttpResponseError, match="InvalidTemplate"):
        await logic.workflows.validate_by_resource_group(GROUP, "orders", workflow({"A": {"type": "Odd"}}))
    with pytest.raises(ResourceNotFoundError):
        await logic.workflows.get(GROUP, "orders")


async def test_a_run_and_its_actions_read_as_in_azure(served: Any, logic: LogicManagementClient) -> None:
    actions = {
        "Say": {"type": "Compose", "inputs": "@concat('hello ', triggerBody()?['name'])"},
        "Hide": {
            "type": "Http",
            "inputs": {"method": "GET", "uri": "http://127.0.0.1:1/", "retryPolicy": {"type": "none"}},
            "runtimeConfiguration": SECURE,
            "runAfter": {"Say": ["Succeeded"]},
        },
    }
    await logic.workflows.create_or_update(GROUP, "orders", workflow(actions))
    answer = await invoke(served, logic, "orders", json={"name": "Ada"})
    assert answer.status_code == 202
    run = await finished(logic, "orders", answer.headers["x-ms-workflow-run-id"])
    assert (run.status, run.code, run.error["code"]) == ("Failed", "ActionFailed", "ActionFailed")
    assert run.type == "Microsoft.Logic/workflows/runs"
    assert run.trigger.name == "manual"
    assert (await contents(served, run.trigger.outputs_link))["body"] == {"name": "Ada"}

    listed = [each async for each in logic.workflow_run_actions.list(GROUP, "orders", run.name)]
    assert {each.name: each.status for each in listed} == {"Say": "Succeeded", "Hide": "Failed"}
    say = await logic.workflow_run_actions.get(GROUP, "orders", run.name, "Say")
    assert say.code == "OK"
    assert await contents(served, say.outputs_link) == "hello Ada"
    assert say.outputs_link.content_size == len('"hello Ada"')
    hide = await logic.workflow_run_actions.get(GROUP, "orders", run.name, "Hide")
    assert hide.inputs_link is None
    assert hide.outputs_link is None


async def test_a_link_opens_nothing_else_and_only_signed(served: Any, logic: LogicManagementClient) -> None:
    await logic.workflows.create_or_update(
        GROUP, "orders", workflow({"Say": {"type": "Compose", "inputs": 1}})
    )
    answer = await invoke(served, logic, "orders", json={})
    run = await finished(logic, "orders", answer.headers["x-ms-workflow-run-id"])
    say = await logic.workflow_run_actions.get(GROUP, "orders", run.name, "Say")
    uri = say.outputs_link.uri
    for wrong in (uri.replace("ActionOutputs", "ActionInputs", 1), uri.split("?")[0], uri[:-3] + "abc"):
        assert (await served.http.get(wrong, headers={"Authorization": ""})).status_code == 401


async def test_a_response_action_answers_the_caller(served: Any, logic: LogicManagementClient) -> None:
    response = {"statusCode": 201, "headers": {"X-Seen": "yes"}, "body": {"got": "@triggerBody()?['n']"}}
    await logic.workflows.create_or_update(
        GROUP, "orders", workflow({"Answer": {"type": "Response", "kind": "Http", "inputs": response}})
    )
    answer = await invoke(served, logic, "orders", json={"n": 4})
    assert (answer.status_code, answer.json(), answer.headers["x-seen"]) == (201, {"got": 4}, "yes")


async def test_a_relative_path_and_a_method_reach_the_trigger(
    served: Any, logic: LogicManagementClient
) -> None:
    triggers = {
        "manual": {
            "type": "Request",
            "kind": "Http",
            "inputs": {"method": "GET", "relativePath": "orders/{id}"},
        }
    }
    response = {"statusCode": 200, "body": "@triggerOutputs()"}
    await logic.workflows.create_or_update(
        GROUP,
        "orders",
        workflow({"Answer": {"type": "Response", "kind": "Http", "inputs": response}}, triggers),
    )
    url = await logic.workflow_triggers.list_callback_url(GROUP, "orders", "manual")
    assert url.method == "GET"
    assert url.relative_path_parameters == ["id"]
    address = httpx.URL(url.value.replace("%7Bid%7D", "4%202").replace("{id}", "4%202")).copy_add_param(
        "size", "big"
    )
    answer = await served.http.get(address, headers={"Authorization": ""})
    seen = answer.json()
    assert seen["relativePathParameters"] == {"id": "4 2"}
    assert seen["queries"] == {"size": "big"}
    posted = await served.http.post(address, headers={"Authorization": ""})
    assert posted.json()["error"]["code"] == "TriggerRequestMethodNotValid"


async def test_runs_come_in_pages_and_by_filter(served: Any, logic: LogicManagementClient) -> None:
    actions = {
        "Check": {"type": "ParseJson", "inputs": {"content": "@triggerBody()", "schema": {"type": "object"}}}
    }
    await logic.workflows.create_or_update(GROUP, "orders", workflow(actions))
    names = []
    for body in ({"a": 1}, [1], {"a": 2}):
        answer = await invoke(
            served, logic, "orders", json=body, headers={"x-ms-client-tracking-id": f"t{len(names)}"}
        )
        names.append(answer.headers["x-ms-workflow-run-id"])
        await finished(logic, "orders", names[-1])
    assert [run.name async for run in logic.workflow_runs.list(GROUP, "orders", top=2)] == names[::-1]
    failed = [
        run.name async for run in logic.workflow_runs.list(GROUP, "orders", filter="status eq 'Failed'")
    ]
    assert failed == [names[1]]
    tracked = logic.workflow_runs.list(
        GROUP, "orders", filter="clientTrackingId eq 't2' and startTime ge 2020-01-01T00:00:00Z"
    )
    assert [run.name async for run in tracked] == [names[2]]
    with pytest.raises(HttpResponseError, match="InvalidFilterInQueryString"):
        _ = [run async for run in logic.workflow_runs.list(GROUP, "orders", filter="colour eq 'red'")]


async def test_loops_show_their_repetitions(served: Any, logic: LogicManagementClient) -> None:
    actions = {
        "Each": {
            "type": "Foreach",
            "foreach": "@createArray('a', 'b')",
            "actions": {"Say": {"type": "Compose", "inputs": "@item()"}},
        }
    }
    await logic.workflows.create_or_update(GROUP, "orders", workflow(actions))
    answer = await invoke(served, logic, "orders", json={})
    run = await finished(logic, "orders", answer.headers["x-ms-workflow-run-id"])
    found = [
        each async for each in logic.workflow_run_action_repetitions.list(GROUP, "orders", run.name, "Say")
    ]
    assert [each.name for each in found] == ["000000", "000001"]
    assert [
        (each.repetition_indexes[0].scope_name, each.repetition_indexes[0].item_index) for each in found
    ] == [
        ("Each", 0),
        ("Each", 1),
    ]
    one = await logic.workflow_run_action_repetitions.get(GROUP, "orders", run.name, "Say", "000001")
    assert await contents(served, one.outputs_link) == "b"
    turns = [
        each
        async for each in logic.workflow_run_action_scope_repetitions.list(GROUP, "orders", run.name, "Each")
    ]
    assert [each.status for each in turns] == ["Succeeded", "Succeeded"]


async def test_a_run_is_cancelled(served: Any, logic: LogicManagementClient) -> None:
    actions = {"Nap": {"type": "Wait", "inputs": {"interval": {"count": 1, "unit": "Hour"}}}}
    await logic.workflows.create_or_update(GROUP, "orders", workflow(actions))
    answer = await invoke(served, logic, "orders", json={})
    run = answer.headers["x-ms-workflow-run-id"]
    await logic.workflow_runs.cancel(GROUP, "orders", run)
    assert (await finished(logic, "orders", run)).status == "Cancelled"
    with pytest.raises(HttpResponseError) as caught:
        await logic.workflow_runs.cancel(GROUP, "orders", run)
    assert caught.value.status_code == 409


async def test_a_recurrence_fires_on_save_and_shows_when_next(logic: LogicManagementClient) -> None:
    triggers = {"Every": {"type": "Recurrence", "recurrence": {"frequency": "Hour", "interval": 1}}}
    await logic.workflows.create_or_update(
        GROUP, "orders", workflow({"Say": {"type": "Compose", "inputs": 1}}, triggers)
    )
    async with asyncio.timeout(5):
        while not (
            histories := [
                each async for each in logic.workflow_trigger_histories.list(GROUP, "orders", "Every")
            ]
        ):
            await asyncio.sleep(0.02)
    assert (histories[0].status, histories[0].fired) == ("Succeeded", True)
    run = await finished(logic, "orders", histories[0].run.name)
    assert run.status == "Succeeded"
    trigger = await logic.workflow_triggers.get(GROUP, "orders", "Every")
    assert trigger.recurrence.interval == 1
    assert (trigger.next_execution_time - trigger.last_execution_time).total_seconds() == pytest.approx(
        3600, abs=1
    )
    await logic.workflow_triggers.run(GROUP, "orders", "Every")
    assert len([run async for run in logic.workflow_runs.list(GROUP, "orders")]) == 2


async def test_a_disabled_workflow_starts_nothing(served: Any, logic: LogicManagementClient) -> None:
    await logic.workflows.create_or_update(
        GROUP, "orders", workflow({"Say": {"type": "Compose", "inputs": 1}})
    )
    await logic.workflows.disable(GROUP, "orders")
    assert (await logic.workflows.get(GROUP, "orders")).state == "Disabled"
    answer = await invoke(served, logic, "orders", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "WorkflowTriggerIsNotEnabled")
    await logic.workflows.enable(GROUP, "orders")
    assert (await invoke(served, logic, "orders", json={})).status_code == 202


async def test_secure_parameters_are_not_given_back(logic: LogicManagementClient) -> None:
    put = workflow({}, parameters={"key": {"type": "SecureString"}, "size": {"type": "Int"}})
    put.parameters = {"key": {"value": "hush-hush"}, "size": {"value": 3}}
    made = await logic.workflows.create_or_update(GROUP, "orders", put)
    assert {name: value.value for name, value in made.parameters.items()} == {"size": 3}


async def test_what_is_not_implemented_says_so(served: Any, logic: LogicManagementClient) -> None:
    await logic.workflows.create_or_update(GROUP, "orders", workflow({}))
    with pytest.raises(HttpResponseError) as caught:
        await logic.workflow_triggers.reset(GROUP, "orders", "manual")
    assert caught.value.status_code == 501
    with pytest.raises(HttpResponseError) as caught:
        await logic.integration_accounts.get(GROUP, "partners")
    assert caught.value.status_code == 501


async def test_a_workflow_calls_arm_of_the_same_server(served: Any, logic: LogicManagementClient) -> None:
    uri = f"https://management.azure.com{served.groups_path}?api-version=2023-05-01"
    identity = {"type": "ManagedServiceIdentity"}
    actions = {"List": {"type": "Http", "inputs": {"method": "GET", "uri": uri, "authentication": identity}}}
    await logic.workflows.create_or_update(GROUP, "orders", workflow(actions))
    answer = await invoke(served, logic, "orders", json={})
    run = await finished(logic, "orders", answer.headers["x-ms-workflow-run-id"])
    listed = await logic.workflow_run_actions.get(GROUP, "orders", run.name, "List")
    assert (listed.status, listed.code) == ("Succeeded", "OK")
    assert (await contents(served, listed.outputs_link))["body"] == {"value": []}
