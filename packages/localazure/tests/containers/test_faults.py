"""Each fault that can be ordered, as it shows from outside."""

from __future__ import annotations

import pytest
from localazure.containers.faults import KINDS, FaultBook, read_order, refusal
from localazure.errors import ArmError


def order(rig, kind: str, **more: object) -> None:
    rig.groups.faults.put(kind, {"kind": kind, **more})


async def test_slow_start(rig):
    order(rig, "slow-start", seconds=600)
    rig.put()
    await rig.clock.advance(599)
    assert rig.properties()["provisioningState"] == "Creating"
    assert rig.view()["currentState"]["state"] == "Waiting"
    await rig.clock.advance(2)
    assert rig.view()["currentState"]["state"] == "Running"


async def test_slow_start_beyond_the_timeout_is_failed_first_and_starts_after_all(rig):
    order(rig, "slow-start", seconds=2000)
    rig.put()
    await rig.clock.advance(1900)
    assert rig.properties()["provisioningState"] == "Failed"
    await rig.clock.advance(200)
    assert rig.view()["currentState"]["state"] == "Running"
    assert rig.properties()["provisioningState"] == "Failed"


async def test_failed_pull_that_works_later(rig):
    order(rig, "failed-pull", seconds=60)
    rig.put()
    await rig.clock.advance(59)
    assert rig.events() == ["Pulling", "Failed", "BackOff"]
    await rig.clock.advance(60)
    assert rig.view()["currentState"]["state"] == "Running"


async def test_provisioning_failed_that_never_starts(rig):
    order(rig, "provisioning-failed")
    rig.put()
    await rig.clock.advance(5000)
    assert rig.properties()["provisioningState"] == "Failed"
    assert rig.properties()["instanceView"]["state"] == "Pending"
    assert rig.backend.runs == {}


async def test_provisioning_failed_with_a_late_start(rig):
    order(rig, "provisioning-failed", seconds=5, late_start_s=30)
    rig.put()
    await rig.clock.advance(6)
    assert rig.properties()["provisioningState"] == "Failed"
    await rig.clock.advance(25)
    assert rig.view()["currentState"]["state"] == "Running"
    assert (await rig.delete()).status == "started"
    await rig.clock.settle()
    assert rig.backend.runs == {}


async def test_a_put_after_failed_provisioning_deploys_anew(rig):
    order(rig, "provisioning-failed")
    rig.put()
    await rig.clock.advance(1)
    rig.put()
    await rig.clock.advance(1)
    assert rig.properties()["provisioningState"] == "Succeeded"


async def test_lost_instance_is_run_again_by_the_platform(rig):
    order(rig, "lost-instance", seconds=10)
    await rig.running()
    await rig.clock.advance(10)
    assert rig.view()["previousState"]["exitCode"] == 7147
    assert rig.view()["restartCount"] == 1
    assert rig.view()["currentState"]["state"] == "Running"
    assert "Killing" in rig.events()
    await rig.clock.advance(100)
    assert rig.view()["restartCount"] == 1


async def test_lost_instance_that_stays_lost(rig):
    order(rig, "lost-instance", seconds=10, restart=False, exit_code=7148)
    await rig.running()
    await rig.clock.advance(10)
    assert rig.view()["currentState"]["exitCode"] == 7148
    assert rig.properties()["instanceView"]["state"] == "Failed"


async def test_restart_after_a_non_zero_exit_in_spite_of_never(rig):
    order(rig, "restart")
    await rig.running()
    await rig.finish(1)
    assert rig.view()["restartCount"] == 1
    assert rig.view()["previousState"]["exitCode"] == 1
    await rig.finish(2, number=2)
    assert rig.view()["currentState"]["exitCode"] == 2
    assert rig.view()["restartCount"] == 1


async def test_exit_code_zero_is_never_run_again(rig):
    order(rig, "restart")
    await rig.running()
    await rig.finish(0)
    assert rig.view()["restartCount"] == 0
    assert rig.view()["currentState"]["state"] == "Terminated"


async def test_a_group_that_says_running_with_a_terminated_container(rig):
    order(rig, "stale-running")
    await rig.running()
    await rig.finish(3)
    assert rig.properties()["instanceView"]["state"] == "Running"
    assert rig.view()["currentState"]["exitCode"] == 3


async def test_an_order_is_met_by_the_next_that_match_and_by_no_other(rig):
    order(rig, "provisioning-failed", prefix="bad-", times=2)
    for name in ("good-1", "bad-1", "bad-2", "bad-3"):
        rig.put(name)
    await rig.clock.advance(1)
    states = [rig.properties(name)["provisioningState"] for name in ("good-1", "bad-1", "bad-2", "bad-3")]
    assert states == ["Succeeded", "Failed", "Failed", "Succeeded"]
    (shown,) = rig.groups.faults.to_json()
    assert (shown["times"], shown["hits"]) == (0, ["bad-1", "bad-2"])


def book(*orders: dict[str, object]) -> FaultBook:
    made = FaultBook(list, lambda _: None)
    made.replace_all(list(orders))
    return made


def test_requests_meet_one_refusal_at_a_time_and_delays_beside_it():
    orders = book({"kind": "throttled"}, {"kind": "unavailable"}, {"kind": "delay", "times": None})
    taken = [[fault.kind for fault in orders.for_request("GET", "x")] for _ in range(3)]
    assert taken == [["throttled", "delay"], ["unavailable", "delay"], ["delay"]]


def test_some_faults_wait_for_a_put_unless_told_otherwise():
    orders = book({"kind": "lost-answer"}, {"kind": "capacity", "method": None, "prefix": "x"})
    assert [fault.kind for fault in orders.for_request("GET", "x")] == ["capacity"]
    assert orders.for_request("get", "x") == []
    assert [fault.kind for fault in orders.for_request("PUT", "")] == ["lost-answer"]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttled", 429, "TooManyRequests"),
        ("capacity", 409, "ServiceUnavailable"),
        ("quota", 409, "ContainerGroupQuotaReached"),
        ("unavailable", 503, "ServiceUnavailable"),
    ],
)
def test_refusals_have_azures_codes(kind, status, code):
    error = refusal(read_order("", {"kind": kind}).fault, location="westeurope")
    assert error is not None
    assert (error.status, error.code) == (status, code)
    assert error.headers == ({"Retry-After": "5"} if kind == "throttled" else {})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_being_kept(kind):
    first = read_order("a", {"kind": kind, "prefix": "p", "times": None})
    assert read_order("b", first.to_json()) == first


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"kind": "earthquake"},
        {"kind": "delay", "seconds": -1},
        {"kind": "delay", "second": 1},
        {"kind": "delay", "times": "often"},
        {"kind": "throttled", "retry_after_s": None},
        {"kind": "lost-instance", "restart": "yes"},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(value):
    with pytest.raises(ArmError) as caught:
        read_order("x", value)
    assert caught.value.code == "InvalidFault"
