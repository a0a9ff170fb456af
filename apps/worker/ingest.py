"""The task `ingest`: a document becomes searchable, whole or not at all."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from dayfly.handlers import Result

from worker.chunks import Chunk, split
from worker.documents import Document
from worker.payloads import DocumentTask
from worker.services import Services, open_services

if TYPE_CHECKING:
    from worker.embeddings import EmbeddedChunk
    from worker.publication import Database, Origin

__all__ = ["Ingest"]

_DISCARD_TIMEOUT_S = 5.0


class Ingest:
    """Download, extract, chunk, embed, publish. Running it again leaves one copy.

    Args:
        services: opens the services of one task.
    """

    def __init__(self, services: Callable[[], AbstractAsyncContextManager[Services]] = open_services) -> None:
        self._services = services

    async def execute(self, payload: Mapping[str, Any]) -> Result:
        """Ingest the document that the payload names.

        Raises:
            FailedForGood: the payload or the document is at fault; the error says how.
            Retry: a service is.
        """
        task = DocumentTask.parse(payload)
        async with self._services() as services:
            document, origin = await fetch(task, services)
            chunks = [chunk for chunk in split(document.markdown) if chunk.text.strip()]
            print(f"embedding {len(chunks)} chunks")
            published = await _publish(document, chunks, origin, services)
        if not published:
            return Result.completed(f"{task.filename}: a newer version is indexed; nothing was replaced")
        counted = f"{len(chunks)} chunk{'' if len(chunks) == 1 else 's'}"
        source = f" from {document.size}" if document.size else ""
        return Result.completed(f"ingested {task.filename}: {counted}{source}")


async def fetch(task: DocumentTask, services: Services) -> tuple[Document, "Origin"]:
    """Download a task's document and read it.

    Raises:
        FailedForGood: there is no such document, or it cannot be read.
        Retry: storage is at fault.
    """
    from worker.blobs import locate
    from worker.publication import Origin

    address = locate(task, services.settings)
    store = await services.store()
    async with store.download(address) as blob:
        print(f"downloaded {address}: {blob.size_bytes} bytes, ETag {blob.version.etag}")
        document = await services.read(blob.file, task.filename)
        print(f"read {task.filename} as {document.type}: {len(document.markdown)} characters")
        return document, Origin(task, address, blob.version)


async def _publish(document: Document, chunks: list[Chunk], origin: "Origin", services: Services) -> bool:
    from worker.publication import publish_newest

    database, store = await services.database(), await services.store()
    publication, published = uuid4(), False
    try:
        await _stage(publication, document, chunks, origin, services, database)
        published = await publish_newest(
            lambda supersedes: database.publish_document(publication, len(chunks), origin, supersedes),
            lambda: store.version(origin.address),
            origin,
        )
    finally:
        if not published:
            # What stays staged all the same goes with a later publication.
            with suppress(Exception):
                await asyncio.wait_for(database.discard(publication), _DISCARD_TIMEOUT_S)
    return published


async def _stage(
    publication: UUID,
    document: Document,
    chunks: list[Chunk],
    origin: "Origin",
    services: Services,
    database: "Database",
) -> None:
    from worker.embeddings import embed_chunks
    from worker.publication import StagedChunk

    async def keep(batch: "list[EmbeddedChunk]") -> None:
        rows = [
            StagedChunk(e.position, e.vector, chunks[e.position].text, metadata(e.position)) for e in batch
        ]
        await database.stage(publication, rows)

    def metadata(position: int) -> dict[str, Any]:
        return {"source": str(origin.address), "type": str(document.type), "position": position} | _part(
            document, chunks[position]
        )

    await embed_chunks(await services.models(), [chunk.text for chunk in chunks], keep)


def _part(document: Document, chunk: Chunk) -> dict[str, Any]:
    """Where a chunk begins: {"page": 3}, {"slide": 3}, {"sheet": "Prices"}, or nothing."""
    index = bisect_right(document.parts, chunk.start, key=lambda part: part.start) - 1
    return {document.parts[index].kind: document.parts[index].name} if index >= 0 else {}
