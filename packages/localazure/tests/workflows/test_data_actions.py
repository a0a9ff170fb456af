"""Compose, ParseJson, Select, Query, Join, Table."""

from __future__ import annotations

from typing import Any

import pytest

PRODUCTS = [{"id": 0, "name": "Apples", "price": 1.5}, {"id": 1, "name": "O<r>anges, big", "price": None}]


async def one(bench: Any, kind: str, inputs: Any, body: Any = None) -> Any:
    return (await bench.run({"A": {"type": kind, "inputs": inputs}}, body))["A"]


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs"),
    [
        ("Compose", {"x": ["@triggerBody()[0]['id']", "@@x"]}, {"x": [0, "@x"]}),
        ("Compose", None, None),
        ("ParseJson", {"content": '{"a": [1, 2.0]}'}, {"body": {"a": [1, 2.0]}}),
        ("ParseJson", {"content": "@triggerBody()", "schema": {"type": "array"}}, {"body": PRODUCTS}),
        ("ParseJson", {"content": "@binary('[1]')", "schema": {}}, {"body": [1]}),
        (
            "Select",
            {"from": "@triggerBody()", "select": {"n": "@item()?['name']", "k": 1}},
            {"body": [{"n": "Apples", "k": 1}, {"n": "O<r>anges, big", "k": 1}]},
        ),
        ("Select", {"from": "@range(1, 3)", "select": "@mul(item(), 2)"}, {"body": [2, 4, 6]}),
        ("Select", {"from": [], "select": "@item()"}, {"body": []}),
        ("Query", {"from": "@range(1, 5)", "where": "@greater(item(), 3)"}, {"body": [4, 5]}),
        ("Query", {"from": "@range(1, 5)", "where": "@greater(item(), 9)"}, {"body": []}),
        (
            "Join",
            {"from": [1, "a", None, True, {"x": 1}], "joinWith": "; "},
            {"body": '1; a; ; True; {"x":1}'},
        ),
        (
            "Table",
            {"from": "@triggerBody()", "format": "CSV"},
            {"body": 'id,name,price\r\n0,Apples,1.5\r\n1,"O<r>anges, big",'},
        ),
        (
            "Table",
            {
                "from": "@triggerBody()",
                "format": "html",
                "columns": [
                    {"header": "ID", "value": "@item()['id']"},
                    {"header": "Name", "value": "@toUpper(item()['name'])"},
                ],
            },
            {
                "body": "<table><thead><tr><th>ID</th><th>Name</th></tr></thead><tbody>"
                "<tr><td>0</td><td>APPLES</td></tr><tr><td>1</td><td>O&lt;R&gt;ANGES, BIG</td></tr>"
                "</tbody></table>"
            },
        ),
    ],
)
async def test_a_data_operation_gives(bench: Any, kind: str, inputs: Any, outputs: Any) -> None:
    action = await one(bench, kind, inputs, PRODUCTS)
    assert (action.status, action.code) == ("Succeeded", "OK")
    assert action.outputs == outputs


@pytest.mark.parametrize(
    ("kind", "inputs", "code"),
    [
        ("ParseJson", {"content": "{not json"}, "InvalidJSON"),
        ("ParseJson", {"content": "@null"}, "InvalidTemplate"),
        ("ParseJson", {"content": "[1]", "schema": {"type": "object"}}, "ValidationFailed"),
        ("Select", {"from": "@triggerBody()[0]", "select": 1}, "InvalidTemplate"),
        ("Query", {"from": "@triggerBody()", "where": "@item()['id']"}, "InvalidTemplate"),
        ("Join", {"from": "text", "joinWith": ","}, "InvalidTemplate"),
        ("Table", {"from": [1], "format": "CSV"}, "InvalidTemplate"),
    ],
)
async def test_a_data_operation_fails_on_unfit_inputs(bench: Any, kind: str, inputs: Any, code: str) -> None:
    action = await one(bench, kind, inputs, PRODUCTS)
    assert action.status == "Failed"
    assert action.error["code"] == code


async def test_a_schema_mismatch_says_where_it_is(bench: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["m"]}
    action = await one(bench, "ParseJson", {"content": {"n": "x"}, "schema": schema})
    assert "$.n: type" in action.error["message"]
    assert "$: required" in action.error["message"]


async def test_the_outputs_of_a_run_are_evaluated_at_its_end(bench: Any) -> None:
    run = await bench.run(
        {"A": {"type": "Compose", "inputs": 7}}, outputs={"seven": {"type": "Int", "value": "@outputs('A')"}}
    )
    assert run.record.outputs == {"seven": {"type": "Int", "value": 7}}


async def test_workflow_and_trigger_tell_about_themselves(bench: Any) -> None:
    inputs = {"w": "@workflow()", "t": "@trigger()", "run": "@{workflow().run.name}"}
    run = await bench.run({"A": {"type": "Compose", "inputs": inputs}}, {"k": 1})
    told = run.output("A")
    assert told["w"]["name"] == "sample"
    assert told["run"] == run.record.name
    assert told["t"]["name"] == "manual"
    assert told["t"]["outputs"] == {"body": {"k": 1}}
    assert told["t"]["status"] == "Succeeded"


async def test_tracked_properties_see_the_action_they_belong_to(bench: Any) -> None:
    tracked = {"trackedProperties": {"got": "@action()['outputs']['body']", "n": 1}}
    run = await bench.run({"A": {"type": "Call", "inputs": {"body": "x"}, **tracked}})
    assert run["A"].tracked_properties == {"got": "x", "n": 1}
