"""Starting, waiting, cancelling, finishing; operations and responses as the engine sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from localazure.errors import DefinitionError
from localazure.workflows.records import RunRecord, TriggerFiring, WorkflowRecord

AFTER = ["Succeeded"]
HOUR = {"type": "Wait", "inputs": {"interval": {"count": 1, "unit": "Hour"}}}
RESPONSE = {"type": "Response", "kind": "Http", "inputs": {"statusCode": 201, "body": "@triggerBody()"}}


async def test_a_run_is_on_disk_before_it_begins(bench: Any) -> None:
    name = bench.start({"A": {"type": "Call", "inputs": {}}})
    run = bench.history.run(name)
    assert run.status == "Running"
    assert run.client_tracking_id == name
    assert bench.call.calls == []
    await bench.finished(name)
    assert bench.call.calls == ["A"]


async def test_run_names_are_as_azure_makes_them_the_newest_first(bench: Any) -> None:
    names = [bench.start({}) for _ in range(3)]
    assert sorted(names, reverse=True) == names
    assert [run.name for run in bench.history.runs()] == names[::-1]
    assert all(len(name) == 33 and name.startswith("0858") for name in names)


async def test_what_is_known_of_the_firing_is_kept_with_the_run(bench: Any) -> None:
    workflow = bench.put({"A": {"type": "Compose", "inputs": "@trigger()['code']"}})
    firing = TriggerFiring("other", inputs={"path": "/x"}, code="Accepted", history_name="h1")
    name = bench.engine.start_run(workflow, "manual", {"body": 1}, trigger=firing, client_tracking_id="mine")
    run = await bench.finished(name)
    assert run.output("A") == "Accepted"
    assert run.record.client_tracking_id == "mine"
    assert run["A"].client_tracking_id == "mine"
    assert (run.record.trigger.name, run.record.trigger.outputs) == ("manual", {"body": 1})
    assert (run.record.trigger.inputs, run.record.trigger.history_name) == ({"path": "/x"}, "h1")


async def test_a_definition_that_cannot_be_run_starts_nothing(bench: Any) -> None:
    with pytest.raises(DefinitionError):
        bench.start({"A": {"type": "Nope"}})
    with pytest.raises(DefinitionError, match="has no value"):
        bench.start({}, parameters={"p": {"type": "Int"}})
    assert bench.history.runs() == []


async def test_a_waiting_run_does_nothing_until_it_is_released(bench: Any) -> None:
    workflow = bench.put({"A": {"type": "Call", "inputs": {}}})
    name = bench.engine.start_run(workflow, "manual", None, waiting=True)
    await bench.clock.settle()
    assert bench.history.run(name).status == "Waiting"
    assert bench.call.calls == []
    assert bench.engine.resume_all() == []
    bench.engine.release_run(name)
    run = await bench.finished(name)
    assert run.status == "Succeeded"
    assert run.record.wait_end_time is not None
    bench.engine.release_run(name)  # too late, and harmless
    assert bench.history.run(name).status == "Succeeded"


async def test_listeners_and_waiters_hear_of_a_runs_end_once_it_is_on_disk(bench: Any) -> None:
    heard: list[RunRecord] = []

    def broken(_: RunRecord) -> None:
        raise RuntimeError("a listener's own trouble")

    bench.engine.on_run_finished(broken)
    bench.engine.on_run_finished(heard.append)
    name = bench.start({"W": HOUR})
    waiters = [asyncio.create_task(bench.engine.run_finished(name)) for _ in range(2)]
    impatient = asyncio.create_task(bench.engine.run_finished(name))
    await asyncio.sleep(0)
    impatient.cancel()
    runs = await asyncio.gather(*waiters)
    assert [run.status for run in runs] == ["Succeeded"] * 2
    assert [run.name for run in heard] == [name]
    assert heard[0] == bench.history.run(name)
    assert await bench.engine.run_finished(name) == heard[0]


async def test_nobody_can_wait_for_a_run_that_is_not_there(bench: Any) -> None:
    with pytest.raises(KeyError):
        await bench.engine.run_finished("nope")


async def test_a_cancelled_run_stops_what_runs_and_skips_the_rest(new_bench: Any, history: Any) -> None:
    bench = new_bench(history, auto_advance=False)
    slow = {"type": "Call", "inputs": {"takes_s": 600}}
    name = bench.start(
        {"A": {"type": "Call", "inputs": {}}, "B": slow, "C": {**HOUR, "runAfter": {"B": AFTER}}}
    )
    await bench.clock.advance(5)
    assert bench.engine.cancel_run(name)
    run = await bench.finished(name)
    assert run.status == "Cancelled"
    assert run.statuses == {"A": "Succeeded", "B": "Cancelled", "C": "Skipped"}
    assert bench.call.cancelled == ["B"]
    assert not bench.engine.cancel_run(name)
    assert not bench.engine.cancel_run("nope")
    await bench.engine.aclose()


async def test_a_waiting_run_can_be_cancelled(bench: Any) -> None:
    workflow = bench.put({"A": {"type": "Call", "inputs": {}}})
    name = bench.engine.start_run(workflow, "manual", None, waiting=True)
    assert bench.engine.cancel_run(name)
    run = await bench.finished(name)
    assert run.status == "Cancelled"
    assert run.statuses == {"A": "Skipped"}


async def test_a_run_cancelled_just_before_the_end_of_the_process_is_ended_after_the_restart(
    new_bench: Any, history: Any
) -> None:
    bench = new_bench(history, auto_advance=False)
    name = bench.start({"W": HOUR})
    await bench.clock.advance(5)
    bench.engine.cancel_run(name)
    await bench.engine.aclose()
    assert history.run(name).status == "Running"
    again = new_bench(history)
    again.engine.resume_all()
    assert (await again.finished(name)).statuses == {"W": "Cancelled"}
    await again.engine.aclose()


async def test_a_run_whose_workflow_is_gone_ends_failed_after_a_restart(new_bench: Any, history: Any) -> None:
    bench = new_bench(history, auto_advance=False)
    name = bench.start({"W": HOUR})
    await bench.engine.aclose()
    history._delete("workflow_versions", {"workflow_id": history.workflows()[0].id.lower()})
    again = new_bench(history)
    again.engine.resume_all()
    run = await again.engine.run_finished(name)
    assert (run.status, run.code) == ("Failed", "WorkflowNotFound")


async def test_a_defect_of_the_engine_ends_the_run_and_says_so(
    bench: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("localazure.workflows.run.data_actions.run_data_action", broken)
    run = await bench.run({"A": {"type": "Compose", "inputs": 1}})
    assert (run.status, run.record.code) == ("Failed", "InternalServerError")
    assert "broke" in caplog.text


async def test_runs_do_not_disturb_one_another(bench: Any) -> None:
    actions = {
        "Init": {
            "type": "InitializeVariable",
            "inputs": {"variables": [{"name": "v", "type": "Integer", "value": "@triggerBody()"}]},
        },
        "W": {**HOUR, "runAfter": {"Init": AFTER}},
        "Read": {"type": "Compose", "inputs": "@variables('v')", "runAfter": {"W": AFTER}},
    }
    names = [bench.start(actions, number) for number in range(20)]
    assert [(await bench.finished(name)).output("Read") for name in names] == list(range(20))


async def test_an_operation_gets_all_it_needs(bench: Any) -> None:
    connections = {"queues": {"connectionId": "/c"}}
    workflow = bench.history.put_workflow(
        WorkflowRecord(
            "/subscriptions/s/x",
            "x",
            {
                "parameters": {"$connections": {"type": "Object", "defaultValue": {}}},
                "actions": {
                    "Each": {
                        "type": "Foreach",
                        "foreach": [1],
                        "actions": {
                            "A": {"type": "Call", "inputs": {"n": "@item()"}, "operationOptions": "Odd"}
                        },
                    }
                },
            },
            {"$connections": {"value": connections}},
            identity={"type": "SystemAssigned"},
        ),
        bench.clock.now(),
    )
    name = bench.engine.start_run(workflow, "manual", None, client_tracking_id="t")
    await bench.finished(name)
    (call,) = bench.call.contexts
    assert (call.workflow_id, call.workflow_name, call.workflow_version) == (
        "/subscriptions/s/x",
        "x",
        workflow.version,
    )
    assert (call.run_name, call.action_name, call.repetition) == (name, "A", "000000")
    assert call.inputs == {"n": 1}
    assert call.definition["operationOptions"] == "Odd"
    assert call.connections == connections
    assert call.identity == {"type": "SystemAssigned"}
    assert call.client_tracking_id == "t"
    assert call.tracking_id
    assert call.services.clock is bench.clock


async def test_a_response_answers_the_caller_and_the_run_goes_on(bench: Any) -> None:
    bench.caller.waits = True
    after = {"type": "Compose", "inputs": "@outputs('R')", "runAfter": {"R": AFTER}}
    run = await bench.run({"R": RESPONSE, "After": after}, {"hello": 1})
    assert bench.caller.answers == [{"statusCode": 201, "body": {"hello": 1}}]
    assert run.record.response == {"statusCode": 201, "body": {"hello": 1}}
    assert run.statuses == {"R": "Succeeded", "After": "Succeeded"}


async def test_a_response_without_a_caller_is_skipped(bench: Any) -> None:
    run = await bench.run({"R": RESPONSE})
    assert (run["R"].status, run["R"].code) == ("Skipped", "ActionResponseSkipped")
    assert run.status == "Succeeded"
    assert run.record.response is None


async def test_a_second_response_fails(bench: Any) -> None:
    bench.caller.waits = True
    run = await bench.run({"R": RESPONSE, "S": {**RESPONSE, "runAfter": {"R": AFTER}}})
    assert run.statuses == {"R": "Succeeded", "S": "Failed"}
    assert run.status == "Failed"


async def test_a_response_with_a_status_of_its_own_fails(bench: Any) -> None:
    bench.caller.waits = True
    response = {"type": "Response", "inputs": {"statusCode": "@triggerBody()"}}
    run = await bench.run({"R": response}, 302)
    assert run["R"].status == "Failed"
    assert bench.caller.answers == []
