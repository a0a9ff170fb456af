"""A run goes on where it was, wherever its engine was killed."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localazure.workflows.history import History

AFTER = ["Succeeded"]

#: A loop in a scope, a parallel Foreach with waits, variables, branches, operations, a handled failure.
ACTIONS: dict[str, Any] = {
    "Init": {
        "type": "InitializeVariable",
        "inputs": {
            "variables": [
                {"name": "n", "type": "Integer", "value": 0},
                {"name": "log", "type": "Array", "value": []},
            ]
        },
    },
    "Box": {
        "type": "Scope",
        "runAfter": {"Init": AFTER},
        "actions": {
            "Loop": {
                "type": "Until",
                "expression": "@greaterOrEquals(variables('n'), 3)",
                "limit": {"count": 5, "timeout": "PT1H"},
                "actions": {
                    "Count": {"type": "IncrementVariable", "inputs": {"name": "n"}},
                    "Note": {
                        "type": "AppendToArrayVariable",
                        "inputs": {"name": "log", "value": "turn @{iterationIndexes('Loop')}"},
                        "runAfter": {"Count": AFTER},
                    },
                    "Pause": {
                        "type": "Wait",
                        "inputs": {"interval": {"count": 10, "unit": "Minute"}},
                        "runAfter": {"Note": AFTER},
                    },
                },
            },
            "Ask": {"type": "Call", "inputs": {"body": "asked"}, "runAfter": {"Loop": AFTER}},
        },
    },
    "Each": {
        "type": "Foreach",
        "foreach": "@range(1, 3)",
        "runAfter": {"Box": AFTER},
        "actions": {
            "Add": {"type": "IncrementVariable", "inputs": {"name": "n", "value": "@item()"}},
            "Rest": {
                "type": "Wait",
                "inputs": {"interval": {"count": "@item()", "unit": "Hour"}},
                "runAfter": {"Add": AFTER},
            },
            "Odd": {
                "type": "If",
                "expression": {"equals": ["@mod(item(), 2)", 1]},
                "actions": {"Yes": {"type": "Compose", "inputs": "@{items('Each')} is odd"}},
                "else": {"actions": {"No": {"type": "Call", "inputs": {"status": "Succeeded"}}}},
                "runAfter": {"Rest": AFTER},
            },
        },
    },
    "Break": {"type": "Call", "inputs": {"status": "Failed"}, "runAfter": {"Each": AFTER}},
    "Catch": {"type": "Compose", "inputs": "caught", "runAfter": {"Break": ["Failed"]}},
}
OUTPUTS = {
    "n": {"type": "Int", "value": "@variables('n')"},
    "log": {"type": "Array", "value": "@variables('log')"},
}


class Killed(BaseException):
    """The process is no more."""


class Mortal(History):
    """A history whose process dies right after its k-th write has reached the disk."""

    def __init__(self, path: Path, lives: int | None) -> None:
        self.writes = 0
        self.lives: int | None = None
        super().__init__(path)
        self.lives = lives

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        if self.lives is not None and self.writes >= self.lives:
            raise Killed
        outermost = not self._depth
        with super().transaction():
            yield
        if outermost:
            self.writes += 1
            if self.lives is not None and self.writes >= self.lives:
                raise Killed

    def _put(self, *arguments: Any, **columns: str) -> None:
        if self._depth:
            super()._put(*arguments, **columns)
        else:
            with self.transaction():
                super()._put(*arguments, **columns)


def told(history: History, name: str) -> dict[str, Any]:
    """Return what of a run has to be the same however often it was interrupted."""
    run = history.run(name)
    assert run is not None
    actions = history.actions_in_full(name)
    shown = {
        f"{it.name} {it.repetition}": (it.status, it.code, it.inputs, it.outputs, it.end_time)
        for it in actions
    }
    turns = {f"{it.name} {it.repetition}": it.status for it in history.iterations_in_full(name)}
    return {
        "status": run.status,
        "outputs": run.outputs,
        "ended": run.end_time,
        "actions": shown,
        "turns": turns,
    }


async def run_until_killed(bench: Any, name: str | None) -> str | None:
    """Start a run, or resume those there are, and drive it to its end or the engine's death."""
    with contextlib.suppress(Killed):
        if name is None:
            bench.start(ACTIONS, outputs=OUTPUTS)
        else:
            bench.engine.resume_all()
    tasks = [task for _, task in bench.engine._driven.values()]
    for task in tasks:
        with contextlib.suppress(Killed, BaseExceptionGroup):
            await task
    found = bench.history.runs()
    return found[0].name if found else None


