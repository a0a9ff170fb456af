"""Variables."""

from __future__ import annotations

from typing import Any

import pytest

AFTER = ["Succeeded"]


def initialize(kind: str, *value: Any) -> dict[str, Any]:
    declared = {"name": "v", "type": kind, **({"value": value[0]} if value else {})}
    return {"type": "InitializeVariable", "inputs": {"variables": [declared]}}


def change(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": {"name": "V", **inputs}, "runAfter": {"Init": AFTER}}


@pytest.mark.parametrize(
    ("kind", "value", "action", "after"),
    [
        ("Integer", 1, change("SetVariable", value=5), 5),
        ("integer", 1, change("IncrementVariable"), 2),
        ("Integer", 1, change("IncrementVariable", value=4), 5),
        ("Integer", 1, change("DecrementVariable", value="@add(1, 1)"), -1),
        ("Float", 1, change("IncrementVariable", value=0.5), 1.5),
        ("Float", 1.5, change("SetVariable", value=2), 2.0),
        ("String", "a", change("AppendToStringVariable", value="b"), "ab"),
        ("String", "a", change("AppendToStringVariable", value=1), "a1"),
        ("Array", [1], change("AppendToArrayVariable", value={"x": 1}), [1, {"x": 1}]),
        ("Boolean", True, change("SetVariable", value=False), False),
        ("Object", {"a": 1}, change("SetVariable", value={"b": "@triggerBody()"}), {"b": "body"}),
    ],
)
async def test_a_variable_changes(bench: Any, kind: str, value: Any, action: Any, after: Any) -> None:
    read = {"type": "Compose", "inputs": "@variables('v')", "runAfter": {"Change": AFTER}}
    run = await bench.run({"Init": initialize(kind, value), "Change": action, "Read": read}, "body")
    assert run.output("Read") == after
    assert type(run.output("Read")) is type(after)
    assert run.output("Change") == {"body": {"name": "v", "value": after}}
    assert run["Change"].code == "NotSpecified"


@pytest.mark.parametrize(
    ("kind", "value", "action"),
    [
        ("Integer", 1, change("SetVariable", value="one")),
        ("Integer", 1, change("SetVariable", value=1.5)),
        ("Integer", 1, change("SetVariable", value=True)),
        ("String", "a", change("SetVariable", value=1)),
        ("String", "a", change("IncrementVariable")),
        ("Integer", 1, change("IncrementVariable", value=0.5)),
        ("Integer", 1, change("AppendToStringVariable", value="b")),
        ("Array", [], change("AppendToArrayVariable", value=[1])),
        ("Array", [], change("AppendToArrayVariable", value=None)),
        ("Integer", 2**63 - 1, change("IncrementVariable")),
    ],
)
async def test_a_value_that_does_not_fit_fails_the_action_and_changes_nothing(
    bench: Any, kind: str, value: Any, action: Any
) -> None:
    read = {"type": "Compose", "inputs": "@variables('v')", "runAfter": {"Change": ["Failed"]}}
    run = await bench.run({"Init": initialize(kind, value), "Change": action, "Read": read})
    assert run["Change"].status == "Failed"
    assert run["Change"].code == "BadRequest"
    assert run.output("Read") == value


async def test_a_variable_without_a_value_is_null(bench: Any) -> None:
    read = {"type": "Compose", "inputs": "@variables('v')", "runAfter": {"Init": AFTER}}
    run = await bench.run({"Init": initialize("String"), "Read": read})
    assert run["Read"].has_outputs
    assert run.output("Read") is None


async def test_appending_to_a_variable_without_a_value_begins_it(bench: Any) -> None:
    run = await bench.run({"Init": initialize("Array"), "Change": change("AppendToArrayVariable", value=1)})
    assert run.body("Change")["value"] == [1]


async def test_an_initial_value_of_the_wrong_type_fails_the_action(bench: Any) -> None:
    run = await bench.run({"Init": initialize("Integer", "@triggerBody()")}, "text")
    assert run["Init"].status == "Failed"
    assert "cannot be initialized or updated" in run["Init"].error["message"]


async def test_a_variable_cannot_be_changed_before_it_is_initialized(bench: Any) -> None:
    wait = {"type": "Wait", "inputs": {"interval": {"count": 1, "unit": "Second"}}}
    init = initialize("Integer", 1) | {"runAfter": {"Wait": AFTER}}
    early = {"type": "IncrementVariable", "inputs": {"name": "v"}}
    run = await bench.run({"Wait": wait, "Init": init, "Early": early})
    assert run["Early"].status == "Failed"
    assert "must be initialized before it can be used" in run["Early"].error["message"]


async def test_one_action_may_declare_several_variables(bench: Any) -> None:
    both = [{"name": "a", "type": "Integer", "value": 1}, {"name": "b", "type": "String", "value": "x"}]
    run = await bench.run(
        {
            "Init": {"type": "InitializeVariable", "inputs": {"variables": both}},
            "Read": {
                "type": "Compose",
                "inputs": "@{variables('a')}@{variables('B')}",
                "runAfter": {"Init": AFTER},
            },
        }
    )
    assert run.output("Read") == "1x"
    assert [(it.name, it.value) for it in bench.history.variables(run.record.name)] == [("a", 1), ("b", "x")]
