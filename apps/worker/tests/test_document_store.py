"""Documents out of Azure Blob Storage (Azurite): downloaded whole, within the limit, errors told apart."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from worker.blobs import BlobAddress, DocumentStore
from worker.errors import (
    BlobChanged,
    BlobMissing,
    DocumentUnreadable,
    Misconfigured,
    RequestRefused,
    ServiceUnavailable,
)
from worker.settings import DocumentSettings

LIMIT = 5 * 1024**2


@pytest.fixture
async def store(storage: Any) -> AsyncIterator[DocumentStore]:
    settings = DocumentSettings(
        azure_storage_connection_string=storage.connection_string, worker_max_document_bytes=LIMIT
    )
    async with DocumentStore(settings) as opened:
        yield opened


async def test_a_blob_is_copied_whole_with_its_version(
    store: DocumentStore, storage: Any, document_set: str
) -> None:
    content = bytes(range(256)) * (LIMIT // 256)
    storage.put(f"{document_set}/a b%20ü.bin", content)
    async with store.download(BlobAddress("documents", f"{document_set}/a b%20ü.bin")) as blob:
        assert (blob.file.read(), blob.size_bytes) == (content, LIMIT)
        assert datetime.now(UTC) - blob.version.last_modified < timedelta(minutes=1)
        assert blob.version.etag
        assert '"' not in blob.version.etag
        assert await store.version(BlobAddress("documents", f"{document_set}/a b%20ü.bin")) == blob.version
        file = blob.file
    assert file.closed


async def test_an_empty_blob_is_copied_too(store: DocumentStore, storage: Any, document_set: str) -> None:
    storage.put(f"{document_set}/empty.txt", b"")
    async with store.download(BlobAddress("documents", f"{document_set}/empty.txt")) as blob:
        assert (blob.file.read(), blob.size_bytes) == (b"", 0)


async def test_a_blob_over_the_limit_is_refused_with_both_sizes(
    store: DocumentStore, storage: Any, document_set: str
) -> None:
    storage.put(f"{document_set}/big.pdf", b"x" * (LIMIT + 1))
    with pytest.raises(DocumentUnreadable, match=r"big\.pdf is too large: 5,242,881 bytes.* 5,242,880 "):
        async with store.download(BlobAddress("documents", f"{document_set}/big.pdf")):
            pytest.fail("it was downloaded")


async def test_a_missing_blob_is_told_by_container_and_path(store: DocumentStore, document_set: str) -> None:
    address = BlobAddress("documents", f"{document_set}/gone.pdf")
    with pytest.raises(BlobMissing, match=f"there is no blob documents/{document_set}/gone.pdf"):
        async with store.download(address):
            pytest.fail("it was downloaded")
    assert await store.version(address) is None


async def test_a_missing_container_is_a_matter_of_settings(store: DocumentStore) -> None:
    with pytest.raises(Misconfigured, match="container 'nowhere' does not exist"):
        async with store.download(BlobAddress("nowhere", "a.pdf")):
            pytest.fail("it was downloaded")


async def test_a_blob_replaced_while_it_is_copied_is_read_again_later(
    store: DocumentStore, storage: Any, document_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put(f"{document_set}/a.bin", b"1" * LIMIT)
    check, replaced = store._check_size, []

    def replace_after_the_first_piece(address: BlobAddress, size_bytes: int) -> None:
        check(address, size_bytes)
        if not replaced:
            replaced.append(storage.put(f"{document_set}/a.bin", b"2" * LIMIT))

    monkeypatch.setattr(store, "_check_size", replace_after_the_first_piece)
    with pytest.raises(BlobChanged, match="was replaced while it was read"):
        async with store.download(BlobAddress("documents", f"{document_set}/a.bin")):
            pytest.fail("it was downloaded")


async def test_without_an_account_the_settings_are_named() -> None:
    with pytest.raises(Misconfigured, match="AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_URL"):
        async with DocumentStore(DocumentSettings()):
            pytest.fail("it was opened")


async def test_a_malformed_connection_string_is_named_but_not_shown() -> None:
    settings = DocumentSettings(azure_storage_connection_string="AccountKey=hush")
    with pytest.raises(Misconfigured, match="AZURE_STORAGE_CONNECTION_STRING") as refused:
        async with DocumentStore(settings):
            pytest.fail("it was opened")
    assert "hush" not in str(refused.value)


def response(kind: Callable[..., HttpResponseError], status: int, code: str) -> HttpResponseError:
    error = kind(message="as ordered")
    error.status_code, error.error_code = status, code  # type: ignore[attr-defined]  # set by the SDK in the same way
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (response(ResourceNotFoundError, 404, "BlobNotFound"), BlobMissing),
        (response(ResourceNotFoundError, 404, "ContainerNotFound"), Misconfigured),
        (response(ResourceModifiedError, 412, "ConditionNotMet"), BlobChanged),
        (response(ClientAuthenticationError, 401, "NoAuthenticationInformation"), Misconfigured),
        (response(HttpResponseError, 403, "AuthorizationPermissionMismatch"), Misconfigured),
        (response(HttpResponseError, 409, "BlobArchived"), RequestRefused),
        (response(HttpResponseError, 409, "AccountBeingCreated"), ServiceUnavailable),
        (response(HttpResponseError, 429, "TooManyRequests"), ServiceUnavailable),
        (response(HttpResponseError, 503, "ServerBusy"), ServiceUnavailable),
        (response(HttpResponseError, 400, "InvalidUri"), RequestRefused),
        (ServiceRequestError("no route to host"), ServiceUnavailable),
        (ClientAuthenticationError("no identity endpoint"), ServiceUnavailable),
    ],
)
async def test_each_error_of_storage_has_its_meaning(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: type[Exception]
) -> None:
    class Failing:
        async def download_blob(self, **options: object) -> None:
            raise error

    monkeypatch.setattr(store, "_client", lambda address: Failing())
    with pytest.raises(expected):
        async with store.download(BlobAddress("documents", "a.pdf")):
            pytest.fail("it was downloaded")
