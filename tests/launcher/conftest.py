"""Azure as the launcher meets it, in memory and on a clock moved by hand, so that every fault can be ordered.

`cloud` plays Queue Storage, Blob Storage and ARM's container groups. What a worker would do inside a
container is a `Life`. The services are one file because a test's story runs through all of them, and fixtures
are how tests share things here.
"""

import base64
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET

import httpx
import pytest
from localazure.testing import ManualClock

DEFINITIONS = Path(__file__).parents[2] / "infra/workflows"
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/dayfly"
SECRET = "s3cret-c0ffee-in-the-text"
TASK = {"task_type": "ingest", "task_id": "t-1", "payload": {"filename": "a.pdf", "token": SECRET}}
TEXT = base64.b64encode(json.dumps(TASK).encode()).decode()
SECRETS = (SECRET, TEXT, "key-0f-the-backend", "key-0f-the-workspace")


@dataclass
class Message:
    """A message in the fake queue; `receipt` is the newest one."""

    id: str
    text: str
    inserted_at: datetime
    expires_at: datetime
    visible_at: datetime
    dequeue_count: int = 0
    receipt: str = ""


@dataclass
class Blob:
    data: bytes
    etag: str
    content_type: str


@dataclass
class Life:
    """What becomes of a container group, in seconds from its creation.

    `worker` says what the process does to the message: completes, fails, retries, crashes (after it entered
    the ledger), dies (between taking the lease over and the ledger), or nothing at all.
    """

    worker: str = "completes"
    appears_after: float = 0
    starts_after: float | None = 20
    runs_for: float = 30
    exit_code: int = 0
    provisioning_fails_after: float | None = None
    vanishes_after: float | None = None
    restarts: bool = False
    delete_takes: float = 0
    log: str = "line one\nline two\n"


@dataclass
class Group:
    body: dict[str, Any]
    life: Life
    created_at: datetime
    removed_at: datetime | None = None

    @property
    def variables(self) -> dict[str, str]:
        (container,) = self.body["properties"]["containers"]
        each = container["properties"]["environmentVariables"]
        return {variable["name"]: variable.get("value", variable.get("secureValue")) for variable in each}


@dataclass
class Fault:
    """An answer ordered in place of the real one; `lost`: the real one happens, but its answer is lost."""

    method: str
    part: str
    status: int
    code: str = ""
    times: int | None = None
    lost: bool = False


