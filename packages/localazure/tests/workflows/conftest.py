"""A bench for the run engine: a clock that moves itself, a history in memory, an action type that obeys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from localazure.errors import Problem
from localazure.testing import ManualClock
from localazure.workflows.engine import Engine
from localazure.workflows.history import History
from localazure.workflows.operations import Delivery, OperationCall, OperationResult, Operations
from localazure.workflows.records import ActionRecord, RunRecord, WorkflowRecord

WORKFLOW_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Logic/workflows/sample"


class Call:
    """An action type whose inputs say what it comes to: {status, code, body, takes_s, raises}."""

    name = "Call"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.contexts: list[OperationCall] = []
        self.running = 0
        self.most_running = 0
        self.cancelled: list[str] = []

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        if "inputs" not in definition:
            return [Problem("inputs", "missing", "inputs", "a Call needs inputs")]
        return []

    async def execute(self, call: OperationCall) -> OperationResult:
        inputs = call.inputs
        self.calls.append(f"{call.action_name} {call.repetition}".strip())
        self.contexts.append(call)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            clock = call.services.clock
            await clock.sleep_until(clock.now() + timedelta(seconds=inputs.get("takes_s", 0)))
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(call.action_name)
            raise
        finally:
            self.running -= 1
        if "raises" in inputs:
            raise ValueError(inputs["raises"])
        status = inputs.get("status", "Succeeded")
        code = inputs.get("code", "OK" if status == "Succeeded" else "BadRequest")
        error = None if status == "Succeeded" else {"code": code, "message": "as told"}
        return OperationResult(status, code, {"statusCode": 200, "body": inputs.get("body")}, error)


class AnyTrigger:
    """A trigger type nothing is wrong with."""

    def __init__(self, name: str) -> None:
        self.name = name

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        return []


class Caller:
    """A responder with one caller, who takes one answer; or with none."""

    def __init__(self) -> None:
        self.waits = False
        self.answers: list[Mapping[str, Any]] = []

    def respond(self, run_name: str, response: Mapping[str, Any]) -> Delivery:
        if not self.waits:
            return "no_caller"
        if self.answers:
            return "already_answered"
        self.answers.append(response)
        return "sent"


class Finished:
    """A finished run, for reading."""

    def __init__(self, history: History, run: RunRecord) -> None:
        self.history = history
        self.record = run
        self.status = run.status

    @property
    def statuses(self) -> dict[str, str]:
        return {it.name: it.status for it in self.history.actions(self.record.name)}

    @property
    def codes(self) -> dict[str, str | None]:
        return {it.name: it.code for it in self.history.actions(self.record.name)}

    def __getitem__(self, name: str) -> ActionRecord:
        found = self.history.action(self.record.name, name)
        assert found is not None, f"{name} has not begun"
        return found

    def output(self, name: str) -> Any:
        return self[name].outputs

    def body(self, name: str) -> Any:
        return self[name].outputs["body"]

    def error_code(self, name: str) -> Any:
        return (self[name].error or {}).get("code")


class Bench:
    """An engine and all it works with."""

    def __init__(self, history: History, *, auto_advance: bool = True) -> None:
        self.history = history
        self.clock = ManualClock(auto_advance=auto_advance)
        self.call = Call()
        self.caller = Caller()
        self.operations = Operations([self.call], [AnyTrigger("Request"), AnyTrigger("Recurrence")])
        self.engine = Engine(history, self.clock, self.operations, responder=self.caller)

    def put(
        self,
        actions: Mapping[str, Any],
        values: Mapping[str, Any] | None = None,
        **definition: Any,
    ) -> WorkflowRecord:
        whole = {"actions": actions, **definition}
        given = {name: {"value": value} for name, value in (values or {}).items()}
        return self.history.put_workflow(
            WorkflowRecord(WORKFLOW_ID, "sample", whole, given), self.clock.now()
        )

    def start(self, actions: Mapping[str, Any], body: Any = None, **definition: Any) -> str:
        return self.engine.start_run(self.put(actions, **definition), "manual", {"body": body})

    async def run(self, actions: Mapping[str, Any], body: Any = None, **definition: Any) -> Finished:
        return await self.finished(self.start(actions, body, **definition))

    async def finished(self, name: str) -> Finished:
        return Finished(self.history, await self.engine.run_finished(name))

    async def seconds(self, actions: Mapping[str, Any], **definition: Any) -> float:
        """Return how long a run takes by the clock."""
        began = self.clock.now()
        await self.run(actions, **definition)
        return (self.clock.now() - began).total_seconds()


@pytest.fixture
def history() -> Iterator[History]:
    history = History(":memory:")
    yield history
    history.close()


@pytest.fixture
async def bench(history: History) -> AsyncIterator[Bench]:
    bench = Bench(history)
    yield bench
    await bench.engine.aclose()


@pytest.fixture
def new_bench() -> type[Bench]:
    return Bench


@pytest.fixture
def data() -> Path:
    return Path(__file__).parent / "data"
