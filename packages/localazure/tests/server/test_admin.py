"""Faults and quotas through the admin API, seen from the wire."""

from __future__ import annotations

import time

import httpx
import pytest
from azure.core.exceptions import HttpResponseError

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "localazure"


async def test_faults_are_set_shown_and_taken_back(served):
    orders = [{"kind": "throttled", "times": 2, "prefix": "a-"}, {"name": "slow", "kind": "slow-start"}]
    put = await served.admin("PUT", "faults", {"faults": orders})
    assert [each["name"] for each in put.json()["faults"]] == ["fault-1", "slow"]
    one = await served.admin("PUT", "faults/slow", {"kind": "slow-start", "seconds": 3})
    assert one.json()["seconds"] == 3
    assert len((await served.admin("GET", "faults")).json()["faults"]) == 2
    assert (await served.admin("DELETE", "faults/slow")).status_code == 204
    assert (await served.admin("DELETE", "faults/slow")).json()["error"]["code"] == "FaultNotFound"
    assert (await served.admin("DELETE", "faults")).json() == {"faults": []}


async def test_a_bad_order_changes_nothing(served):
    await served.admin("PUT", "faults", {"faults": [{"kind": "capacity"}]})
    bad = await served.admin("PUT", "faults", {"faults": [{"kind": "quota"}, {"kind": "bad"}]})
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "InvalidFault")
    (kept,) = (await served.admin("GET", "faults")).json()["faults"]
    assert kept["kind"] == "capacity"


async def test_throttling_by_name_and_number(served, shell_group):
    await served.admin(
        "PUT", "faults/t", {"kind": "throttled", "times": 1, "prefix": "a-", "retry_after_s": 7}
    )
    assert (await served.arm("GET", f"{served.groups_path}/b-1")).status_code == 404
    throttled = await served.arm("GET", f"{served.groups_path}/a-1")
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "7")
    assert throttled.json()["error"]["code"] == "TooManyRequests"
    assert (await served.arm("GET", f"{served.groups_path}/a-1")).status_code == 404


async def test_capacity_is_a_409_of_the_put(served, shell_group):
    await served.admin("PUT", "faults/c", {"kind": "capacity"})
    with pytest.raises(HttpResponseError) as caught:
        await served.sdk.container_groups.begin_create_or_update(GROUP, "x", shell_group("exit 0"))
    assert (caught.value.status_code, caught.value.error.code) == (409, "ServiceUnavailable")


async def test_a_lost_answer_is_a_group_nobody_was_told_of(served, shell_group, caplog):
    await served.admin("PUT", "faults/l", {"kind": "lost-answer"})
    body = shell_group("sleep 600").serialize()
    with pytest.raises(httpx.TransportError):
        await served.arm("PUT", f"{served.groups_path}/x", json=body)
    assert (await served.arm("GET", f"{served.groups_path}/x")).status_code == 200
    assert (await served.arm("PUT", f"{served.groups_path}/y", json=body)).status_code == 201
    assert not [each for each in caplog.records if each.levelname in {"WARNING", "ERROR"}]


async def test_an_answer_is_delayed(served):
    await served.admin("PUT", "faults/d", {"kind": "delay", "seconds": 0.3})
    before = time.monotonic()
    await served.arm("GET", served.groups_path)
    assert time.monotonic() - before >= 0.3


async def test_quotas_are_set_and_reset(served, shell_group):
    shown = await served.admin("PUT", "quotas", {"groups": 1})
    assert shown.json()["limits"] == {
        "groups": 1,
        "cores": 100,
        "creates_per_hour": 300,
        "creates_per_5_minutes": 100,
        "deletes_per_hour": 300,
        "deletes_per_5_minutes": 100,
    }
    body = shell_group("exit 0").serialize()
    assert (await served.arm("PUT", f"{served.groups_path}/a", json=body)).status_code == 201
    second = await served.arm("PUT", f"{served.groups_path}/b", json=body)
    assert (second.status_code, second.json()["error"]["code"]) == (409, "ContainerGroupQuotaReached")
    assert (await served.admin("PUT", "quotas", {"groups": "many"})).status_code == 400
    assert (await served.admin("DELETE", "quotas")).json()["limits"]["groups"] == 100


async def test_the_token_endpoint_can_be_away_for_a_while(served):
    await served.admin("PUT", "identity", {"not_ready_s": 600})
    assert (await served.admin("GET", "identity")).json() == {"ready": False}
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.get(served.ready["imds"] + "/metadata/identity/oauth2/token")
    await served.admin("PUT", "identity", {"not_ready_s": 0})
    assert (await served.admin("GET", "identity")).json() == {"ready": True}
    assert (await served.admin("PUT", "identity", {"not_ready_s": "no"})).status_code == 400
