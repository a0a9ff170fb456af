"""The laptop's cloud, started by the command that its users type, with models that wait when told to."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient
from dayfly_cli.arm import Arm, open_arm
from dayfly_cli.offline_models import CHAT_MODEL, EMBEDDING_MODEL
from dayfly_cli.openai_server import openai_app
from dayfly_cli.serving import serve
from starlette.types import ASGIApp, Receive, Scope, Send

DOCUMENT = (
    "# Opening hours\n\nThe workshop is open from Tuesday to Saturday, nine to six.\n\n"
    "Bicycles for repair are taken in until five. Rental returns are possible at any time.\n"
)
KEY = "sk-of-the-test"


class RunService(Protocol):
    def __call__(self, service: Any) -> Any: ...


class Gate:
    """Models that answer at once, or only when the gate opens: how a test holds a handler in mid-task."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.open = True
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.waiting += 1
            try:
                while not self.open:
                    await asyncio.sleep(0.02)
            finally:
                self.waiting -= 1
        await self._app(scope, receive, send)


class Laptop:
    """One running `dayfly up`, and what a backend and an operator do with it."""

    def __init__(self, up: dict[str, Any], gate: Gate, arm: Arm, http: httpx.AsyncClient) -> None:
        self.up = up
        self.gate = gate
        self.arm = arm
        self._http = http
        connection = up["storage_connection_string"]
        self.queues = QueueServiceClient.from_connection_string(connection)
        self.blobs = BlobServiceClient.from_connection_string(connection)

    async def upload(self, name: str, text: str = DOCUMENT, client: str = "acme") -> str:
        blob = self.blobs.get_blob_client(self.up["clients"][client]["documents"], f"default/{name}")
        await blob.upload_blob(text.encode(), overwrite=True)
        return name

    async def submit(
        self, filename: str, task_type: str = "ingest", client: str = "acme", **payload: str
    ) -> str:
        """Put a task as the backend does; the answer is the message id, its ledger key."""
        fields = {
            "task_type": task_type,
            "task_id": f"task-{uuid.uuid4()}",
            "payload": {"filename": filename, **payload},
            "webhook_url": f"{self.up['webhook_inbox']}/hook",
        }
        return await self.put(base64.b64encode(json.dumps(fields).encode()).decode(), client)

    async def put(self, text: str, client: str = "acme") -> str:
        async with self.queues.get_queue_client(f"{client}-tasks") as queue:
            return (await queue.send_message(text)).id

    async def entry(self, key: str, client: str = "acme") -> dict[str, Any] | None:
        return await self.blob(f"ledger/{key}.json", client)

    async def blob(self, name: str, client: str = "acme") -> Any:
        blob = self.blobs.get_blob_client(f"{client}-dayfly", name)
        if not await blob.exists():
            return None
        return json.loads(await (await blob.download_blob()).readall())

    async def settled(self, key: str, client: str = "acme", within_s: float = 60) -> dict[str, Any]:
        """The ledger entry, once outcome and delivery stand."""
        return await self.until(self._settled(key, client), f"ledger entry {key} is settled", within_s)

    def _settled(self, key: str, client: str) -> Callable[[], Awaitable[Any]]:
        async def look() -> Any:
            entry = await self.entry(key, client)
            return entry if entry and entry["outcome"] and entry["delivery"] else None

        return look

    async def until(self, look: Callable[[], Awaitable[Any]], what: str, within_s: float = 60) -> Any:
        try:
            async with asyncio.timeout(within_s):
                while not (found := await look()):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s: {what}") from None
        return found

    async def waiting(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return self.gate.waiting >= count

        return look

    async def handlers_wait(self, count: int = 1) -> None:
        await self.until(await self.waiting(count), f"{count} handlers wait at the models' gate")

    async def deliveries(self, key: str, client: str = "acme") -> list[dict[str, Any]]:
        """The webhooks that told of a task."""
        entry = await self.entry(key, client)
        task_id = entry["task"]["task_id"]
        told = await self._http.get(self.up["webhook_inbox"], params={"task_id": task_id})
        return [delivery["body"] for delivery in told.json() if delivery["answered"] < 300]

    async def dead_letters(self, client: str = "acme") -> list[str]:
        """The keys that the poison queue names, 32 at the most."""
        async with self.queues.get_queue_client(f"{client}-tasks-poison") as poison:
            return [json.loads(m.content)["dead_letter"] for m in await poison.peek_messages(32)]

    async def left(self, client: str = "acme") -> dict[str, int]:
        async with self.queues.get_queue_client(f"{client}-tasks") as queue:
            messages = (await queue.get_queue_properties()).approximate_message_count
        return {"messages": messages, "groups": len(await self.arm.container_groups())}

    async def quiet(self, client: str = "acme", within_s: float = 60) -> None:
        """Until queue and resource group are empty and no run goes on."""

        async def look() -> bool:
            left = await self.left(client)
            return not any(left.values()) and not await self._busy(client)

        await self.until(look, f"nothing is left of {client}", within_s)

    async def _busy(self, client: str) -> bool:
        runs = await self.runs(client)
        return any(run["properties"]["status"] in ("Running", "Waiting") for run in runs)

    async def runs(self, client: str = "acme") -> list[dict[str, Any]]:
        return await self.arm.runs(self.up["clients"][client]["launcher"])

    async def runs_of(self, key: str, client: str = "acme") -> list[dict[str, Any]]:
        """The runs that launched a container group for a message, or tried to; oldest first."""
        launcher = self.up["clients"][client]["launcher"]
        found = []
        for run in await self.runs(client):
            account = await self.arm.action(launcher, run["name"], "Account")
            if account and f"-{key}-" in account["container"]["group"]:
                found.append(run)
        return sorted(found, key=lambda run: run["properties"]["startTime"])

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.arm.client.request(method, f"{self.up['arm_admin']}/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def order(self, *faults: dict[str, Any]) -> None:
        await self.admin("PUT", "faults", {"faults": list(faults)})

    def localazure_pid(self) -> int:
        return json.loads((Path(self.up["state"]) / "localazure" / "ready.json").read_text())["pid"]


@pytest.fixture(scope="session")
def gate(run_service: RunService) -> Iterator[tuple[Gate, str]]:
    gate = Gate(openai_app(KEY))

    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with serve(gate, "models of the test") as url:
            yield url

    with run_service(serving()) as url:
        yield gate, url


@pytest.fixture(scope="session")
def up(gate: tuple[Gate, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """`dayfly up --json`, for all end-to-end tests of the session."""
    state = tmp_path_factory.mktemp("up")
    command = [sys.executable, "-m", "dayfly_cli.main", "up", "--json", "--state", str(state)]
    command += ["--client", "acme", "--client", "north-wind", "--max-containers", "3", "--engine", "both"]
    env = os.environ | {
        "OPENAI_API_BASE": f"{gate[1]}/v1",
        "OPENAI_API_KEY": KEY,
        "OPENAI_MODEL": CHAT_MODEL,
        "OPENAI_EMBEDDING_MODEL": EMBEDDING_MODEL,
        "WORKER_VISIBILITY_TIMEOUT": "6",
        "WORKER_RETRY_DELAY": "0.5",
    }
    told = state / "stderr.txt"
    with told.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=env)
    try:
        line = process.stdout.readline()
        assert line, told.read_text()
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)


@pytest.fixture
async def laptop(up: dict[str, Any], gate: tuple[Gate, str]) -> AsyncIterator[Laptop]:
    """The laptop's cloud as the test before left it: quiet, with no faults ordered."""
    async with (
        open_arm(
            up["arm"],
            Path(up["arm_ca"]),
            up["identity_endpoint"],
            up["identity_header"],
            up["resource_group_id"],
        ) as arm,
        httpx.AsyncClient() as http,
    ):
        opened = Laptop(up, gate[0], arm, http)
        async with opened.queues, opened.blobs:
            yield opened
        gate[0].open = True
        await opened.order()
        await opened.admin("DELETE", "quotas")
