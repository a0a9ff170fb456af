"""What is forgotten after 90 days, by the clock, so that a server that stays up does not grow for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

DAY_S = 86_400
DAILY = {"Tick": {"type": "Recurrence", "recurrence": {"frequency": "Day", "interval": 1}}}
SAY = {"Say": {"type": "Compose", "inputs": "hello"}}


async def test_runs_and_trigger_histories_are_forgotten_after_ninety_days_while_it_serves(desk: Any) -> None:
    await desk.put(DAILY, SAY)
    await desk.clock.advance(89 * DAY_S)
    assert (len(desk.runs), len(desk.histories("Tick"))) == (90, 90)
    await desk.clock.advance(200 * DAY_S)
    assert len(desk.runs) == len(desk.histories("Tick")) <= 92
    oldest = desk.clock.now() - timedelta(days=91)
    assert all(run.end_time >= oldest for run in desk.runs)
    assert all(look.start_time >= oldest for look in desk.histories("Tick"))
    first = desk.runs[0].name
    assert [each.name for each in desk.service.history.actions(first)] == ["Say"]


async def test_looks_that_started_no_run_are_forgotten_too(desk: Any) -> None:
    await desk.put({"Tick": {**DAILY["Tick"], "conditions": [{"expression": "@equals(1, 2)"}]}}, SAY)
    await desk.clock.advance(150 * DAY_S)
    assert desk.runs == []
    assert len(desk.histories("Tick")) <= 92


async def test_what_went_past_its_days_while_it_was_stopped_is_forgotten_at_the_start(desk: Any) -> None:
    await desk.put(DAILY, SAY)
    await desk.clock.advance(2 * DAY_S)
    names = [run.name for run in desk.runs]
    await desk.aclose()
    await desk.clock.advance(95 * DAY_S)
    desk.service = desk.opened()
    await desk.service.start()
    await desk.clock.settle()
    assert {run.name for run in desk.runs}.isdisjoint(names)
    assert {look.name for look in desk.histories("Tick")}.isdisjoint(names)


async def test_a_run_that_is_not_over_is_kept_however_old_it_is(desk: Any) -> None:
    nap = {"Nap": {"type": "Wait", "inputs": {"interval": {"count": 100, "unit": "Day"}}}}
    await desk.put({"manual": {"type": "Request", "kind": "Http"}}, nap)
    await desk.call()
    await desk.clock.advance(99 * DAY_S)
    assert [run.status for run in desk.runs] == ["Running"]
    await desk.clock.advance(80 * DAY_S)
    assert [run.status for run in desk.runs] == ["Succeeded"]
    await desk.clock.advance(15 * DAY_S)
    assert desk.runs == []
