"""The laptop's cloud, running: what it consists of, and what a worker and a user are told of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dayfly_cli.azurite import Azurite
from dayfly_cli.clients import Client
from dayfly_cli.control_plane import ControlPlane
from dayfly_cli.environment import MARK, Given, Service
from dayfly_cli.errors import ServiceError
from dayfly_cli.inbox import Inbox
from dayfly_cli.offline_models import CHAT_MODEL, EMBEDDING_MODEL
from dayfly_cli.postgres import Postgres
from dayfly_cli.processes import Child
from dayfly_cli.state import State
from dayfly_cli.storage import Storage

_LOCAL_HOST = "127.0.0.1"


class Engine(StrEnum):
    """What runs the containers."""

    ACI = "aci"
    POLL = "poll"
    #: Launcher and poller; the client's route decides whose turn it is.
    BOTH = "both"


@dataclass(frozen=True)
class Options:
    """What the user chose."""

    clients: tuple[Client, ...]
    engine: Engine = Engine.ACI
    #: Seconds between two polls of a launcher.
    poll_s: int = 1
    #: How many containers a launcher may run at once: two more than cores, as each waits at times.
    max_containers: int = field(default_factory=lambda: 2 + max(2, os.cpu_count() or 2))
    #: Whether queues, blobs and rows outlive the command.
    durable: bool = True


@dataclass(frozen=True)
class Cloud:
    """Everything, running."""

    options: Options
    given: Given
    state: State
    storage: Storage
    account: Azurite
    plane: ControlPlane
    inbox: Inbox
    models: Service
    databases: Mapping[str, Service]
    #: None = the user's own Supabase.
    server: Postgres | None
    internal_api_key: str = field(repr=False)
    #: The processes without which the rest is of no use.
    vital: Sequence[Child] = field(repr=False, default=())

    def worker_environment(self, client: Client) -> dict[str, str]:
        """Return the environment of a worker of that client."""
        return _worker_environment(self, client)

    def describe(self) -> dict[str, Any]:
        """Return every endpoint and key, for `--json` and for `up.json`."""
        return _describe(self)

    async def broken(self) -> ServiceError:
        """Wait until a vital process ends by itself, and return the error that tells so."""
        waiting = {asyncio.create_task(child.process.wait()): child for child in self.vital}
        if not waiting:
            await asyncio.Event().wait()
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return waiting[done.pop()].ended()
        finally:
            for task in waiting:
                task.cancel()


def _worker_environment(cloud: Cloud, client: Client) -> dict[str, str]:
    database = cloud.databases[client.client_id]
    models = {"OPENAI_MODEL": CHAT_MODEL, "OPENAI_EMBEDDING_MODEL": EMBEDDING_MODEL}
    given = dict(cloud.given.worker)
    hosts = [host for host in given.pop("WEBHOOK_ALLOWED_HOSTS", "").split(",") if host.strip()]
    return {
        "CLIENT_ID": client.client_id,
        "AZURE_STORAGE_CONNECTION_STRING": cloud.account.connection_string,
        "AZURE_STORAGE_CONTAINER_NAME": client.documents,
        "SUPABASE_URL": database.url,
        "SUPABASE_KEY": database.key,
        "OPENAI_API_BASE": cloud.models.url,
        "OPENAI_API_KEY": cloud.models.key,
        **({} if cloud.given.openai else models),
        "INTERNAL_API_KEY": cloud.internal_api_key,
        "WEBHOOK_ALLOWED_HOSTS": ",".join([*hosts, _LOCAL_HOST]),
        "WORKER_POLLING_INTERVAL": "1",
        **given,
    }


def _describe(cloud: Cloud) -> dict[str, Any]:
    clients = {client.client_id: _describe_client(cloud, client) for client in cloud.options.clients}
    first = next(iter(clients.values()))
    plane = cloud.plane
    exported = {
        MARK: str(os.getpid()),
        "DAYFLY_STATE": str(cloud.state.folder),
        "WEBHOOK_INBOX": cloud.inbox.url,
        "IDENTITY_ENDPOINT": plane.identity_endpoint,
        "IDENTITY_HEADER": plane.identity_header,
    }
    return {
        "pid": os.getpid(),
        "state": str(cloud.state.folder),
        "engine": cloud.options.engine.value,
        "storage_connection_string": cloud.account.connection_string,
        "arm": plane.arm,
        "arm_ca": str(plane.arm_ca),
        "arm_admin": plane.admin,
        "resource_group_id": plane.resource_group_id,
        "location": plane.location,
        "identity_endpoint": plane.identity_endpoint,
        "identity_header": plane.identity_header,
        "supabase_url": first["supabase_url"],
        "supabase_key": first["supabase_key"],
        "openai_api_base": cloud.models.url,
        "openai_api_key": cloud.models.key,
        "internal_api_key": cloud.internal_api_key,
        "webhook_inbox": cloud.inbox.url,
        "logs": str(cloud.state.logs),
        "clients": clients,
        "environment": {**first["environment"], **exported},
    }


def _describe_client(cloud: Cloud, client: Client) -> dict[str, Any]:
    database = cloud.databases[client.client_id]
    return {
        "queue": client.queue,
        "poison_queue": client.poison_queue,
        "container": client.container,
        "documents": client.documents,
        "launcher": client.launcher,
        "supabase_url": database.url,
        "supabase_key": database.key,
        "postgres_url": cloud.server.url(client.client_id) if cloud.server else None,
        "environment": cloud.worker_environment(client),
    }
