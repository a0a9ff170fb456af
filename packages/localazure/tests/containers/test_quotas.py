"""Azure's quotas are in force unless a test changes them."""

from __future__ import annotations

import pytest
from localazure.containers.quotas import Quotas
from localazure.errors import ArmError


async def test_the_101st_group_finds_no_room_even_if_the_others_are_finished(rig):
    for at in range(100):
        await rig.running(f"g-{at}")
        await rig.finish(0, f"g-{at}")
    await rig.clock.advance(300)
    with pytest.raises(ArmError) as caught:
        rig.put("one-more")
    assert (caught.value.status, caught.value.code) == (409, "ContainerGroupQuotaReached")
    assert "'ContainerGroups' exceeded in region 'westeurope'. Limit: '100'" in caught.value.message
    await rig.delete("g-0")
    assert rig.put("one-more").status == "created"


async def test_cores_are_counted_while_a_group_is_not_finished(rig, body):
    rig.groups.quotas.set_limits(Quotas(cores=2))
    await rig.running("a", body(resources={"requests": {"cpu": 2, "memoryInGB": 1}}))
    with pytest.raises(ArmError, match="'StandardCores' exceeded"):
        rig.put("b")
    assert [each["currentValue"] for each in rig.groups.quotas.usages("westeurope")] == [1, 2]
    await rig.finish(0, "a")
    assert rig.put("b").status == "created"


async def test_creates_are_limited_in_five_minutes_and_in_an_hour(rig):
    rig.groups.quotas.set_limits(Quotas(creates_per_5_minutes=2, creates_per_hour=3))
    rig.put("a")
    rig.put("b")
    await rig.clock.advance(60)
    with pytest.raises(ArmError) as caught:
        rig.put("c")
    assert caught.value.status == 429
    assert caught.value.headers == {"Retry-After": "240"}
    await rig.clock.advance(241)
    rig.put("c")
    with pytest.raises(ArmError) as caught:
        rig.put("d")
    assert caught.value.headers == {"Retry-After": str(3600 - 301)}
    await rig.clock.advance(3600)
    rig.put("d")


async def test_deletes_are_limited(rig):
    rig.groups.quotas.set_limits(Quotas(deletes_per_5_minutes=1))
    for name in ("a", "b"):
        await rig.running(name)
        await rig.finish(0, name)
    await rig.delete("a")
    with pytest.raises(ArmError, match="Too many container group delete requests"):
        await rig.delete("b")
    assert (await rig.delete("no-such-group")).status == "absent"


async def test_running_a_finished_group_again_counts_as_a_create(rig):
    rig.groups.quotas.set_limits(Quotas(creates_per_hour=1))
    await rig.running()
    await rig.finish(0)
    with pytest.raises(ArmError, match="429"):
        rig.put()


@pytest.mark.parametrize("values", [{"groups": -1}, {"groups": "7"}, {"cats": 1}, [1]])
def test_a_limit_that_makes_no_sense_is_refused(values):
    with pytest.raises(ArmError) as caught:
        Quotas().changed(values)
    assert caught.value.code == "InvalidQuota"


async def test_limits_last(rig):
    rig.groups.quotas.set_limits(Quotas(groups=7))
    assert type(rig.groups.quotas)(rig.store, rig.clock.now).limits.groups == 7
