"""What runs come to: runAfter, leaves, branches, Terminate. The cases are data: `data/runs.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CASES = json.loads((Path(__file__).parent / "data" / "runs.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_run(bench: Any, case: dict[str, Any]) -> None:
    run = await bench.run(case["actions"], case.get("body"))
    assert run.statuses == case["statuses"]
    assert run.status == case["run"]
    for name, code in case.get("codes", {}).items():
        assert run[name].code == code
    for name, code in case.get("errors", {}).items():
        assert run.error_code(name) == code
    for name, inputs in case.get("inputs", {}).items():
        assert run[name].inputs == inputs
    for name, outputs in case.get("outputs", {}).items():
        assert run.output(name) == outputs
    if "run_code" in case:
        assert run.record.code == case["run_code"]
        assert run.record.error["code"] == case["run_code"]
    if "calls" in case:
        assert bench.call.calls == case["calls"]
