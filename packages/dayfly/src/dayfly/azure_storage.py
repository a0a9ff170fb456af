"""Azure Storage behind the two ports, through the official SDK. Nothing else of the runtime calls it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue.aio import QueueClient

from dayfly.errors import Conflict, ReceiptRefused, ResourceMissing, StorageError, StorageUnavailable
from dayfly.storage import Blob, QueueMessage, Receipt

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

__all__ = ["AzureBlobContainer", "AzureQueue", "StorageAccount"]

# The SDK tries again by itself after network errors, 408, 429 and 5xx, with growing pauses.
_RETRIES: dict[str, Any] = {"retry_total": 4, "connection_timeout": 10, "read_timeout": 60}

_REFUSED_RECEIPT = {"MessageNotFound", "PopReceiptMismatch"}
_MISSING = {"QueueNotFound", "ContainerNotFound", "ResourceNotFound", "QueueBeingDeleted"}
_CONFLICT = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet", "BlobNotFound"}
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class StorageAccount:
    """How to reach an account: by connection string, or by identity at its blob endpoint.

    Attributes:
        connection_string: None where `account_url` is given.
        account_url: `https://{account}.blob.core.windows.net`; the queue endpoint follows from it.
    """

    connection_string: str | None = None
    account_url: str | None = None

    def __repr__(self) -> str:
        return f"StorageAccount(account_url={self.account_url!r}, connection_string=***)"

    def queue(self, name: str) -> "AzureQueue":
        """One queue of the account."""
        if self.connection_string:
            client = QueueClient.from_connection_string(self.connection_string, name, **_RETRIES)
        else:
            url = (self.account_url or "").replace(".blob.", ".queue.", 1)
            client = QueueClient(url, name, credential=_identity(), **_RETRIES)
        return AzureQueue(client)

    def container(self, name: str) -> "AzureBlobContainer":
        """One blob container of the account."""
        return AzureBlobContainer(self, name)


def _identity() -> Any:
    from azure.identity.aio import DefaultAzureCredential  # an account without keys alone needs it

    return DefaultAzureCredential()


class AzureQueue:
    """A Storage queue; texts pass as they are stored, neither encoded nor decoded."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._client.queue_name

    async def receive(self, count: int, visibility_timeout_s: float) -> list[QueueMessage]:
        """Get up to `count` (1 to 32) visible messages and hide them."""
        async with _mapped(f"queue {self.name}"):
            pages = self._client.receive_messages(
                messages_per_page=count, max_messages=count, visibility_timeout=_seconds(visibility_timeout_s)
            )
            return [_message(m) async for m in pages]

    async def update(self, receipt: Receipt, visibility_timeout_s: float) -> Receipt:
        """Hide a message for so long from now; the answer is its newest receipt."""
        async with _mapped(f"message {receipt.message_id} in queue {self.name}"):
            updated = await self._client.update_message(
                receipt.message_id,
                receipt.pop_receipt,
                visibility_timeout=round(visibility_timeout_s),
            )
            return Receipt(receipt.message_id, str(updated.pop_receipt))

    async def put(self, text: str, visibility_timeout_s: float = 0) -> QueueMessage:
        """Put a message that never expires, hidden for so long."""
        async with _mapped(f"queue {self.name}"):
            sent = await self._client.send_message(
                text, visibility_timeout=round(visibility_timeout_s), time_to_live=-1
            )
            return _message(sent, text=text)

    async def delete(self, receipt: Receipt) -> None:
        """Delete a message."""
        async with _mapped(f"message {receipt.message_id} in queue {self.name}"):
            await self._client.delete_message(receipt.message_id, receipt.pop_receipt)

    async def check(self) -> None:
        """Raise `ResourceMissing` if the queue does not exist."""
        async with _mapped(f"queue {self.name}"):
            await self._client.get_queue_properties()

    async def __aenter__(self) -> "AzureQueue":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()


class AzureBlobContainer:
    """A blob container. Its SDK loads at the first call: a lease is taken over without it."""

    def __init__(self, account: StorageAccount, name: str) -> None:
        self._account = account
        self._name = name
        self._opened: ContainerClient | None = None

    @property
    def name(self) -> str:
        """The container's name."""
        return self._name

    def _client(self) -> "ContainerClient":
        if self._opened is None:
            from azure.storage.blob.aio import ContainerClient

            if self._account.connection_string:
                self._opened = ContainerClient.from_connection_string(
                    self._account.connection_string, self._name, **_RETRIES
                )
            else:
                self._opened = ContainerClient(
                    self._account.account_url or "", self._name, credential=_identity(), **_RETRIES
                )
        return self._opened

    async def read(self, name: str) -> Blob | None:
        """Read a blob; None where there is none."""
        try:
            async with _mapped(f"blob {self._name}/{name}"):
                stream = await self._client().download_blob(name)
                return Blob(await stream.readall(), stream.properties.etag)
        except Conflict:
            return None

    async def create(self, name: str, data: bytes) -> str:
        """Write a blob that does not exist yet; the answer is its ETag."""
        async with _mapped(f"blob {self._name}/{name}"):
            return _etag(await self._client().get_blob_client(name).upload_blob(data, overwrite=False))

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Write a blob that still is as it was read; the answer is its new ETag."""
        async with _mapped(f"blob {self._name}/{name}"):
            return _etag(
                await self._client()
                .get_blob_client(name)
                .upload_blob(data, overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
            )

    async def write(self, name: str, data: bytes) -> None:
        """Write a blob, whatever was there."""
        async with _mapped(f"blob {self._name}/{name}"):
            await self._client().get_blob_client(name).upload_blob(data, overwrite=True)

    async def delete(self, name: str) -> None:
        """Delete a blob; one that is not there is fine."""
        try:
            async with _mapped(f"blob {self._name}/{name}"):
                await self._client().delete_blob(name)
        except Conflict:
            return

    async def check(self) -> None:
        """Raise `ResourceMissing` if the container does not exist."""
        async with _mapped(f"container {self._name}"):
            await self._client().get_container_properties()

    async def __aenter__(self) -> "AzureBlobContainer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()


@asynccontextmanager
async def _mapped(what: str) -> AsyncIterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except HttpResponseError as error:
        raise _ours(error, what) from error
    except AzureError as error:
        raise StorageUnavailable(f"{what}: {error}") from error


def _ours(error: HttpResponseError, what: str) -> StorageError:
    code = getattr(error, "error_code", None) or ""
    code = str(getattr(code, "value", code))  # an enum, where the SDK knows the code
    if code in _REFUSED_RECEIPT:
        return ReceiptRefused(f"{what}: {code}")
    if code in _MISSING:
        return ResourceMissing(f"{what} does not exist; deploy it, or run `dayfly up` on a laptop")
    if code in _CONFLICT or error.status_code == 412:
        return Conflict(f"{what}: {code or error.status_code}")
    return StorageUnavailable(f"{what}: {error.status_code} {code} {error.reason or ''}".rstrip())


def _message(sdk: Any, text: str | None = None) -> QueueMessage:
    expires_at = sdk.expires_on
    return QueueMessage(
        receipt=Receipt(sdk.id, sdk.pop_receipt),
        text=sdk.content if text is None else text,
        dequeue_count=sdk.dequeue_count or 0,
        inserted_at=sdk.inserted_on,
        expires_at=expires_at if expires_at and expires_at < _NEVER else None,
    )


def _etag(answer: Any) -> str:
    return str(answer["etag"])


def _seconds(value: float) -> int:
    """Get Messages takes whole seconds, one at least."""
    return max(1, round(timedelta(seconds=value).total_seconds()))
