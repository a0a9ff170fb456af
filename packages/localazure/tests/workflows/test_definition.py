"""Loading definitions: what is refused, by name and place (`data/refused.json`), and what is not."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from localazure.errors import DefinitionError
from localazure.workflows.definition import load_definition
from localazure.workflows.parameters import resolve_parameters
from localazure.workflows.reader import duration
from localazure.workflows.trigger_definition import TriggerConcurrency

REFUSED = json.loads((Path(__file__).parent / "data" / "refused.json").read_text())
AFTER = ["Succeeded"]


@pytest.mark.parametrize("case", REFUSED, ids=[case["name"] for case in REFUSED])
def test_refused(new_bench: Any, history: Any, case: dict[str, Any]) -> None:
    operations = new_bench(history).operations
    with pytest.raises(DefinitionError) as caught:
        load_definition(case["definition"], operations)
    problems = [[it.path, it.kind, it.name] for it in caught.value.problems]
    assert problems == case["problems"]
    assert all(it.message for it in caught.value.problems)


def declared(count: int) -> dict[str, Any]:
    variables = [{"name": f"v{number}", "type": "String"} for number in range(count)]
    return {"type": "InitializeVariable", "inputs": {"variables": variables}}


@pytest.mark.parametrize(
    ("thing", "most", "make"),
    [
        (
            "actions",
            500,
            lambda n: {"actions": {f"A{i}": {"type": "Compose", "inputs": 1} for i in range(n)}},
        ),
        ("variables", 250, lambda n: {"actions": {"I": declared(n)}}),
        ("parameters", 50, lambda n: {"parameters": {f"p{i}": {"type": "String"} for i in range(n)}}),
        ("outputs", 10, lambda n: {"outputs": {f"o{i}": {"type": "Int", "value": 1} for i in range(n)}}),
        ("triggers", 10, lambda n: {"triggers": {f"t{i}": {"type": "Request"} for i in range(n)}}),
        (
            "cases",
            25,
            lambda n: {
                "actions": {
                    "S": {
                        "type": "Switch",
                        "expression": 1,
                        "cases": {f"C{i}": {"case": i, "actions": {}} for i in range(n)},
                    }
                }
            },
        ),
    ],
)
def test_azures_limits_are_kept(new_bench: Any, history: Any, thing: str, most: int, make: Any) -> None:
    assert accepted(new_bench, history, make(most))
    with pytest.raises(DefinitionError) as caught:
        accepted(new_bench, history, make(most + 1))
    assert [(it.kind, it.name) for it in caught.value.problems] == [("limit", thing)]


def accepted(new_bench: Any, history: Any, definition: Any) -> Any:
    return load_definition(definition, new_bench(history).operations)


def test_types_are_found_in_any_case(new_bench: Any, history: Any) -> None:
    actions = {"A": {"type": "compose", "inputs": 1}, "B": {"type": "CALL", "inputs": {}}}
    loaded = accepted(new_bench, history, {"actions": actions, "triggers": {"T": {"type": "request"}}})
    assert loaded.action("a").type == "Compose"
    assert loaded.action("b").type == "Call"
    assert loaded.trigger("t").type == "Request"


def test_what_only_people_and_designers_read_is_passed_over(new_bench: Any, history: Any) -> None:
    action = {
        "type": "Compose",
        "inputs": 1,
        "description": "says @body('nothing')",
        "metadata": {"x": "@foo("},
        "runtimeConfiguration": {"staticResult": {"name": "A0", "staticResultOptions": "Disabled"}},
    }
    assert accepted(new_bench, history, {"actions": {"A": action}, "metadata": {}, "description": "x"})


def test_an_action_may_refer_to_all_that_is_over_and_to_the_loops_around_it(
    new_bench: Any, history: Any
) -> None:
    inner = {
        "type": "Compose",
        "inputs": ["@outputs('First')", "@outputs('Inside')", "@items('Each')", "@iterationIndexes('Loop')"],
    }
    actions = {
        "First": {"type": "Compose", "inputs": 1},
        "S": {
            "type": "Scope",
            "actions": {"Inside": {"type": "Compose", "inputs": 1}},
            "runAfter": {"First": AFTER},
        },
        "Each": {
            "type": "Foreach",
            "foreach": "@result('S')",
            "runAfter": {"S": ["Failed"]},
            "actions": {
                "Loop": {
                    "type": "Until",
                    "expression": "@equals(outputs('Inner'), 1)",
                    "limit": {"count": 1},
                    "actions": {"Inner": inner},
                }
            },
        },
    }
    outputs = {"o": {"type": "Int", "value": "@outputs('First')"}}
    assert accepted(new_bench, history, {"actions": actions, "outputs": outputs}).action("Inner").loops == (
        "Each",
        "Loop",
    )


def test_eight_levels_of_nesting_are_fine(new_bench: Any, history: Any) -> None:
    actions: dict[str, Any] = {"Deep": {"type": "Compose", "inputs": 1}}
    for level in range(8):
        actions = {f"S{level}": {"type": "Scope", "actions": actions}}
    assert accepted(new_bench, history, {"actions": actions}).action("deep")


@pytest.mark.parametrize(
    ("trigger", "concurrency"),
    [
        ({}, None),
        ({"operationOptions": "SingleInstance"}, TriggerConcurrency(1, 11)),
        ({"runtimeConfiguration": {"concurrency": {"runs": 3}}}, TriggerConcurrency(3, 13)),
        (
            {"runtimeConfiguration": {"concurrency": {"runs": 3, "maximumWaitingRuns": 100}}},
            TriggerConcurrency(3, 100),
        ),
    ],
)
def test_a_triggers_concurrency_is_read(
    new_bench: Any, history: Any, trigger: dict[str, Any], concurrency: Any
) -> None:
    loaded = accepted(new_bench, history, {"triggers": {"T": {"type": "Request", **trigger}}})
    assert loaded.trigger("T").concurrency == concurrency


def test_a_triggers_templates_are_parsed(new_bench: Any, history: Any) -> None:
    trigger = {
        "type": "Request",
        "conditions": [{"expression": "@equals(1, 1)"}],
        "splitOn": "@triggerBody()?['list']",
        "correlation": {"clientTrackingId": "@guid()"},
    }
    loaded = accepted(new_bench, history, {"triggers": {"T": trigger}}).trigger("T")
    assert len(loaded.conditions) == 1
    assert loaded.split_on is not None
    assert loaded.client_tracking_id is not None


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("String", "x", True),
        ("String", 1, False),
        ("Int", 1, True),
        ("Int", True, False),
        ("Int", 1.5, False),
        ("Float", 1, True),
        ("Bool", False, True),
        ("Bool", "false", False),
        ("Array", [], True),
        ("Array", {}, False),
        ("Object", {}, True),
        ("Object", [], False),
        ("SecureString", "x", True),
        ("SecureObject", "x", False),
    ],
)
def test_a_parameters_value_has_to_fit_its_type(
    new_bench: Any, history: Any, kind: str, value: Any, fits: bool
) -> None:
    declared = accepted(new_bench, history, {"parameters": {"p": {"type": kind}}}).parameters
    if fits:
        assert resolve_parameters(declared, {"P": {"value": value}}) == {"p": value}
    else:
        with pytest.raises(DefinitionError, match="is not of type"):
            resolve_parameters(declared, {"p": {"value": value}})


def test_parameters_without_a_value_take_their_default_or_are_refused(new_bench: Any, history: Any) -> None:
    definition = {"parameters": {"a": {"type": "Int", "defaultValue": 3}, "b": {"type": "Int"}}}
    declared = accepted(new_bench, history, definition).parameters
    assert resolve_parameters(declared, {"b": {"value": 1}}) == {"a": 3, "b": 1}
    with pytest.raises(DefinitionError) as caught:
        resolve_parameters(declared, {"c": {"value": 1}})
    assert [(it.kind, it.name) for it in caught.value.problems] == [
        ("unknown-reference", "c"),
        ("missing", "b"),
    ]


def test_a_parameters_value_has_to_be_an_allowed_one(new_bench: Any, history: Any) -> None:
    definition = {"parameters": {"p": {"type": "String", "allowedValues": ["a", "b"]}}}
    declared = accepted(new_bench, history, definition).parameters
    assert resolve_parameters(declared, {"p": {"value": "b"}}) == {"p": "b"}
    with pytest.raises(DefinitionError, match="not one of the allowed values"):
        resolve_parameters(declared, {"p": {"value": "c"}})


def test_a_secure_value_is_not_told_in_the_error(new_bench: Any, history: Any) -> None:
    declared = accepted(new_bench, history, {"parameters": {"p": {"type": "SecureObject"}}}).parameters
    with pytest.raises(DefinitionError) as caught:
        resolve_parameters(declared, {"p": {"value": "hunter2-hunter2"}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("PT30S", timedelta(seconds=30)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P1D", timedelta(days=1)),
        ("P1M", timedelta(days=30)),
    ],
)
def test_durations_are_read(text: str, span: timedelta) -> None:
    assert duration(text) == span


@pytest.mark.parametrize("text", ["", "30", "1h", "PT", "PTX"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 8601 duration"):
        duration(text)
