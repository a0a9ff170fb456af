"""What must not show does not show, and the run works all the same."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

AFTER = ["Succeeded"]
SECRET = "correct-horse-battery"


def secured(*properties: str) -> dict[str, Any]:
    return {"runtimeConfiguration": {"secureData": {"properties": list(properties)}}}


def everything_shown(bench: Any, run: Any) -> str:
    """Return all that readers of the history get to see of a run."""
    history, name = bench.history, run.record.name
    records: list[Any] = [history.run(name), *history.actions(name)]
    for action in history.actions(name):
        records += history.repetitions(name, action.name)
        records += history.scope_repetitions(name, action.name)
    return json.dumps([dataclasses.asdict(it) for it in records], default=str)


async def test_secured_inputs_and_outputs_are_not_shown(bench: Any) -> None:
    run = await bench.run(
        {"A": {"type": "Call", "inputs": {"body": "@triggerBody()"}, **secured("inputs", "outputs")}}, SECRET
    )
    action = run["A"]
    assert (action.inputs, action.outputs) == (None, None)
    assert (action.has_inputs, action.has_outputs) == (False, False)
    assert (action.hide_inputs, action.hide_outputs) == (True, True)
    assert action.status == "Succeeded"


async def test_only_what_is_named_is_hidden(bench: Any) -> None:
    run = await bench.run({"A": {"type": "Call", "inputs": {"body": "x"}, **secured("outputs")}})
    assert run["A"].inputs == {"body": "x"}
    assert run["A"].outputs is None


async def test_an_action_that_uses_hidden_outputs_gets_its_inputs_hidden_and_its_value_right(
    bench: Any,
) -> None:
    run = await bench.run(
        {
            "A": {"type": "Call", "inputs": {"body": SECRET}, **secured("inputs", "outputs")},
            "B": {"type": "Call", "inputs": {"body": "@length(body('A'))"}, "runAfter": {"A": AFTER}},
        }
    )
    assert run["B"].inputs is None
    assert run["B"].outputs["body"] == len(SECRET)


async def test_compose_and_parse_json_hide_their_outputs_too_and_it_ends_there(bench: Any) -> None:
    run = await bench.run(
        {
            "A": {"type": "Call", "inputs": {"body": f'["{SECRET}"]'}, **secured("inputs", "outputs")},
            "P": {"type": "ParseJson", "inputs": {"content": "@body('A')"}, "runAfter": {"A": AFTER}},
            "C": {"type": "Compose", "inputs": "@outputs('A')", "runAfter": {"A": AFTER}},
            "D": {"type": "Compose", "inputs": "@length(string(outputs('C')))", "runAfter": {"C": AFTER}},
        }
    )
    for name in ("P", "C"):
        assert (run[name].inputs, run[name].outputs) == (None, None)
    assert run["D"].inputs == run["D"].outputs > len(SECRET)
    assert SECRET not in everything_shown(bench, run)


async def test_a_triggers_hidden_outputs_hide_the_inputs_of_what_uses_them(bench: Any) -> None:
    run = await bench.run(
        {
            "A": {"type": "Call", "inputs": {"body": 1, "text": "@triggerBody()"}},
            "I": {"type": "If", "expression": "@equals(triggerBody(), 'x')", "actions": {}},
        },
        SECRET,
        triggers={"manual": {"type": "Request", **secured("inputs", "outputs")}},
    )
    assert run["A"].inputs is None
    assert run["I"].inputs == {"expressionResult": False}
    assert run.record.trigger.outputs is None
    assert SECRET not in everything_shown(bench, run)


async def test_what_azure_cannot_secure_shows_what_it_is_given(bench: Any) -> None:
    run = await bench.run(
        {
            "A": {"type": "Call", "inputs": {"body": "visible"}, **secured("inputs", "outputs")},
            "S": {"type": "Switch", "expression": "@body('A')", "cases": {}, "runAfter": {"A": AFTER}},
        }
    )
    assert run.output("S") == {"expression": "visible"}


async def test_secure_parameters_do_not_show_wherever_they_go(bench: Any) -> None:
    parameters = {"key": {"type": "SecureString"}, "env": {"type": "SecureObject"}}
    actions = {
        "Init": {
            "type": "InitializeVariable",
            "inputs": {"variables": [{"name": "v", "type": "String", "value": "@parameters('key')"}]},
        },
        "Use": {
            "type": "Call",
            "inputs": {"body": "Bearer @{variables('v')}", "more": "@parameters('env')"},
            "runAfter": {"Init": AFTER},
            "trackedProperties": {"leak": "@variables('v')"},
        },
        "Copy": {"type": "Compose", "inputs": "@body('Use')", "runAfter": {"Use": AFTER}},
        "Right": {
            "type": "Compose",
            "inputs": f"@equals(outputs('Copy'), 'Bearer {SECRET}')",
            "runAfter": {"Copy": AFTER},
        },
        "Wrong": {"type": "Compose", "inputs": "@int(variables('v'))", "runAfter": {"Init": AFTER}},
        "End": {
            "type": "Terminate",
            "inputs": {"runStatus": "Failed", "runError": {"code": "x", "message": "@variables('v')"}},
            "runAfter": {"Wrong": ["Failed"], "Right": AFTER},
        },
    }
    workflow = bench.put(
        actions,
        {"key": SECRET, "env": {"list": [{"password": "staple-staple"}]}},
        parameters=parameters,
    )
    run = await bench.finished(bench.engine.start_run(workflow, "manual", None))
    assert run.status == "Failed"
    shown = everything_shown(bench, run)
    assert SECRET not in shown
    assert "staple-staple" not in shown
    assert "*sanitized*" in shown
    assert run.output("Right") is True
    assert workflow.public_parameters == {}


async def test_credentials_in_recorded_inputs_do_not_show(bench: Any) -> None:
    authentication = {"type": "Basic", "username": "me", "password": SECRET}
    run = await bench.run({"A": {"type": "Call", "inputs": {"authentication": authentication}}})
    assert run["A"].inputs["authentication"] == {
        "type": "Basic",
        "username": "me",
        "password": "*sanitized*",
    }
    assert bench.call.contexts[0].inputs["authentication"]["password"] == SECRET
