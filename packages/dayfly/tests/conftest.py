"""Handlers that behave in every way, a client in memory that has them, and a handler that hangs."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from dayfly import FailedForGood, Handlers, Result, Retry
from dayfly.process import HandlerOutcome, LogTail
from dayfly.task import Task
from dayfly.testing import InMemoryClient


class Greet:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        return Result.completed(f"hello {payload.get('name', 'world')}")


class Flaky:
    """Fails as often as the payload says, then completes."""

    left: dict[str, int] = {}  # noqa: RUF012 - counted across attempts, as a service outside would be

    async def execute(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        name = payload["name"]
        self.left.setdefault(name, payload["failures"])
        if self.left[name]:
            self.left[name] -= 1
            raise Retry("the model service answered 429")
        return {"status": "completed", "result": "done"}


class Broken:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        raise FailedForGood("invoice.pdf is encrypted")


class Buggy:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        raise KeyError("name")


@pytest.fixture
def handlers() -> Handlers:
    registry = Handlers()
    registry.add("greet", Greet)
    registry.add("flaky", Flaky)
    registry.add("broken", Broken)
    registry.add("buggy", Buggy)
    return registry


@pytest.fixture
def client(handlers: Handlers) -> InMemoryClient:
    Flaky.left.clear()
    return InMemoryClient(handlers)


class Hanging:
    """A runner whose handler ends only when the test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.end: asyncio.Future[HandlerOutcome] = asyncio.get_running_loop().create_future()
        self.stopped = False

    async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
        self.begun.set()
        try:
            return await asyncio.shield(self.end)
        except asyncio.CancelledError:
            self.stopped = True
            raise


@pytest.fixture
async def hanging() -> Hanging:
    """A runner whose handler ends when the test says so."""
    return Hanging()
