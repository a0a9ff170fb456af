"""Queues and blobs as the command uses them, local or in Azure, through the official SDK."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import AzureError as SdkError
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from dayfly_cli.clients import Client
from dayfly_cli.errors import AzureError, InputError

#: Somebody is waiting at a terminal: the SDK's own pauses add up to a minute and a half.
_RETRY: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2, "retry_total": 3}


@dataclass(frozen=True)
class Storage:
    """A storage account. Every method raises AzureError when the account refuses."""

    queues: QueueServiceClient
    blobs: BlobServiceClient

    async def create(self, client: Client) -> None:
        """Create the client's queues and containers; those that are there stay as they are."""
        for queue in (client.queue, client.poison_queue):
            with _told(f"queue {queue}"), _there_already():
                await self.queues.create_queue(queue)
        for container in (client.container, client.documents):
            with _told(f"container {container}"), _there_already():
                await self.blobs.create_container(container)

    async def upload(self, container: str, name: str, content: bytes) -> None:
        """Write a blob, in place of what was there."""
        with _told(f"blob {container}/{name}"):
            await self.blobs.get_blob_client(container, name).upload_blob(content, overwrite=True)

    async def has_blob(self, container: str, name: str) -> bool:
        """Tell whether a blob is there; none is under a name that no container or blob can have."""
        with _told(f"blob {container}/{name}"):
            try:
                return await self.blobs.get_blob_client(container, name).exists()
            except HttpResponseError as exc:
                if exc.status_code == HTTPStatus.BAD_REQUEST:
                    return False
                raise

    async def read_json(self, container: str, name: str) -> Any:
        """Return a blob's JSON; None = there is no such blob."""
        with _told(f"blob {container}/{name}"):
            try:
                download = await self.blobs.get_blob_client(container, name).download_blob()
            except ResourceNotFoundError:
                return None
            return json.loads(await download.readall())

    async def versions(self, container: str, prefix: str) -> dict[str, str]:
        """Return the ETags of the blobs whose names begin with `prefix`, by name."""
        with _told(f"container {container}"):
            found = self.blobs.get_container_client(container).list_blobs(name_starts_with=prefix)
            return {blob.name: str(blob.etag) async for blob in found}

    async def write_json(self, container: str, name: str, value: Mapping[str, Any]) -> None:
        """Write a blob of JSON."""
        await self.upload(container, name, json.dumps(value).encode())

    async def put(self, queue: str, text: str) -> str:
        """Put a message as the backend does, base64 over UTF-8, and return its id."""
        stored = base64.b64encode(text.encode()).decode()
        with _told(f"queue {queue}"):
            return str((await self.queues.get_queue_client(queue).send_message(stored)).id)

    async def count(self, queue: str) -> int:
        """Return how many messages a queue holds, hidden ones included (approximate on Azure)."""
        with _told(f"queue {queue}"):
            properties = await self.queues.get_queue_client(queue).get_queue_properties()
            return int(properties.approximate_message_count or 0)


@asynccontextmanager
async def open_storage(connection_string: str) -> AsyncIterator[Storage]:
    """Open the account that a connection string names.

    Raises:
        InputError: it is no connection string.
    """
    async with AsyncExitStack() as stack:
        try:
            queues = QueueServiceClient.from_connection_string(connection_string, **_RETRY)
            blobs = BlobServiceClient.from_connection_string(connection_string, **_RETRY)
        except ValueError as exc:
            raise InputError(f"AZURE_STORAGE_CONNECTION_STRING is not usable: {exc}") from exc
        yield Storage(await stack.enter_async_context(queues), await stack.enter_async_context(blobs))


@asynccontextmanager
async def open_storage_by_identity(account_url: str) -> AsyncIterator[Storage]:
    """Open an account by whoever is signed in here (DefaultAzureCredential).

    Args:
        account_url: the account's blob or queue endpoint, `https://ACCOUNT.blob.core.windows.net`.

    Raises:
        InputError: it is no https URL.
    """
    if not account_url.startswith("https://"):
        raise InputError(
            f"AZURE_STORAGE_ACCOUNT_URL is {account_url!r}: write it as https://ACCOUNT.blob.core.windows.net"
        )
    from azure.identity.aio import DefaultAzureCredential  # only Azure needs it, and it is slow to import

    base = account_url.rstrip("/")
    async with DefaultAzureCredential() as credential, AsyncExitStack() as stack:
        queues = QueueServiceClient(base.replace(".blob.", ".queue.", 1), credential=credential, **_RETRY)
        blobs = BlobServiceClient(base.replace(".queue.", ".blob.", 1), credential=credential, **_RETRY)
        yield Storage(await stack.enter_async_context(queues), await stack.enter_async_context(blobs))


@contextmanager
def _told(thing: str) -> Iterator[None]:
    try:
        yield
    except HttpResponseError as exc:
        if exc.status_code is None:  # no answer of the account: the identity gave no token
            raise AzureError(
                f"nobody is signed in who could ask for {thing}: run `az login`, or set "
                "AZURE_STORAGE_CONNECTION_STRING"
            ) from exc
        code = getattr(exc, "error_code", None) or exc.reason or "no reason"
        code = getattr(code, "value", code)
        raise AzureError(f"storage refused {thing}: {exc.status_code} {code}") from exc
    except SdkError as exc:
        raise AzureError(f"storage could not be asked for {thing}: {str(exc).splitlines()[0]}") from exc


@contextmanager
def _there_already() -> Iterator[None]:
    try:
        yield
    except ResourceExistsError:
        return
