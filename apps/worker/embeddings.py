"""Chunks with their vectors, batch by batch."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from worker.limits import EMBEDDING_BATCH, MODEL_CONCURRENCY
from worker.models import Models, bounded

__all__ = ["EmbeddedChunk", "embed_chunks"]


@dataclass(frozen=True)
class EmbeddedChunk:
    """A chunk's place among the document's chunks (from 0), and its vector."""

    position: int
    vector: list[float]


async def embed_chunks(
    models: Models, texts: Sequence[str], take: Callable[[list[EmbeddedChunk]], Awaitable[None]]
) -> None:
    """Embed texts and hand each batch on as it comes, in any order.

    A bounded number of batches is under way at a time, so that a long document needs no more memory than
    a short one.

    Args:
        models: the model service.
        texts: the chunks' texts.
        take: keeps one batch; called for several batches at a time.

    Raises:
        HandlerSignal: what `models` and `take` raise; the first one ends all.
    """

    async def embed(batch: list[int]) -> None:
        vectors = await models.embed([texts[position] for position in batch])
        await take([EmbeddedChunk(*pair) for pair in zip(batch, vectors, strict=True)])

    await bounded(_batches(len(texts)), MODEL_CONCURRENCY, embed)


def _batches(count: int) -> Iterator[list[int]]:
    positions = iter(range(count))
    while batch := list(islice(positions, EMBEDDING_BATCH)):
        yield batch
