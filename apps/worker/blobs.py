"""Documents in Azure Blob Storage: where one lies, and a copy of it. Nothing else calls that service."""

import tempfile
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import IO, Any
from urllib.parse import unquote

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

from worker.errors import (
    BlobChanged,
    BlobMissing,
    BlobRefused,
    DocumentUnreadable,
    Misconfigured,
    RequestRefused,
    ServiceUnavailable,
)
from worker.limits import BLOB_NAME_MAX_CHARACTERS
from worker.payloads import DocumentTask
from worker.settings import DocumentSettings

__all__ = ["BlobAddress", "BlobVersion", "DocumentStore", "DownloadedBlob", "locate"]

_PIECE_BYTES = 4 * 1024**2
_UNQUOTE_ROUNDS = 4
_NOT_READABLE = frozenset({"BlobArchived"})


@dataclass(frozen=True)
class BlobAddress:
    """Where a blob lies. As text: `container/path`."""

    container: str
    path: str

    def __str__(self) -> str:
        return f"{self.container}/{self.path}"


@dataclass(frozen=True)
class BlobVersion:
    """Which content of a blob: when it was written (to the second), and its ETag without quotes."""

    last_modified: datetime
    etag: str


@dataclass(frozen=True)
class DownloadedBlob:
    """A copy of a blob.

    Attributes:
        file: the copy, at its beginning; it has no name and is gone when closed.
        size_bytes: its length.
        version: which content this is.
    """

    file: IO[bytes]
    size_bytes: int
    version: BlobVersion


def locate(task: DocumentTask, settings: DocumentSettings) -> BlobAddress:
    """Where a task's document lies: at its `file_url`, or by document set and filename.

    Raises:
        BlobRefused: the name would leave the containers that a task may read; the error shows it.
    """
    _check(task.filename, "filename")
    _check(task.document_set, "document_set")
    if task.file_url is None:
        address = BlobAddress(settings.azure_storage_container_name, f"{task.document_set}/{task.filename}")
    else:
        _check(task.file_url, "file_url")
        container, _, path = task.file_url.partition("/")
        address = BlobAddress(container, path)
    if not address.path:
        raise BlobRefused(f"file_url {task.file_url!r:.200} names no blob; it should be container/path")
    if address.container not in settings.containers:
        allowed = ", ".join(sorted(settings.containers))
        raise BlobRefused(
            f"file_url {task.file_url!r:.200} is in container {address.container!r:.80}; allowed: {allowed}"
        )
    return address


def _check(name: str, what: str) -> None:
    """Refuse a name that some layer could read as another place, also after it is percent-decoded."""
    decoded = name
    for _ in range(_UNQUOTE_ROUNDS):
        if problem := _problem(decoded):
            raise BlobRefused(f"{what} {name!r:.200} {problem}")
        if decoded == (decoded := unquote(decoded)):
            break
    if decoded.count("/") != name.count("/"):
        raise BlobRefused(f"{what} {name!r:.200} holds an encoded slash")


def _problem(name: str) -> str | None:
    segments = name.split("/")
    if len(name) > BLOB_NAME_MAX_CHARACTERS:
        return f"is longer than {BLOB_NAME_MAX_CHARACTERS} characters"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "holds control characters"
    if "\\" in name:
        return "holds a backslash"
    if "://" in name:
        return "is a URL; it should be container/path"
    if name.startswith("/"):
        return "is absolute"
    if any(segment.strip() in (".", "..") for segment in segments):
        return "leaves its folder ('.' or '..')"
    if any(not segment.strip() for segment in segments):
        return "has an empty segment"
    return None


