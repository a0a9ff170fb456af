"""Wait, limit.timeout, and the clock itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from localazure.clock import SystemClock
from localazure.testing import ManualClock

AFTER = ["Succeeded"]


def wait(count: Any, unit: str) -> dict[str, Any]:
    return {"type": "Wait", "inputs": {"interval": {"count": count, "unit": unit}}}


@pytest.mark.parametrize(
    ("count", "unit", "seconds"),
    [
        (1, "Second", 1),
        (2, "Minute", 120),
        (1, "hour", 3600),
        ("@add(1, 1)", "Day", 172_800),
        (1, "Week", 604_800),
        (1, "Month", 31 * 86_400),
        (0, "Second", 0),
    ],
)
async def test_a_wait_waits_for_its_interval(bench: Any, count: Any, unit: str, seconds: float) -> None:
    assert await bench.seconds({"W": wait(count, unit)}) == seconds


async def test_a_wait_waits_until_a_timestamp(bench: Any) -> None:
    timestamp = "@addHours(utcNow(), 5)"
    assert (
        await bench.seconds({"W": {"type": "Wait", "inputs": {"until": {"timestamp": timestamp}}}}) == 18_000
    )


async def test_a_wait_until_a_past_timestamp_goes_on_at_once(bench: Any) -> None:
    past = {"until": {"timestamp": "2001-01-01T00:00:00+02:00"}}
    assert await bench.seconds({"W": {"type": "Wait", "inputs": past}}) == 0


async def test_a_wait_for_what_is_no_timestamp_fails(bench: Any) -> None:
    run = await bench.run(
        {"W": {"type": "Wait", "inputs": {"until": {"timestamp": "@triggerBody()"}}}}, "soon"
    )
    assert run["W"].status == "Failed"
    assert "soon" in run["W"].error["message"]


async def test_an_action_over_its_limit_times_out_and_is_stopped(bench: Any) -> None:
    slow = {"type": "Call", "inputs": {"takes_s": 600}, "limit": {"timeout": "PT30S"}}
    after = {"type": "Compose", "inputs": 1, "runAfter": {"Slow": ["TimedOut"]}}
    began = bench.clock.now()
    run = await bench.run({"Slow": slow, "After": after})
    assert run.statuses == {"Slow": "TimedOut", "After": "Succeeded"}
    assert run["Slow"].code == "ActionTimedOut"
    assert run["Slow"].end_time - began == timedelta(seconds=30)
    assert bench.call.cancelled == ["Slow"]


async def test_a_scope_over_its_limit_cancels_what_runs_in_it_and_skips_the_rest(bench: Any) -> None:
    inside = {"Slow": wait(1, "Hour"), "Next": wait(1, "Hour") | {"runAfter": {"Slow": AFTER}}}
    run = await bench.run({"S": {"type": "Scope", "actions": inside, "limit": {"timeout": "PT1M"}}})
    assert run.statuses == {"S": "TimedOut", "Slow": "Cancelled", "Next": "Skipped"}
    assert run.status == "TimedOut"


async def test_a_loop_over_its_limit_closes_its_open_turns(bench: Any) -> None:
    each = {"type": "Foreach", "foreach": "@range(0, 3)", "actions": {"Slow": wait("@item()", "Hour")}}
    run = await bench.run({"Each": each | {"limit": {"timeout": "PT90M"}}})
    assert run["Each"].status == "TimedOut"
    turns = bench.history.scope_repetitions(run.record.name, "Each")
    assert [it.status for it in turns] == ["Succeeded", "Succeeded", "Cancelled"]


async def test_an_action_within_its_limit_is_not_touched(bench: Any) -> None:
    quick = {"type": "Call", "inputs": {"takes_s": 29}, "limit": {"timeout": "@concat('PT30', 'S')"}}
    assert (await bench.run({"Quick": quick})).statuses == {"Quick": "Succeeded"}


async def test_a_year_passes_in_a_moment(bench: Any) -> None:
    assert await bench.seconds({"W": wait(365, "Day")}) == 365 * 86_400


async def test_a_clock_moved_by_hand_wakes_its_sleepers_in_order() -> None:
    clock = ManualClock()
    woken = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep_until(clock.now() + timedelta(seconds=seconds))
        woken.append((seconds, clock.now().second))

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (30, 10, 20, 50)]
    await clock.advance(40)
    assert woken == [(10, 10), (20, 20), (30, 30)]
    assert clock.sleepers == 1
    await clock.advance(10)
    await asyncio.gather(*tasks)


async def test_a_clock_that_moves_itself_stands_still_while_it_is_held() -> None:
    clock = ManualClock(auto_advance=True)
    start = clock.now()
    sleeper = asyncio.create_task(clock.sleep_until(start + timedelta(hours=1)))
    with clock.holding():
        for _ in range(50):
            await asyncio.sleep(0)
        assert clock.now() == start
    await sleeper
    assert clock.now() == start + timedelta(hours=1)


async def test_the_system_clock_is_aware_and_waits() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    due = datetime.now(UTC) + timedelta(milliseconds=20)
    await clock.sleep_until(due)
    assert datetime.now(UTC) >= due