async def expected(new_bench: Any, folder: Path) -> tuple[int, dict[str, Any]]:
    history = Mortal(folder / "whole.db", None)
    bench = new_bench(history)
    name = await run_until_killed(bench, None)
    assert name is not None
    result = told(history, name)
    assert result["status"] == "Succeeded"
    assert result["outputs"]["n"]["value"] == 3 + 1 + 2 + 3
    history.close()
    return history.writes, result


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_killed_after_any_write_a_run_comes_to_the_same(new_bench: Any, tmp_path: Path) -> None:
    writes, whole = await expected(new_bench, tmp_path)
    assert writes >= 60
    for lives in range(2, writes + 1):  # the first write is the workflow's own
        path = tmp_path / f"{lives}.db"
        mortal = Mortal(path, lives)
        first = new_bench(mortal)
        name = await run_until_killed(first, None)
        assert name is not None
        mortal.close()
        again = new_bench(Mortal(path, None))
        again.clock._now = first.clock.now()
        await run_until_killed(again, name)
        assert told(again.history, name) == whole, f"killed after write {lives}"
        again.history.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_killed_again_and_again_a_run_comes_to_the_same(new_bench: Any, tmp_path: Path) -> None:
    _, whole = await expected(new_bench, tmp_path)
    path, name, now = tmp_path / "often.db", None, None
    for _ in range(500):
        history = Mortal(path, 3)
        bench = new_bench(history)
        bench.clock._now = now or bench.clock.now()
        name = await run_until_killed(bench, name)
        now = bench.clock.now()
        run = history.run(name) if name else None
        history.close()
        if run is not None and run.finished:
            break
    final = History(path)
    assert name is not None
    assert told(final, name) == whole
    final.close()


async def test_a_finished_action_is_not_executed_again(new_bench: Any, tmp_path: Path) -> None:
    actions = {
        "A": {"type": "Call", "inputs": {}},
        "Wait": {
            "type": "Wait",
            "inputs": {"interval": {"count": 1, "unit": "Hour"}},
            "runAfter": {"A": AFTER},
        },
        "B": {"type": "Call", "inputs": {}, "runAfter": {"Wait": AFTER}},
    }
    first = new_bench(History(tmp_path / "h.db"), auto_advance=False)
    name = first.start(actions)
    await first.clock.advance(1800)
    await first.engine.aclose()
    first.history.close()
    second = new_bench(History(tmp_path / "h.db"), auto_advance=False)
    second.clock._now = first.clock.now()
    assert second.engine.resume_all() == [name]
    await second.clock.advance(1799)
    assert second.call.calls == []
    await second.clock.advance(1)
    assert (await second.finished(name)).status == "Succeeded"
    assert (first.call.calls, second.call.calls) == (["A"], ["B"])
    await second.engine.aclose()
    second.history.close()


@pytest.mark.parametrize(
    ("policy", "status", "code", "calls"),
    [
        (None, "Succeeded", "OK", ["A"]),
        ({"type": "fixed", "count": 1, "interval": "PT5S"}, "Succeeded", "OK", ["A"]),
        ({"type": "None"}, "Failed", "ServiceInterrupted", []),
    ],
)
async def test_an_operation_in_flight_is_executed_again_if_its_retry_policy_allows(
    new_bench: Any, tmp_path: Path, policy: Any, status: str, code: str, calls: list[str]
) -> None:
    inputs = {"takes_s": 60, "at": "@utcNow()", **({"retryPolicy": policy} if policy else {})}
    first = new_bench(History(tmp_path / "h.db"), auto_advance=False)
    name = first.start({"A": {"type": "Call", "inputs": inputs}})
    await first.clock.advance(30)
    await first.engine.aclose()
    first.history.close()
    second = new_bench(History(tmp_path / "h.db"))
    second.clock._now = first.clock.now()
    second.engine.resume_all()
    run = await second.finished(name)
    assert (run["A"].status, run["A"].code) == (status, code)
    assert second.call.calls == calls
    # The same inputs as before, not evaluated anew.
    assert run["A"].inputs["at"].startswith("2030-01-01T00:00:00")
    await second.engine.aclose()
    second.history.close()


