"""The two ports over Azure's real protocol."""

from collections.abc import AsyncIterator

import pytest
from dayfly.azure_storage import AzureBlobContainer, AzureQueue, StorageAccount
from dayfly.errors import Conflict, ReceiptRefused, ResourceMissing, StorageUnavailable
from dayfly.storage import Receipt
from dayfly_cli.azurite import Azurite


@pytest.fixture
async def queue(azurite: Azurite, client_account: str) -> AsyncIterator[AzureQueue]:
    async with StorageAccount(azurite.connection_string).queue(f"{client_account}-tasks") as opened:
        yield opened


@pytest.fixture
async def blobs(azurite: Azurite, client_account: str) -> AsyncIterator[AzureBlobContainer]:
    async with StorageAccount(azurite.connection_string).container(f"{client_account}-dayfly") as opened:
        yield opened


async def test_a_put_message_never_expires_and_comes_with_its_receipt(queue: AzureQueue) -> None:
    put = await queue.put("{}", 1)
    renewed = await queue.update(put.receipt, 30)
    await queue.delete(renewed)

    assert put.expires_at is None
    assert await queue.receive(1, 30) == []


@pytest.mark.parametrize("text", ["plain", 'a "quoted" <text> & more', "ünïcödé", ""])
async def test_a_text_comes_back_as_it_was_stored(queue: AzureQueue, text: str) -> None:
    await queue.put(text)

    [message] = await queue.receive(1, 30)

    assert message.text == text
    assert message.dequeue_count == 1
    assert message.inserted_at is not None


async def test_each_update_makes_another_receipt_and_refuses_the_old_one(queue: AzureQueue) -> None:
    await queue.put("{}")
    [message] = await queue.receive(1, 30)

    newest = await queue.update(message.receipt, 30)

    with pytest.raises(ReceiptRefused):
        await queue.update(message.receipt, 30)
    with pytest.raises(ReceiptRefused):
        await queue.delete(message.receipt)
    await queue.delete(newest)
    with pytest.raises(ReceiptRefused):
        await queue.delete(newest)


async def test_a_missing_queue_or_container_is_named(azurite: Azurite) -> None:
    account = StorageAccount(azurite.connection_string)
    async with account.queue("nobody-tasks") as queue, account.container("nobody-dayfly") as blobs:
        with pytest.raises(ResourceMissing, match="queue nobody-tasks does not exist"):
            await queue.check()
        with pytest.raises(ResourceMissing, match="nobody-tasks"):
            await queue.receive(1, 30)
        with pytest.raises(ResourceMissing, match="container nobody-dayfly does not exist"):
            await blobs.check()
        with pytest.raises(ResourceMissing, match="nobody-dayfly"):
            await blobs.create("ledger/x.json", b"{}")


async def test_a_blob_is_created_once_and_replaced_only_as_it_was_read(blobs: AzureBlobContainer) -> None:
    assert await blobs.read("ledger/x.json") is None
    first = await blobs.create("ledger/x.json", b"1")
    with pytest.raises(Conflict):
        await blobs.create("ledger/x.json", b"2")

    second = await blobs.replace("ledger/x.json", b"2", first)

    with pytest.raises(Conflict):
        await blobs.replace("ledger/x.json", b"3", first)
    found = await blobs.read("ledger/x.json")
    assert (found.data, found.etag) == (b"2", second)
    await blobs.delete("ledger/x.json")
    await blobs.delete("ledger/x.json")
    with pytest.raises(Conflict):
        await blobs.replace("ledger/x.json", b"3", second)


async def test_an_account_that_does_not_answer_is_unavailable() -> None:
    endpoint = "http://127.0.0.1:9/dayflylocal"
    account = StorageAccount(
        f"AccountName=dayflylocal;AccountKey=a2V5;BlobEndpoint={endpoint};QueueEndpoint={endpoint};"
    )
    queue = account.queue("acme-tasks")
    queue._client._config.retry_policy.total_retries = 0
    async with queue:
        with pytest.raises(StorageUnavailable, match="acme-tasks"):
            await queue.update(Receipt("m", "r"), 30)


def test_a_connection_string_shows_in_no_repr() -> None:
    assert "a2V5" not in repr(StorageAccount("AccountName=x;AccountKey=a2V5"))
