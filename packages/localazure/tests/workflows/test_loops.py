"""Foreach and Until."""

from __future__ import annotations

from typing import Any

AFTER = ["Succeeded"]


def foreach(items: Any, actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "Foreach", "foreach": items, "actions": actions, **more}


def until(expression: Any, actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "Until", "expression": expression, "limit": {"count": 10}, "actions": actions, **more}


def variable(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {
        "type": "InitializeVariable",
        "inputs": {"variables": [{"name": name, "type": kind, "value": value}]},
    }


def increment(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "IncrementVariable", "inputs": {"name": name}, **more}


def call(**inputs: Any) -> dict[str, Any]:
    return {"type": "Call", "inputs": inputs}


async def test_a_foreach_runs_its_actions_once_per_item(bench: Any) -> None:
    run = await bench.run({"Each": foreach("@triggerBody()", {"A": call(body="@item()")})}, ["x", "y", "z"])
    repetitions = bench.history.repetitions(run.record.name, "A")
    assert [it.outputs["body"] for it in repetitions] == ["x", "y", "z"]
    assert [it.repetition for it in repetitions] == ["000000", "000001", "000002"]
    assert repetitions[1].repetition_indexes == ({"scopeName": "Each", "itemIndex": 1},)
    assert run["Each"].iteration_count == 3
    assert run["Each"].inputs == ["x", "y", "z"]
    assert [it.status for it in bench.history.scope_repetitions(run.record.name, "Each")] == ["Succeeded"] * 3


async def test_a_foreach_runs_twenty_iterations_at_once(bench: Any) -> None:
    actions = {"Each": foreach("@range(0, 50)", {"A": call(takes_s=10)})}
    assert await bench.seconds(actions) == 30
    assert bench.call.most_running == 20


async def test_a_foreach_runs_as_many_iterations_at_once_as_it_is_told(bench: Any) -> None:
    told = {"runtimeConfiguration": {"concurrency": {"repetitions": 5}}}
    assert await bench.seconds({"Each": foreach("@range(0, 10)", {"A": call(takes_s=10)}, **told)}) == 20
    assert bench.call.most_running == 5


async def test_a_sequential_foreach_goes_item_by_item(bench: Any) -> None:
    sequential = {"operationOptions": "Sequential"}
    assert await bench.seconds({"Each": foreach("@range(0, 4)", {"A": call(takes_s=10)}, **sequential)}) == 40


async def test_a_foreach_inside_a_foreach_goes_item_by_item(bench: Any) -> None:
    inner = foreach("@range(0, 3)", {"A": call(takes_s=10, body="@{items('Outer')}-{@{items('Inner')}")})
    run = await bench.run(
        {"Outer": foreach("@range(0, 2)", {"S": {"type": "Scope", "actions": {"Inner": inner}}})}
    )
    assert run.status == "Succeeded"
    assert bench.call.most_running == 2
    repetitions = [it.repetition for it in bench.history.repetitions(run.record.name, "A")]
    assert repetitions == [f"00000{outer}-00000{inner}" for outer in range(2) for inner in range(3)]


async def test_every_iteration_runs_though_one_fails_and_the_foreach_fails(bench: Any) -> None:
    failing = call(status="@if(equals(item(), 1), 'Failed', 'Succeeded')")
    run = await bench.run({"Each": foreach("@range(0, 3)", {"A": failing}, operationOptions="Sequential")})
    assert [it.status for it in bench.history.repetitions(run.record.name, "A")] == [
        "Succeeded",
        "Failed",
        "Succeeded",
    ]
    assert run["Each"].status == "Failed"
    assert run["Each"].code == "ActionFailed"
    assert run.status == "Failed"


async def test_a_foreach_over_nothing_succeeds(bench: Any) -> None:
    run = await bench.run({"Each": foreach([], {"A": call()})})
    assert run.statuses == {"Each": "Succeeded"}


async def test_a_foreach_without_an_array_fails_and_skips_what_is_inside(bench: Any) -> None:
    run = await bench.run({"Each": foreach("@triggerBody()", {"A": call()})}, {"no": "array"})
    assert run.statuses == {"Each": "Failed", "A": "Skipped"}
    assert run.error_code("Each") == "ExpressionEvaluationFailed"


async def test_parallel_iterations_share_a_variable_and_lose_no_count(bench: Any) -> None:
    run = await bench.run(
        {
            "Init": variable("n", "Integer", 0),
            "Each": foreach("@range(1, 100)", {"Add": increment("n")}, runAfter={"Init": AFTER}),
            "N": {"type": "Compose", "inputs": "@variables('n')", "runAfter": {"Each": AFTER}},
        }
    )
    assert run.output("N") == 100


async def test_waits_in_parallel_iterations_run_side_by_side(bench: Any) -> None:
    pause = {"type": "Wait", "inputs": {"interval": {"count": "@item()", "unit": "Minute"}}}
    assert await bench.seconds({"Each": foreach("@createArray(1, 3, 2)", {"Pause": pause})}) == 180


async def test_result_of_a_foreach_has_the_outputs_of_every_turn_per_action(bench: Any) -> None:
    run = await bench.run(
        {
            "Each": foreach("@createArray('a', 'b')", {"A": {"type": "Compose", "inputs": "@item()"}}),
            "R": {"type": "Compose", "inputs": "@result('Each')", "runAfter": {"Each": AFTER}},
        }
    )
    assert [(it["name"], it["outputs"]) for it in run.output("R")] == [("A", ["a", "b"])]


async def test_an_until_looks_at_its_condition_after_each_turn(bench: Any) -> None:
    run = await bench.run(
        {
            "Init": variable("n", "Integer", 0),
            "Loop": until(
                "@greaterOrEquals(variables('n'), 3)", {"Add": increment("n")}, runAfter={"Init": AFTER}
            ),
        }
    )
    assert run["Loop"].status == "Succeeded"
    assert run["Loop"].iteration_count == 3
    assert [it.repetition for it in bench.history.repetitions(run.record.name, "Add")] == [
        "000000",
        "000001",
        "000002",
    ]


async def test_an_until_runs_once_though_its_condition_holds_from_the_start(bench: Any) -> None:
    run = await bench.run({"Loop": until("@true", {"A": call()})})
    assert run.statuses == {"Loop": "Succeeded", "A": "Succeeded"}


async def test_an_untils_condition_sees_the_outputs_of_its_last_turn(bench: Any) -> None:
    run = await bench.run(
        {"Loop": until("@equals(body('A'), 2)", {"A": call(body="@iterationIndexes('Loop')")})}
    )
    assert run["Loop"].iteration_count == 3


async def test_an_until_at_its_count_succeeds(bench: Any) -> None:
    loop = until("@false", {"A": call()}) | {"limit": {"count": 4, "timeout": "PT1H"}}
    run = await bench.run({"Loop": loop})
    assert run["Loop"].status == "Succeeded"
    assert run["Loop"].iteration_count == 4


async def test_an_until_at_its_timeout_starts_no_further_turn_and_succeeds(bench: Any) -> None:
    loop = until("@false", {"A": call(takes_s=25)}) | {"limit": {"count": 100, "timeout": "PT1M"}}
    assert await bench.seconds({"Loop": loop}) == 75
    assert len(bench.call.calls) == 3


async def test_an_until_has_an_hour_if_it_says_no_time(bench: Any) -> None:
    loop = until("@false", {"A": call(takes_s=600)}) | {"limit": {"count": 100}}
    assert await bench.seconds({"Loop": loop}) == 3600


async def test_an_until_takes_its_limits_from_expressions(bench: Any) -> None:
    loop = until("@false", {"A": call(takes_s=1)}) | {
        "limit": {"count": "@triggerBody()['count']", "timeout": "@concat('PT', '1', 'H')"}
    }
    run = await bench.run({"Loop": loop}, {"count": 2})
    assert run["Loop"].iteration_count == 2


async def test_an_until_fails_at_its_limit_if_it_is_told_to(bench: Any) -> None:
    loop = until("@false", {"A": call()}, operationOptions="FailWhenLimitsReached")
    run = await bench.run({"Loop": loop})
    assert run["Loop"].status == "Failed"
    assert run.status == "Failed"


async def test_a_failure_in_an_earlier_turn_does_not_fail_an_until(bench: Any) -> None:
    failing = call(status="@if(equals(iterationIndexes('Loop'), 0), 'Failed', 'Succeeded')")
    loop = until("@equals(actions('A')['status'], 'Succeeded')", {"A": failing})
    run = await bench.run({"Loop": loop})
    assert run["Loop"].status == "Succeeded"
    assert [it.status for it in bench.history.scope_repetitions(run.record.name, "Loop")] == [
        "Failed",
        "Succeeded",
    ]


async def test_a_failure_in_the_last_turn_fails_an_until(bench: Any) -> None:
    run = await bench.run({"Loop": until("@true", {"A": call(status="Failed")})})
    assert run["Loop"].status == "Failed"


async def test_an_until_whose_condition_cannot_be_evaluated_fails(bench: Any) -> None:
    run = await bench.run({"Loop": until("@body('A')['none']['x']", {"A": call(body={})})})
    assert run["Loop"].status == "Failed"
    assert run.error_code("Loop") == "InvalidTemplate"


async def test_after_a_loop_its_actions_are_seen_as_they_were_in_the_last_turn(bench: Any) -> None:
    run = await bench.run(
        {
            "Loop": until("@equals(body('A'), 2)", {"A": call(body="@iterationIndexes('Loop')")}),
            "After": {"type": "Compose", "inputs": "@body('A')", "runAfter": {"Loop": AFTER}},
        }
    )
    assert run.output("After") == 2


async def test_a_loop_of_a_thousand_turns_is_done_in_a_moment(bench: Any) -> None:
    loop = until("@false", {"A": {"type": "Compose", "inputs": 1}}) | {"limit": {"count": 1000}}
    run = await bench.run({"Loop": loop})
    assert run["Loop"].iteration_count == 1000
