"""Azurite, Microsoft's storage emulator: queues and blobs over the real wire protocol."""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dayfly_cli.node import azurite_command
from dayfly_cli.processes import Child, child

ACCOUNT = "dayflylocal"
_LISTENING = re.compile(r"Azurite (Blob|Queue) service is successfully listening at (http://[\d.]+:\d+)")


@dataclass(frozen=True)
class Azurite:
    """A storage account on this machine."""

    #: For the SDKs and for the worker.
    connection_string: str = field(repr=False)
    #: `http://127.0.0.1:PORT/ACCOUNT`: what stands for https://ACCOUNT.queue.core.windows.net.
    queue_endpoint: str
    #: The same for https://ACCOUNT.blob.core.windows.net.
    blob_endpoint: str
    account: str
    process: Child = field(repr=False)


@asynccontextmanager
async def azurite(
    packages: Path, log: Path, *, location: Path | None, key: str | None = None
) -> AsyncIterator[Azurite]:
    """Run Azurite on free ports for as long as the context is open.

    Args:
        packages: the folder of npm packages (`dayfly_cli.node.npm_packages`).
        log: where its output goes; emptied first, since the ports are read from it.
        location: the folder that keeps queues and blobs; None = in memory. Azurite writes its tables every
            few seconds and when it stops: one killed outright may lose the last seconds, an in-memory one
            all.
        key: the account key, base64; None = a new one.

    Raises:
        ServiceError: it did not come up.
    """
    key = key or new_key()
    _prepare(log, location)
    ports = ["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]
    quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--disableProductStyleUrl"]
    where = ["--inMemoryPersistence"] if location is None else ["--location", str(location)]
    env = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}

    async def listening() -> dict[str, str] | None:
        return _endpoints(log)

    command = [*azurite_command(packages), *ports, *quiet, *where]
    async with child("Azurite", command, log, env=env) as process:
        at = await process.ready(listening)
        yield _described(f"{at['Queue']}/{ACCOUNT}", f"{at['Blob']}/{ACCOUNT}", key, process)


def new_key() -> str:
    """Return a new account key: 64 random bytes as base64, like Azure's."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _prepare(log: Path, location: Path | None) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    if location is not None:
        location.mkdir(parents=True, exist_ok=True)


def _endpoints(log: Path) -> dict[str, str] | None:
    found = dict(_LISTENING.findall(log.read_text(errors="replace")))
    return found if len(found) == 2 else None


def _described(queue_endpoint: str, blob_endpoint: str, key: str, process: Child) -> Azurite:
    connection_string = (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"BlobEndpoint={blob_endpoint};QueueEndpoint={queue_endpoint};"
    )
    return Azurite(connection_string, queue_endpoint, blob_endpoint, ACCOUNT, process)
