"""What tests of several packages share: Azurite, and an environment without our own variables."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from dayfly_cli.azurite import Azurite
from dayfly_cli.azurite import azurite as azurite_service
from dayfly_cli.node import npm_packages

_T = TypeVar("_T")

_OURS = ("WORKER_", "WEBHOOK_", "AZURE_", "OPENAI_", "SUPABASE_", "DAYFLY_", "LOCALAZURE_")
_OURS_TOO = {"TASK_DATA", "CLIENT_ID", "MESSAGE_ID", "POP_RECEIPT", "CONTAINER_GROUP", "INTERNAL_API_KEY"}
_KEPT = {"LOCALAZURE_CORPUS"}


def pytest_configure() -> None:
    """No setting of the person at the keyboard reaches a test."""
    for name in list(os.environ):
        if (name.startswith(_OURS) or name in _OURS_TOO) and name not in _KEPT:
            del os.environ[name]


@contextmanager
def running(service: AbstractAsyncContextManager[_T]) -> Iterator[_T]:
    """Keep an asynchronous service up for tests that each have an event loop of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="service", daemon=True)
    thread.start()
    try:
        entered = asyncio.run_coroutine_threadsafe(service.__aenter__(), loop).result(120)
        try:
            yield entered
        finally:
            asyncio.run_coroutine_threadsafe(service.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="session")
def run_service() -> Callable[[AbstractAsyncContextManager[_T]], AbstractContextManager[_T]]:
    """Keeps an asynchronous service up for a whole session."""
    return running


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A storage account on this machine, for the whole session."""
    log: Path = tmp_path_factory.mktemp("azurite") / "azurite.log"
    with running(azurite_service(npm_packages(), log, location=None)) as account:
        yield account


@pytest.fixture
async def client_account(azurite: Azurite) -> str:
    """A client id of its own, with its queues and container; the answer is the id."""
    import secrets

    from azure.storage.blob.aio import BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient

    client_id = f"c{secrets.token_hex(4)}"
    async with (
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
    ):
        await queues.create_queue(f"{client_id}-tasks")
        await queues.create_queue(f"{client_id}-tasks-poison")
        await blobs.create_container(f"{client_id}-dayfly")
    return client_id
