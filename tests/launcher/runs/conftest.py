"""Runs of the two definitions, the very files that are deployed, through localazure's engine.

`launch` receives a message as the trigger would and runs the launcher for it to its end.
"""

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from localazure.outbound import Outbound
from localazure.testing import ManualClock
from localazure.workflows.catalog import all_operations
from localazure.workflows.engine import Engine
from localazure.workflows.history import History
from localazure.workflows.operations import Services
from localazure.workflows.records import ActionRecord, RunRecord, WorkflowRecord

DEFINITIONS = Path(__file__).parents[3] / "infra/workflows"
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/dayfly"
PARAMETERS: dict[str, Any] = {
    "clientId": "Acme",
    "storageAccountName": "acct",
    "queueEndpoint": "https://acct.queue.core.windows.net",
    "blobEndpoint": "https://acct.blob.core.windows.net",
    "resourceGroupId": GROUP,
    "location": "westeurope",
    "image": "registry.example/worker@sha256:0123",
    "registryServer": "registry.example",
    "workerIdentityId": f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/worker",
    "environment": [{"name": "OPENAI_MODEL", "value": "small"}],
    "secureEnvironment": {"variables": [{"name": "INTERNAL_API_KEY", "secureValue": "key-0f-the-backend"}]},
    "logAnalyticsWorkspaceId": "workspace",
    "logAnalyticsWorkspaceKey": "key-0f-the-workspace",
}


class Tokens:
    """Managed identity: the token says what it is for."""

    async def token(self, audience: str, identity: str | None) -> str:
        assert identity is None, "the launcher's own, system-assigned"
        return f"token of {audience}"


@dataclass
class Run:
    """A finished run, as the run history shows it."""

    record: RunRecord
    actions: dict[str, ActionRecord]
    everything: str
    took_s: float

    @property
    def status(self) -> str:
        return self.record.status

    @property
    def code(self) -> str:
        return (self.record.error or {}).get("code", "")

    @property
    def message(self) -> str:
        return (self.record.error or {}).get("message", "")

    def ran(self, name: str) -> bool:
        return name in self.actions and self.actions[name].status != "Skipped"


def with_contents(text: str) -> str:
    """What stands in base64 envelopes is told as well."""
    contents = re.findall(r"'\$content': '([^']+)'", text)
    return "\n".join([text, *(base64.b64decode(each).decode(errors="replace") for each in contents)])


@pytest.fixture
def parameters() -> dict[str, Any]:
    return dict(PARAMETERS)


@pytest.fixture
async def outbound(cloud: Any) -> AsyncIterator[Outbound]:
    """What the workflows send their requests through."""
    async with Outbound(tokens=Tokens(), transport=cloud) as outbound:
        yield outbound


@pytest.fixture
async def run_workflow(
    clock: ManualClock, outbound: Outbound
) -> AsyncIterator[Callable[..., Awaitable[Run]]]:
    """Run one of the two definitions to its end: `await run_workflow(name, parameters, trigger, outputs)`."""
    history = History(":memory:")
    services = Services(clock=clock, outbound=outbound, extras={"draw": lambda low, high: high})
    engine = Engine(history, clock, all_operations(), services=services)

    async def run(name: str, given: dict[str, Any], trigger: str, outputs: Any) -> Run:
        definition = json.loads((DEFINITIONS / f"{name}.json").read_text())
        values = {key: {"value": value} for key, value in given.items()}
        workflow = WorkflowRecord(
            id=f"{GROUP}/providers/Microsoft.Logic/workflows/{name}", name=name,
            definition=definition, parameters=values, identity={"type": "SystemAssigned"},
        )  # fmt: skip
        began = clock.now()
        run_name = engine.start_run(history.put_workflow(workflow, began), trigger, outputs)
        record = await engine.run_finished(run_name)
        actions = history.actions(run_name)
        told = [record, *actions]
        for each in actions:
            told += history.repetitions(run_name, each.name)
        everything = with_contents("\n".join(map(repr, told)))
        took_s = (clock.now() - began).total_seconds()
        return Run(record, {each.name: each for each in actions}, everything, took_s)

    yield run
    await engine.aclose()
    history.close()


@pytest.fixture
def launch(
    cloud: Any, clock: ManualClock, run_workflow: Callable[..., Awaitable[Run]]
) -> Callable[..., Awaitable[Run]]:
    """Receive a message (once it is visible) and run the launcher for it."""

    async def launch(
        message: Any,
        after_receive: Callable[[], Any] = lambda: None,
        **changes: Any,
    ) -> Run:
        wait_s = (message.visible_at - clock.now()).total_seconds()
        await clock.advance(max(wait_s, 0))
        received = cloud.receive(message)
        after_receive()
        outputs = {"headers": {}, "body": received}
        return await run_workflow(
            "launcher", PARAMETERS | changes, "When_there_are_messages_in_the_queue", outputs
        )

    return launch


@pytest.fixture
def worn_out(cloud: Any) -> Callable[..., Any]:
    """A message two days old that is about to be received for the tenth time."""

    def put(**given: Any) -> Any:
        return cloud.put(**({"age": timedelta(days=2), "life": timedelta(days=5), "received": 9} | given))

    return put


@pytest.fixture
def no_worker(cloud: Any, life: Any) -> None:
    """Containers that never reach the message."""
    cloud.life = life(worker="nothing", exit_code=78)