class Cloud(httpx.AsyncBaseTransport):
    """The services. `story` tells in order what changed, in words."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.messages: dict[str, Message] = {}
        self.poison: list[dict[str, Any]] = []
        self.poison_ttls: list[str] = []
        self.blobs: dict[str, Blob] = {}
        self.groups: dict[str, Group] = {}
        self.created: list[Group] = []
        self.life = Life()
        self.faults: list[Fault] = []
        self.watchers: list[tuple[str, str, Callable[[], Any]]] = []
        self.requests: list[httpx.Request] = []
        self.story: list[str] = []
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)

    # ---- what tests order ---------------------------------------------------------------------------------

    def put(
        self,
        text: str = TEXT,
        *,
        age: timedelta = timedelta(),
        life: timedelta | None = None,
        received: int = 0,
        message_id: str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    ) -> Message:
        """Put a message of that age; `life` is what is left of it, None = it never expires."""
        now = self.clock.now()
        expires = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) if life is None else now + life
        message = Message(message_id, text, now - age, expires, now, received)
        self.messages[message.id] = message
        return message

    def receive(self, message: Message, hide_s: float = 3600) -> dict[str, str]:
        """Get Messages, in the connector's words."""
        self.run_due()
        message.dequeue_count += 1
        self._renew(message, hide_s)
        return {
            "MessageId": message.id,
            "InsertionTime": format_datetime(message.inserted_at, usegmt=True),
            "ExpirationTime": format_datetime(message.expires_at, usegmt=True),
            "PopReceipt": message.receipt,
            "TimeNextVisible": format_datetime(message.visible_at, usegmt=True),
            "MessageText": message.text,
            "DequeueCount": str(message.dequeue_count),
        }

    def leave(self, name: str, tags: dict[str, str]) -> None:
        """Create a container group that no launcher watches."""
        container = {
            "name": "worker",
            "properties": {"environmentVariables": [{"name": "MESSAGE_ID", "value": ""}]},
        }
        body = {"tags": tags, "properties": {"containers": [container]}}
        self.groups[name] = Group(body, self.life, self.clock.now())

    def put_json(self, name: str, value: Any, content_type: str = "application/octet-stream") -> None:
        self.blobs[name] = Blob(json.dumps(value).encode(), f'"0x{next(self._numbers)}"', content_type)

    def json(self, name: str) -> Any:
        return json.loads(self.blobs[name].data)

    def entry(self, key: str) -> Any:
        return self.json(f"ledger/{key}.json")

    def fail(self, method: str, part: str, status: int, code: str = "", times: int | None = None) -> None:
        """Answer requests whose address holds `part` so, without effect."""
        self.faults.append(Fault(method, part, status, code, times))

    def lose(self, method: str, part: str, times: int | None = 1) -> None:
        """Let the requests have their effect, but lose the answer."""
        self.faults.append(Fault(method, part, 0, times=times, lost=True))

    def before(self, method: str, part: str, act: Callable[[], Any]) -> None:
        """Do something when such a request comes in, before it is answered."""
        self.watchers.append((method, part, act))

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        self._due.append((self.clock.now() + timedelta(seconds=seconds), next(self._numbers), act))
        self._due.sort()

    def run_due(self) -> None:
        while self._due and self._due[0][0] <= self.clock.now():
            self._due.pop(0)[2]()

    @property
    def groups_left(self) -> list[str]:
        return [name for name, group in self.groups.items() if self._exists(group)]

    def sent(self, method: str, part: str) -> list[httpx.Request]:
        return [r for r in self.requests if r.method == method and part in str(r.url)]

    # ---- the wire -----------------------------------------------------------------------------------------

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.run_due()
        self.requests.append(request)
        self.act_before(request)
        for fault in self.faults:
            if fault.method == request.method and fault.part in str(request.url) and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                if not fault.lost:
                    return self._error(request, fault.status, fault.code)
                self._answer(request)
                raise httpx.ReadTimeout("the answer was lost", request=request)
        return self._answer(request)

    def act_before(self, request: httpx.Request) -> None:
        for method, part, act in self.watchers:
            if method == request.method and part in str(request.url):
                act()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        host, path = request.url.host, unquote(request.url.path)
        if host == "management.azure.com":
            assert request.headers["authorization"] == "Bearer token of https://management.azure.com/"
            return self._arm(request, path)
        assert request.headers["authorization"] == "Bearer token of https://storage.azure.com/"
        assert request.headers["x-ms-version"]
        assert request.headers["x-ms-date"].endswith("GMT")
        if host == "acct.queue.core.windows.net":
            return self._queue(request, path)
        assert host == "acct.blob.core.windows.net"
        return self._blob(request, path.removeprefix("/acme-dayfly/"))

    def _error(self, request: httpx.Request, status: int, code: str) -> httpx.Response:
        if request.url.host == "management.azure.com":
            if code == "":
                return httpx.Response(status, text="<html>a gateway's page</html>")
            # A service may quote what it was sent: nothing of that may show.
            told = request.content.decode()
            return httpx.Response(status, json={"error": {"code": code, "message": f"refused: {told}"}})
        body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code></Error>'
        headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
        return httpx.Response(status, headers=headers, content=body)

    # ---- Queue Storage ------------------------------------------------------------------------------------

    def _renew(self, message: Message, seconds: float) -> None:
        message.receipt = f"receipt+/{next(self._numbers)}=="
        message.visible_at = self.clock.now() + timedelta(seconds=seconds)

    def _queue(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "/acme-tasks-poison/messages":
            text = ET.fromstring(request.content).findtext("MessageText") or ""  # noqa: S314 # our own text
            self.poison.append(json.loads(text))
            self.poison_ttls += parse_qs(request.url.query.decode())["messagettl"]
            self.story.append("poison message put")
            return httpx.Response(201)
        query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        if query.get("comp") == "metadata":
            count = len(self.poison) if path == "/acme-tasks-poison" else len(self.messages)
            return httpx.Response(200, headers={"x-ms-approximate-messages-count": str(count)})
        if query.get("peekonly") == "true":
            return self._peek()
        found = re.fullmatch(r"/acme-tasks/messages/(.+)", path)
        assert found, path
        message = self.messages.get(found[1])
        if message is None:
            return self._error(request, 404, "MessageNotFound")
        if query["popreceipt"] != message.receipt:
            return self._error(request, 400, "PopReceiptMismatch")
        if request.method == "DELETE":
            del self.messages[message.id]
            self.story.append("message deleted")
            return httpx.Response(204)
        assert request.method == "PUT"
        assert not request.content, "a body would replace the text"
        hidden_s = int(query["visibilitytimeout"])
        if self.clock.now() + timedelta(seconds=hidden_s) > message.expires_at:
            return self._error(request, 400, "OutOfRangeQueryParameterValue")
        self._renew(message, hidden_s)
        self.story.append(f"message hidden for {hidden_s} s")
        return httpx.Response(204, headers={"x-ms-popreceipt": message.receipt})

    def _peek(self) -> httpx.Response:
        visible = [m for m in self.messages.values() if m.visible_at <= self.clock.now()]
        shown = "".join(
            f"<QueueMessage><MessageId>{m.id}</MessageId>"
            f"<InsertionTime>{format_datetime(m.inserted_at, usegmt=True)}</InsertionTime>"
            f"<MessageText>{m.text}</MessageText></QueueMessage>"
            for m in visible
        )
        body = f'<?xml version="1.0" encoding="utf-8"?><QueueMessagesList>{shown}</QueueMessagesList>'
        return httpx.Response(200, headers={"Content-Type": "application/xml"}, content=body)

    # ---- Blob Storage -------------------------------------------------------------------------------------

    def _blob(self, request: httpx.Request, name: str) -> httpx.Response:
        blob = self.blobs.get(name)
        if request.method == "GET":
            if blob is None:
                return self._error(request, 404, "BlobNotFound")
            headers = {"ETag": blob.etag, "Content-Type": blob.content_type}
            return httpx.Response(200, headers=headers, content=blob.data)
        assert request.method == "PUT"
        assert request.headers["x-ms-blob-type"] == "BlockBlob"
        if request.headers.get("if-none-match") == "*" and blob is not None:
            return self._error(request, 409, "BlobAlreadyExists")
        if "if-match" in request.headers and (blob is None or request.headers["if-match"] != blob.etag):
            return self._error(request, 412, "ConditionNotMet")
        self.blobs[name] = Blob(
            request.content, f'"0x{next(self._numbers)}"', request.headers["content-type"]
        )
        self.story.append(f"{name.partition('/')[0]} written")
        return httpx.Response(201, headers={"ETag": self.blobs[name].etag})

    # ---- container groups ---------------------------------------------------------------------------------

    def _arm(self, request: httpx.Request, path: str) -> httpx.Response:
        assert "api-version=2023-05-01" in str(request.url)
        prefix = f"{GROUP}/providers/Microsoft.ContainerInstance/containerGroups/"
        if path == prefix.rstrip("/"):
            listed = [self._shown(name, each) for name, each in self.groups.items() if self._exists(each)]
            for each in listed:
                for container in each["properties"]["containers"]:
                    del container["properties"]["instanceView"]
            return httpx.Response(200, json={"value": listed})
        name, _, rest = path.removeprefix(prefix).partition("/")
        group = self.groups.get(name)
        if request.method == "PUT":
            group = self.groups[name] = Group(json.loads(request.content), self.life, self.clock.now())
            self.created.append(group)
            self._schedule(name, group)
            self.story.append("group created")
            return httpx.Response(201, json=self._shown(name, group))
        if group is None or not self._exists(group):
            if request.method == "DELETE":
                return httpx.Response(204)
            return self._error(request, 404, "ResourceNotFound")
        if rest:
            assert rest == "containers/worker/logs"
            return httpx.Response(200, json={"content": group.life.log})
        if request.method == "DELETE":
            self.story.append("group deleted")
            group.removed_at = self.clock.now() + timedelta(seconds=group.life.delete_takes)
            return httpx.Response(202)
        return httpx.Response(200, json=self._shown(name, group))

    def _age(self, group: Group) -> float:
        return (self.clock.now() - group.created_at).total_seconds()

    def _exists(self, group: Group) -> bool:
        vanishes = group.life.vanishes_after
        removed = group.removed_at is not None and self.clock.now() >= group.removed_at
        return group.life.appears_after <= self._age(group) < (vanishes or float("inf")) and not removed

    def _schedule(self, name: str, group: Group) -> None:
        life = group.life
        if life.starts_after is None:
            return
        worker = Worker(self, name, group)
        self.at(life.starts_after, worker.start)
        self.at(life.starts_after + life.runs_for, worker.end)

    def _shown(self, name: str, group: Group) -> dict[str, Any]:
        life, age = group.life, self._age(group)
        starts = float("inf") if life.starts_after is None else life.starts_after
        provisioning = "Succeeded" if age >= starts else "Creating"
        view: dict[str, Any] | None = {"restartCount": 0, "events": [{"name": "Pulling", "type": "Normal"}]}
        ended = {"state": "Terminated", "exitCode": life.exit_code, "detailStatus": "Completed"}
        if life.starts_after is not None:
            ended["finishTime"] = (group.created_at + timedelta(seconds=starts + life.runs_for)).isoformat()
        running = {"state": "Running", "startTime": group.created_at.isoformat()}
        if life.provisioning_fails_after is not None and age >= life.provisioning_fails_after:
            provisioning = "Failed"
            view["events"].append({"name": "Failed", "message": "Failed to pull image", "type": "Warning"})
        elif age < starts:
            view = None
        elif age < starts + life.runs_for:
            view["currentState"] = running
        elif life.restarts:
            view |= {"currentState": running, "previousState": ended, "restartCount": 1}
        else:
            view["currentState"] = ended
        body = json.loads(json.dumps(group.body))
        for container in body["properties"]["containers"]:
            for variable in container["properties"]["environmentVariables"]:
                variable.pop("secureValue", None)
            container["properties"]["instanceView"] = view
        body["properties"] |= {"provisioningState": provisioning, "instanceView": {"state": "Running"}}
        return body | {"name": name}


@dataclass
class Worker:
    """The process in a container, as far as queue and ledger see it."""

    cloud: Cloud
    name: str
    group: Group
    receipt: str = ""

    @property
    def alive(self) -> bool:
        return self.group.removed_at is None and self.cloud.groups.get(self.name) is self.group

    def start(self) -> None:
        kind, variables = self.group.life.worker, self.group.variables
        message = self.cloud.messages.get(variables["MESSAGE_ID"])
        if kind == "nothing" or not self.alive or not message or message.receipt != variables["POP_RECEIPT"]:
            return
        self.cloud._renew(message, 120)
        self.receipt = message.receipt
        self.cloud.story.append("worker takes the message over")
        if kind != "dies":
            self.cloud.put_json(f"ledger/{message.id}.json", entry_of(message, self.cloud.clock.now()))

    def end(self) -> None:
        kind = self.group.life.worker
        message = self.cloud.messages.get(self.group.variables["MESSAGE_ID"])
        if not self.alive or not message or message.receipt != self.receipt:
            return
        if kind == "retries":
            self.cloud._renew(message, 60)
        elif kind in ("completes", "fails"):
            status, reason = ("completed", None) if kind == "completes" else ("failed", "failed")
            name = f"ledger/{message.id}.json"
            self.cloud.put_json(name, self.cloud.json(name) | settled(status, reason))
            del self.cloud.messages[message.id]
            self.cloud.story.append("worker deletes the message")


def entry_of(message: Message, began_at: datetime, **changes: Any) -> dict[str, Any]:
    """A ledger entry with one attempt of this message, without outcome."""
    attempt = {
        "id": "a1", "message_id": message.id, "dequeue_count": message.dequeue_count,
        "container_group": None, "began_at": began_at.isoformat(), "ended_at": None, "error": None,
    }  # fmt: skip
    holder = {
        "id": message.id, "generation": 0, "dequeue_count": message.dequeue_count,
        "inserted_at": message.inserted_at.isoformat(), "expires_at": None,
    }  # fmt: skip
    task = {"task_id": "t<1>&", "task_type": "ingest", "webhook_url": "https://backend.example/hook"}
    return {
        "version": 1, "key": message.id, "queue": "acme-tasks", "message": holder, "task": task,
        "attempts": [attempt], "outcome": None, "delivery": None, "log": f"handler says {SECRET}",
    } | changes  # fmt: skip


def settled(
    status: str = "failed", reason: str | None = "exhausted", mark: str | None = "delivered"
) -> dict[str, Any]:
    """Outcome and mark of an entry; mark None = not delivered yet."""
    outcome = {
        "status": status, "reason": reason, "result": None, "error": SECRET,
        "at": "2030-01-01T00:00:00+00:00", "attempt_id": "a1",
    }  # fmt: skip
    delivery = {"state": mark, "at": "2030-01-01T00:00:00+00:00", "tries": 1, "error": None} if mark else None
    return {"outcome": outcome, "delivery": delivery}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(auto_advance=True)


@pytest.fixture
def cloud(clock: ManualClock) -> Cloud:
    return Cloud(clock)


@pytest.fixture
def life() -> type[Life]:
    return Life


@pytest.fixture
def entry() -> Callable[..., dict[str, Any]]:
    return entry_of


@pytest.fixture
def ended() -> Callable[..., dict[str, Any]]:
    return settled


@pytest.fixture
def task_text() -> str:
    return TEXT


@pytest.fixture
def secrets() -> tuple[str, ...]:
    return SECRETS