class DocumentStore:
    """The storage account of the documents, reached by connection string or by identity.

    Raises:
        Misconfigured: on entry, when neither is set.
    """

    def __init__(self, settings: DocumentSettings) -> None:
        self._settings = settings
        self._credential: Any = None
        self._service: BlobServiceClient | None = None

    async def __aenter__(self) -> "DocumentStore":
        options: dict[str, Any] = {
            "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=3),
            "connection_timeout": 10,
            "read_timeout": 60,
            "max_single_get_size": _PIECE_BYTES,
            "max_chunk_get_size": _PIECE_BYTES,
        }
        if self._settings.azure_storage_connection_string is not None:
            secret = self._settings.azure_storage_connection_string.get_secret_value()
            try:
                self._service = BlobServiceClient.from_connection_string(secret, **options)
            except ValueError as error:
                raise Misconfigured("AZURE_STORAGE_CONNECTION_STRING is no connection string") from error
        elif self._settings.azure_storage_account_url:
            from azure.identity.aio import DefaultAzureCredential  # only an account without keys needs it

            self._credential = DefaultAzureCredential()
            url = self._settings.azure_storage_account_url
            self._service = BlobServiceClient(url, credential=self._credential, **options)
        else:
            raise Misconfigured("set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_URL")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._service is not None:
            await self._service.close()
        if self._credential is not None:
            await self._credential.close()

    @asynccontextmanager
    async def download(self, address: BlobAddress) -> AsyncIterator[DownloadedBlob]:
        """Copy a blob to a temporary file, which lasts as long as the context.

        The file has no name from the start, so that nothing of it stays behind, whatever happens.

        Raises:
            BlobMissing: nothing is stored there.
            DocumentUnreadable: it is larger than `worker_max_document_bytes`; judged before and while
                it is copied.
            BlobChanged: it was replaced meanwhile.
            ServiceUnavailable: storage did not answer.
            Misconfigured: the container is missing, or storage refused the credentials.
        """
        with tempfile.TemporaryFile() as file:
            size_bytes, version = await self._copy(address, file)
            file.seek(0)
            yield DownloadedBlob(file, size_bytes, version)

    async def version(self, address: BlobAddress) -> BlobVersion | None:
        """Which version of a blob storage holds now; None if nothing is stored there."""
        try:
            with _mapped(address):
                return _version(await self._client(address).get_blob_properties())
        except BlobMissing:
            return None

    async def _copy(self, address: BlobAddress, file: IO[bytes]) -> tuple[int, BlobVersion]:
        with _mapped(address):
            download = await self._client(address).download_blob(max_concurrency=1)
            self._check_size(address, download.size)
            size_bytes = 0
            async for piece in download.chunks():
                size_bytes += len(piece)
                self._check_size(address, size_bytes)
                file.write(piece)
        file.flush()
        return size_bytes, _version(download.properties)

    def _check_size(self, address: BlobAddress, size_bytes: int) -> None:
        limit = self._settings.worker_max_document_bytes
        if size_bytes > limit:
            raise DocumentUnreadable(
                f"{address} is too large: {size_bytes:,} bytes, and at most {limit:,} are read "
                "(WORKER_MAX_DOCUMENT_BYTES)"
            )

    def _client(self, address: BlobAddress) -> Any:
        if self._service is None:
            raise RuntimeError("use DocumentStore as a context manager")
        return self._service.get_blob_client(address.container, address.path)


@contextmanager
def _mapped(address: BlobAddress) -> Iterator[None]:
    """Turn the SDK's errors into ours, once."""
    try:
        yield
    except AzureError as error:
        raise _ours(address, error) from error


def _ours(address: BlobAddress, error: AzureError) -> Exception:
    code = str(getattr(error, "error_code", "") or "")
    if code == "ContainerNotFound":
        return Misconfigured(f"container {address.container!r} does not exist in the storage account")
    if isinstance(error, ResourceNotFoundError):
        return BlobMissing(f"there is no blob {address}")
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        return ServiceUnavailable(f"storage did not answer for {address}: {error.message}")
    match error.status_code:
        case 409 if code in _NOT_READABLE:
            return RequestRefused(f"storage holds {address} where it cannot be read ({code}): rehydrate it")
        case 412:
            return BlobChanged(f"{address} was replaced while it was read")
        case 401 | 403:
            return Misconfigured(f"storage refused the worker's credentials for {address} ({code})")
        case 408 | 409 | 429:
            return ServiceUnavailable(f"storage answered {error.status_code} for {address} ({code})")
        case status if status >= 500:
            return ServiceUnavailable(f"storage answered {status} for {address} ({code})")
        case status:
            return RequestRefused(f"storage refused {address}: {status} {code or error.reason}")


def _version(properties: Any) -> BlobVersion:
    return BlobVersion(properties.last_modified, str(properties.etag).strip('"'))
