"""What a document task works with: the documents' storage, the reader, the models, the database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from worker.documents import Document
from worker.settings import DocumentSettings, load_settings

if TYPE_CHECKING:
    from worker.blobs import DocumentStore
    from worker.models import Models
    from worker.publication import Database

__all__ = ["Services", "open_services"]


@dataclass(frozen=True)
class Services:
    """The services of one task.

    Each is opened when it is first asked for: a document that cannot be read never loads the models' client.

    Attributes:
        settings: the task's settings.
        read: reads a document's text.
        store, models, database: open one service, for as long as the task lasts.
    """

    settings: DocumentSettings
    read: Callable[[IO[bytes], str], Awaitable[Document]]
    store: Callable[[], Awaitable["DocumentStore"]]
    models: Callable[[], Awaitable["Models"]]
    database: Callable[[], Awaitable["Database"]]


@asynccontextmanager
async def open_services() -> AsyncIterator[Services]:
    """The real services, by the environment's settings; all that was opened is closed at the end.

    Raises:
        Misconfigured: a setting is malformed.
    """
    from worker.extraction import read_apart

    settings = load_settings()
    async with AsyncExitStack() as stack:

        async def store() -> "DocumentStore":
            from worker.blobs import DocumentStore

            return await stack.enter_async_context(DocumentStore(settings))

        async def models() -> "Models":
            from worker.models import Models

            return await stack.enter_async_context(Models(settings))

        async def database() -> "Database":
            from worker.publication import Database

            return await stack.enter_async_context(Database(settings))

        yield Services(settings, read_apart, store, models, database)
