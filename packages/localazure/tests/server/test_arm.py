"""What all of ARM has in common: tokens, versions, scopes, shapes of errors."""

from __future__ import annotations

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_only_own_tokens_open_the_door(served):
    for header in ("", "Bearer x", "Bearer " + served.token[:-2] + "AA", "Basic abc"):
        answer = await served.arm("GET", served.groups_path, headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] in {"AuthenticationFailed", "InvalidAuthenticationToken"}
        assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")
    assert (await served.arm("GET", served.groups_path)).status_code == 200


async def test_a_token_for_another_service_is_refused(served):
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            served.ready["imds"] + "/metadata/identity/oauth2/token",
            params={"api-version": "2018-02-01", "resource": "https://storage.azure.com/"},
            headers={"Metadata": "true"},
        )
    token = answer.json()["access_token"]
    answer = await served.arm("GET", served.groups_path, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationTokenAudience")


async def test_the_admin_api_wants_a_token_too(served):
    answer = await served.http.get("/_admin/faults", headers={"Authorization": ""})
    assert answer.status_code == 401


async def test_an_api_version_is_demanded_and_only_known_ones_are_served(served):
    missing = await served.http.get(served.groups_path)
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, "MissingApiVersionParameter")
    unknown = await served.arm("GET", served.groups_path, params={"api-version": "1999-01-01"})
    assert unknown.json()["error"]["code"] == "NoRegisteredProviderFound"
    assert "'2023-05-01'" in unknown.json()["error"]["message"]


async def test_paths_are_compared_without_case(served):
    path = served.groups_path.replace("resourceGroups", "resourcegroups").replace("Microsoft", "MICROSOFT")
    assert (await served.arm("GET", path)).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/subscriptions/other/resourceGroups/localazure", 404, "SubscriptionNotFound"),
        ("/subscriptions/{sub}/resourceGroups/nowhere/providers/Microsoft.X/y", 404, "ResourceGroupNotFound"),
        ("/subscriptions/{sub}/providers/Microsoft.Compute/virtualMachines", 501, "NotImplemented"),
        ("/subscriptions/{sub}/resourceGroups/localazure", 501, "NotImplemented"),
        ("/nothing", 404, "NotFound"),
        ("/_admin/nothing", 404, "NotFound"),
    ],
)
async def test_what_is_not_there_is_told_in_arms_shape(served, path, status, code):
    answer = await served.arm("GET", path.replace("{sub}", served.ready["subscription_id"]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-ms-request-id"]


async def test_a_wrong_method_and_a_body_that_is_no_json_are_refused(served):
    wrong = await served.arm("POST", served.groups_path)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "MethodNotAllowed")
    broken = await served.arm("PUT", f"{served.groups_path}/x", content=b"{")
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "InvalidRequestContent")
    for body in ("[]", "null", '{"properties": []}', '{"properties": {"containers": 1, "osType": "Linux"}}'):
        answer = await served.arm("PUT", f"{served.groups_path}/x", content=body.encode())
        assert answer.status_code == 400, body


async def test_requests_are_named_in_their_answers(served):
    answer = await served.arm("GET", served.groups_path, headers={"x-ms-client-request-id": "mine"})
    assert answer.headers["x-ms-client-request-id"] == "mine"
    assert answer.headers["x-ms-correlation-request-id"]


async def test_deleting_what_runs_is_202_with_a_location_to_ask(served, shell_group):
    path = f"{served.groups_path}/one"
    created = await served.arm("PUT", path, json=shell_group("sleep 600").serialize())
    assert created.status_code == 201
    assert (await served.arm("PUT", path, json=shell_group("sleep 600").serialize())).status_code == 200
    await served.state("one", "Running")
    deleted = await served.arm("DELETE", path)
    assert deleted.status_code == 202
    assert deleted.headers["Retry-After"] == "1"
    location = deleted.headers["Location"]
    assert location.startswith(served.ready["arm"] + "/subscriptions/")
    while (asked := await served.http.get(location)).status_code == 202:
        pass
    assert asked.status_code == 204
    assert (await served.arm("DELETE", path)).status_code == 204
