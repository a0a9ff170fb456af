"""Container groups over a clock that is moved by hand and a backend that runs nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from localazure.containers.backend import Run
from localazure.containers.groups import ContainerGroups, GroupAnswer
from localazure.containers.memory import MemoryBackend
from localazure.containers.store import GroupStore
from localazure.testing import ManualClock

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "test"


def _body(**changes: Any) -> dict[str, Any]:
    """A PUT's body: one container `c` of image `app:1`, Never; changes go where they belong."""
    container = {
        "image": "app:1",
        "environmentVariables": [],
        "resources": {"requests": {"cpu": 1, "memoryInGB": 2}},
    }
    properties: dict[str, Any] = {"osType": "Linux", "restartPolicy": "Never"}
    for key, value in changes.items():
        (container if key in {"image", "command", "environmentVariables", "resources"} else properties)[
            key
        ] = value
    properties.setdefault("containers", [{"name": "c", "properties": container}])
    return {"location": "westeurope", "properties": properties}


@dataclass
class Rig:
    """The service with what a test turns."""

    groups: ContainerGroups
    backend: MemoryBackend
    clock: ManualClock
    store: GroupStore

    def put(self, name: str = "one", body: dict[str, Any] | None = None) -> GroupAnswer:
        return self.groups.create_or_update(SUBSCRIPTION, GROUP, name, body or _body())

    def get(self, name: str = "one") -> dict[str, Any]:
        return self.groups.get(SUBSCRIPTION, GROUP, name)

    async def delete(self, name: str = "one") -> GroupAnswer:
        return await self.groups.delete(SUBSCRIPTION, GROUP, name)

    def properties(self, name: str = "one") -> dict[str, Any]:
        return self.get(name)["properties"]

    def view(self, name: str = "one") -> dict[str, Any]:
        return self.properties(name)["containers"][0]["properties"]["instanceView"]

    def events(self, name: str = "one") -> list[str]:
        return [each["name"] for each in self.view(name)["events"]]

    def run(self, name: str = "one", *, deployment: int = 1, number: int = 1) -> Run:
        record = self.store.find(SUBSCRIPTION, GROUP, name)
        assert record is not None
        return Run(record.uid, "c", deployment, number)

    async def running(self, name: str = "one", body: dict[str, Any] | None = None) -> None:
        self.put(name, body)
        await self.clock.advance(1)
        assert self.view(name)["currentState"]["state"] == "Running"

    async def finish(
        self, exit_code: int, name: str = "one", *, deployment: int = 1, number: int = 1
    ) -> None:
        self.backend.finish(self.run(name, deployment=deployment, number=number), exit_code)
        await self.clock.settle()


@pytest.fixture
def body() -> Callable[..., dict[str, Any]]:
    return _body


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    clock = ManualClock()
    store = GroupStore()
    backend = MemoryBackend(images={"app:1", "app:2"}, now=clock.now)
    groups = ContainerGroups(store, backend, clock)
    groups.start_up()
    yield Rig(groups, backend, clock, store)
    await groups.aclose()
    store.close()