async def test_a_wait_that_came_due_while_nothing_ran_is_over_at_once(new_bench: Any, tmp_path: Path) -> None:
    wait = {"type": "Wait", "inputs": {"interval": {"count": 1, "unit": "Hour"}}}
    first = new_bench(History(tmp_path / "h.db"), auto_advance=False)
    name = first.start({"W": wait})
    await first.clock.advance(60)
    await first.engine.aclose()
    first.history.close()
    second = new_bench(History(tmp_path / "h.db"), auto_advance=False)
    await second.clock.advance(86_400)
    second.engine.resume_all()
    assert (await second.finished(name)).status == "Succeeded"
    await second.engine.aclose()
    second.history.close()


async def test_a_time_limit_goes_on_counting_from_where_the_action_began(
    new_bench: Any, tmp_path: Path
) -> None:
    slow = {"type": "Call", "inputs": {"takes_s": 3600}, "limit": {"timeout": "PT10M"}}
    first = new_bench(History(tmp_path / "h.db"), auto_advance=False)
    name = first.start({"A": slow})
    began = first.clock.now()
    await first.clock.advance(540)
    await first.engine.aclose()
    first.history.close()
    second = new_bench(History(tmp_path / "h.db"))
    second.clock._now = first.clock.now()
    second.engine.resume_all()
    run = await second.finished(name)
    assert run["A"].status == "TimedOut"
    assert (run["A"].end_time - began).total_seconds() == 600
    await second.engine.aclose()
    second.history.close()


async def test_a_run_keeps_the_version_of_the_workflow_it_began_with(new_bench: Any, tmp_path: Path) -> None:
    wait = {"type": "Wait", "inputs": {"interval": {"count": 1, "unit": "Hour"}}}
    old = {"W": wait, "A": {"type": "Compose", "inputs": "old", "runAfter": {"W": AFTER}}}
    first = new_bench(History(tmp_path / "h.db"), auto_advance=False)
    name = first.start(old)
    await first.clock.advance(60)
    first.put({"A": {"type": "Compose", "inputs": "new"}})
    await first.engine.aclose()
    first.history.close()
    second = new_bench(History(tmp_path / "h.db"))
    second.engine.resume_all()
    assert (await second.finished(name)).output("A") == "old"
    await second.engine.aclose()
    second.history.close()


SCRIPT = """
import asyncio, json, os, signal, sys
from localazure.testing import ManualClock
from localazure.workflows.engine import Engine
from localazure.workflows.history import History
from localazure.workflows.operations import Operations
from localazure.workflows.records import WorkflowRecord

class Mortal(History):
    left = int(sys.argv[3])
    def _put(self, *arguments, **columns):
        super()._put(*arguments, **columns)
        Mortal.left -= 1
        if Mortal.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    history = Mortal(sys.argv[1])
    clock = ManualClock(auto_advance=True)
    engine = Engine(history, clock, Operations())
    names = engine.resume_all()
    if not names:
        definition = json.loads(sys.argv[2])
        workflow = history.put_workflow(WorkflowRecord("/w", "w", definition), clock.now())
        names = [engine.start_run(workflow, "manual", None)]
    run = await engine.run_finished(names[0])
    print(json.dumps([run.status, run.outputs]))

asyncio.run(main())
"""


def test_a_process_killed_for_real_leaves_a_run_that_another_one_finishes(tmp_path: Path) -> None:
    import json

    each = {
        "type": "Foreach",
        "foreach": "@range(1, 4)",
        "actions": {"Add": {"type": "IncrementVariable", "inputs": {"name": "n", "value": "@item()"}}},
        "runAfter": {"Init": AFTER},
    }
    definition = {"actions": {"Init": ACTIONS["Init"], "Each": each}, "outputs": {"n": OUTPUTS["n"]}}
    codes, answer = [], ""
    for lives in (5, 4, 0):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "h.db"), json.dumps(definition), str(lives)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        codes.append(done.returncode)
        answer = done.stdout
    assert codes == [-9, -9, 0]
    assert json.loads(answer) == ["Succeeded", {"n": {"type": "Int", "value": 10}}]
    with contextlib.closing(sqlite3.connect(tmp_path / "h.db")) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (1,)
