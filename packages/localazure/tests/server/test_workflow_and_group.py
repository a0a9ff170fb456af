"""A workflow deploys a container group through ARM at Azure's own address, waits for it and deletes it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGIC = {"api-version": "2019-05-01"}
IDENTITY = {"type": "ManagedServiceIdentity", "audience": "https://management.azure.com/"}


def http(method: str, uri: str, body: Any = None) -> dict[str, Any]:
    inputs = {"method": method, "uri": uri, "authentication": IDENTITY, "retryPolicy": {"type": "none"}}
    return {"type": "Http", "inputs": inputs if body is None else {**inputs, "body": body}, "runAfter": {}}


def definition(group: str, container_group: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    actions = {"Create": http("PUT", group, container_group)}
    container = "body('Look')['properties']['containers'][0]['properties']"
    state = f"{container}?['instanceView']?['currentState']?['state']"
    last = "Create"
    if wait:
        actions["Until_over"] = {
            "type": "Until",
            "expression": f"@equals({state}, 'Terminated')",
            "limit": {"count": 200, "timeout": "PT1M"},
            "actions": {"Look": http("GET", group)},
            "runAfter": {"Create": ["Succeeded"]},
        }
        last = "Until_over"
    actions["Delete"] = {**http("DELETE", group), "runAfter": {last: ["Succeeded"]}}
    return {
        "$schema": "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/"
        "workflowdefinition.json#",
        "contentVersion": "1.0.0.0",
        "triggers": {"manual": {"type": "Request", "kind": "Http", "inputs": {}}},
        "actions": actions,
    }


async def run(served, workflow: str, put: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Put a workflow, run it, and return its actions by name once it is over."""
    root = served.groups_path.partition("/providers/")[0] + f"/providers/Microsoft.Logic/workflows/{workflow}"
    body = {"location": "westeurope", "properties": {"definition": put, "state": "Enabled"}}
    created = await served.arm("PUT", root, params=LOGIC, json=body)
    assert created.status_code == 201, created.text
    started = await served.arm("POST", f"{root}/triggers/manual/run", params=LOGIC)
    assert started.status_code == 202, started.text
    async with asyncio.timeout(30):
        while True:
            (found,) = (await served.arm("GET", f"{root}/runs", params=LOGIC)).json()["value"]
            if found["properties"]["status"] not in {"Running", "Waiting"}:
                break
            await asyncio.sleep(0.05)
    actions = await served.arm("GET", f"{root}/runs/{found['name']}/actions", params=LOGIC)
    return {each["name"]: each["properties"] for each in actions.json()["value"]}


async def test_the_containers_exit_is_seen_and_the_group_removed(served, shell_group):
    path = f"https://management.azure.com{served.groups_path}/job?api-version=2023-05-01"
    actions = await run(
        served, "whole", definition(path, shell_group("sleep 0.3; exit 4").serialize(), wait=True)
    )
    assert {name: each["status"] for name, each in actions.items()} == {
        "Create": "Succeeded",
        "Until_over": "Succeeded",
        "Look": "Succeeded",
        "Delete": "Succeeded",
    }
    assert actions["Create"]["code"] == "Created"
    assert (await served.arm("GET", f"{served.groups_path}/job")).status_code == 404


async def test_deleting_a_running_group_is_waited_for_as_an_asynchronous_answer(served, shell_group):
    path = f"https://management.azure.com{served.groups_path}/long?api-version=2023-05-01"
    actions = await run(served, "kill", definition(path, shell_group("sleep 600").serialize(), wait=False))
    assert actions["Delete"]["status"] == "Succeeded"
    assert (await served.arm("GET", f"{served.groups_path}/long")).status_code == 404


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "throttled"}, "TooManyRequests"),
        ({"kind": "capacity"}, "Conflict"),
        ({"kind": "unavailable"}, "ServiceUnavailable"),
    ],
)
async def test_a_refusal_that_was_ordered_is_the_actions_code(served, shell_group, fault, code):
    await served.admin("PUT", "faults/x", {**fault, "method": "PUT", "prefix": "refused"})
    path = f"https://management.azure.com{served.groups_path}/refused?api-version=2023-05-01"
    actions = await run(
        served, f"w-{fault['kind']}", definition(path, shell_group("exit 0").serialize(), wait=False)
    )
    assert (actions["Create"]["status"], actions["Create"]["code"]) == ("Failed", code)
    assert actions["Delete"]["status"] == "Skipped"


async def test_a_lost_answer_fails_the_action_and_leaves_the_group(served, shell_group):
    await served.admin("PUT", "faults/x", {"kind": "lost-answer", "prefix": "lost"})
    path = f"https://management.azure.com{served.groups_path}/lost?api-version=2023-05-01"
    actions = await run(served, "w-lost", definition(path, shell_group("sleep 600").serialize(), wait=False))
    assert actions["Create"]["status"] == "Failed"
    assert (await served.arm("GET", f"{served.groups_path}/lost")).status_code == 200
