"""`localazure check`: definitions, resources and ARM templates, and what it says of them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from localazure.check import check_file, run_check
from localazure.workflows.catalog import all_operations

GOOD = {"actions": {"A": {"type": "Compose", "inputs": 1}}, "triggers": {}}
BAD = {"actions": {"A": {"type": "Liquid", "inputs": {}}, "B": {"type": "Compose", "inputs": "@nope()"}}}
CORPUS = os.environ.get("LOCALAZURE_CORPUS")


def template(definition: Any, **more: Any) -> dict[str, Any]:
    workflow = {
        "type": "Microsoft.Logic/workflows",
        "name": "[parameters('name')]",
        "properties": {"definition": definition},
    }
    return {"$schema": "https://x/deploymentTemplate.json#", "resources": [workflow], **more}


def check(folder: Path, content: Any, *, as_json: bool = False) -> tuple[int, str]:
    file = folder / "file.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8-sig")
    out = io.StringIO()
    code = run_check([file], as_json=as_json, out=out)
    return code, out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        {"definition": GOOD, "parameters": {}},
        {"name": "w", "properties": {"definition": GOOD}},
        template(GOOD),
        {
            "resources": [
                {"type": "Microsoft.Resources/deployments", "properties": {"template": template(GOOD)}}
            ]
        },
        {"resources": {"symbolic": template(GOOD)["resources"][0]}},
    ],
)
def test_a_workflow_is_found_in_every_wrapping(tmp_path: Path, content: Any) -> None:
    code, told = check(tmp_path, content)
    assert code == 0
    assert told.endswith("can be run\n")


def test_what_is_not_supported_is_named_with_its_place(tmp_path: Path) -> None:
    code, told = check(tmp_path, {"definition": BAD, "name": "mine"})
    assert code == 1
    assert "file.json (mine): 2 problems" in told
    assert "  $.actions.A.type: action type 'Liquid' is not supported\n" in told
    assert "$.actions.B.inputs: the template function 'nope' is not defined" in told


def test_json_says_the_same(tmp_path: Path) -> None:
    code, told = check(tmp_path, BAD, as_json=True)
    answer = json.loads(told)
    assert code == 1
    assert answer["ok"] is False
    assert [(it["kind"], it["name"]) for it in answer["workflows"][0]["problems"]] == [
        ("unsupported-action", "Liquid"),
        ("unknown-function", "nope"),
    ]


def test_what_arm_computes_is_not_looked_into_and_what_it_escapes_is(tmp_path: Path) -> None:
    definition = {
        "parameters": {"p": {"type": "Int", "defaultValue": "[parameters('number')]"}},
        "actions": {
            "A": {"type": "Compose", "inputs": "[concat('@{body(''x', ''')}')]"},
            "B": {"type": "Compose", "inputs": "[[text@{nope()}"},
        },
    }
    code, told = check(tmp_path, template(definition))
    assert code == 1
    assert "1 problem\n" in told
    assert "'nope'" in told
    assert "2 values that ARM computes were not looked into" in told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no workflow definition"),
        ('{"resources": []}', "holds no workflow definition"),
        ('{"resources": [1, {"type": "x", "properties": "y"}]}', "holds no workflow definition"),
    ],
)
def test_a_file_without_a_workflow_is_a_problem(tmp_path: Path, content: str, message: str) -> None:
    code, told = check(tmp_path, content)
    assert code == 1
    assert message in told


def test_a_file_that_is_not_there_is_a_problem_and_the_others_are_checked(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    out = io.StringIO()
    assert run_check([tmp_path / "none.json", tmp_path / "good.json"], out=out) == 1
    assert "none.json: 1 problem\n  $: cannot be read: No such file" in out.getvalue()
    assert "good.json: can be run" in out.getvalue()


def corpus_files() -> list[Any]:
    if not CORPUS:
        reason = "LOCALAZURE_CORPUS names no folder of public definitions"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(file, id=file.name) for file in sorted(Path(CORPUS).glob("*.json"))]


@pytest.mark.parametrize("file", corpus_files())
def test_public_definitions_are_read_and_what_is_unsupported_in_them_is_named(file: Path) -> None:
    checked = check_file(file, all_operations())
    assert checked
    for workflow in checked:
        for problem in workflow.problems:
            assert problem.kind != "unparseable", problem
            assert problem.path.startswith("$."), problem
            assert problem.message
