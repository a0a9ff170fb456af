"""Publishing into Supabase, through PostgREST. Nothing else calls that service.

Every call here can be repeated without harm, so a lost answer costs a repetition and no more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal
from uuid import UUID

import httpx
from postgrest import APIError, AsyncPostgrestClient
from postgrest.types import ReturnMethod

from worker.blobs import BlobAddress, BlobVersion
from worker.errors import BlobChanged, Misconfigured, RequestRefused, ServiceUnavailable
from worker.payloads import DocumentTask
from worker.settings import DocumentSettings

__all__ = ["Database", "Origin", "Publication", "StagedChunk", "publish_newest"]

_TIMEOUT_S = 320.0
"""Above the publishing function's own statement timeout."""

_TRIES = 3
_PAUSE_S = 0.5
_MAX_QUESTIONS = 5

State = Literal["published", "newer", "same_second", "incomplete"]


@dataclass(frozen=True)
class Origin:
    """What a publication came from: the task's document, its blob, and which version of it."""

    task: DocumentTask
    address: BlobAddress
    version: BlobVersion

    def parameters(self, supersedes_etag: str | None) -> dict[str, Any]:
        """The publishing functions' parameters that say where a version comes from."""
        return {
            "p_document_set": self.task.document_set,
            "p_filename": self.task.filename,
            "p_source": str(self.address),
            "p_last_modified": self.version.last_modified.isoformat(),
            "p_etag": self.version.etag,
            "p_supersedes_etag": supersedes_etag,
        }


@dataclass(frozen=True)
class StagedChunk:
    """One row for the staging table; `position` counts from 0."""

    position: int
    vector: list[float]
    content: str
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Publication:
    """The publishing function's answer.

    Attributes:
        state: `published`; `newer` (a newer version stands there, nothing was replaced); `same_second`
            (another version of the same second stands there); `incomplete` (staged chunks are missing).
        etag: of the version that stands there now; None if there is none.
    """

    state: State
    etag: str | None


async def publish_newest(
    publish: Callable[[str | None], Awaitable[Publication]],
    current: Callable[[], Awaitable[BlobVersion | None]],
    origin: Origin,
) -> bool:
    """Publish a version unless a newer one is published.

    Two versions of one second cannot be told apart by their times: storage is asked which one it holds. If
    it holds ours, the published one is older, and may be replaced as long as it still is the one we saw.

    Args:
        publish: asks the database, naming the ETag that is known to be older (None = none).
        current: asks storage for the blob's current version.
        origin: what is published.

    Returns:
        True when published, False when a newer version stands there.

    Raises:
        BlobChanged: storage holds a third version, which the next attempt reads.
        ServiceUnavailable: staged chunks are gone.
    """
    supersedes: str | None = None
    for _ in range(_MAX_QUESTIONS):
        answer = await publish(supersedes)
        match answer.state:
            case "published":
                return True
            case "newer":
                return False
            case "incomplete":
                raise ServiceUnavailable(f"staged chunks of {origin.task.filename} are gone")
            case "same_second":
                stored = await current()
                if stored is not None and stored.etag == answer.etag:
                    return False
                if stored != origin.version:
                    break
                supersedes = answer.etag
    raise BlobChanged(f"{origin.address} was replaced while it was read")


class Database:
    """A client of one Supabase project.

    Args:
        settings: URL, key and table name.
        pause_s: seconds before the first repetition of a failed call.
    """

    def __init__(self, settings: DocumentSettings, pause_s: float = _PAUSE_S) -> None:
        settings.require("supabase_url", "supabase_key")
        key = settings.supabase_key.get_secret_value()
        self._table = settings.vector_table_name
        self._pause_s = pause_s
        url = f"{settings.supabase_url.rstrip('/')}/rest/v1"
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        self._client = AsyncPostgrestClient(
            url,
            headers=headers,
            http_client=httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT_S),
            # Tries are counted here, for every kind of call.
            retry_enabled=False,
        )

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def stage(self, publication: UUID, chunks: Sequence[StagedChunk]) -> None:
        """Put chunks where no reader sees them; a chunk staged again replaces itself.

        Raises:
            HandlerSignal: as for every call of this class: `ServiceUnavailable`, `Misconfigured` or
                `RequestRefused`.
        """
        rows = [
            {
                "publication": str(publication),
                "position": chunk.position,
                "vector": chunk.vector,
                "content": chunk.content,
                "metadata": chunk.metadata,
            }
            for chunk in chunks
        ]
        staging = f"{self._table}_staging"
        await self._call(
            f"staging into {staging}",
            lambda: (
                self._client.from_(staging)
                .upsert(rows, returning=ReturnMethod.minimal, on_conflict="publication,position")
                .execute()
            ),
        )

    async def publish_document(
        self, publication: UUID, chunks: int, origin: Origin, supersedes_etag: str | None = None
    ) -> Publication:
        """Swap staged chunks in, in place of what is published under this document set and filename."""
        parameters = {
            "p_publication": str(publication),
            "p_chunks": chunks,
            **origin.parameters(supersedes_etag),
        }
        return await self._publish(f"publish_{self._table}", parameters)

    async def publish_summary(
        self, text: str, metadata: dict[str, Any], origin: Origin, supersedes_etag: str | None = None
    ) -> Publication:
        """Put a summary in place of the one that is published under this filename."""
        parameters = {"p_summary_text": text, "p_metadata": metadata, **origin.parameters(supersedes_etag)}
        return await self._publish("publish_summary", parameters)

    async def discard(self, publication: UUID) -> None:
        """Drop what is staged for a publication that will not come."""
        staging = f"{self._table}_staging"
        await self._call(
            f"discarding from {staging}",
            lambda: (
                self._client.from_(staging)
                .delete(returning=ReturnMethod.minimal)
                .eq("publication", str(publication))
                .execute()
            ),
        )

    async def _publish(self, function: str, parameters: dict[str, Any]) -> Publication:
        answer = await self._call(function, lambda: self._client.rpc(function, parameters).execute())
        return Publication(answer.data["state"], answer.data["etag"])

    async def _call(self, what: str, send: Callable[[], Awaitable[Any]]) -> Any:
        for tries in range(1, _TRIES + 1):
            try:
                return await send()
            except (APIError, httpx.HTTPError) as error:
                ours = _ours(error, what)
                if tries == _TRIES or not isinstance(ours, ServiceUnavailable):
                    raise ours from error
            await asyncio.sleep(self._pause_s * 2 ** (tries - 1))
        raise AssertionError("unreachable")


def _ours(error: APIError | httpx.HTTPError, what: str) -> Exception:
    """What an error means for the task, by PostgREST's code or PostgreSQL's SQLSTATE."""
    if isinstance(error, httpx.HTTPError):
        return ServiceUnavailable(f"{what}: Supabase did not answer: {type(error).__name__}: {error}")
    code, message = str(error.code or ""), f"{what}: {error.code} {error.message!s:.300}"
    if code in ("401", "403") or code.startswith(("PGRST3", "42501", "28")):
        return Misconfigured(f"{message}; check SUPABASE_URL and SUPABASE_KEY")
    if code == "404" or code.startswith(("PGRST1", "PGRST2", "42")):
        return Misconfigured(f"{message}; apply the SQL that `python -m worker.schema` prints")
    if code.startswith("22") and "dimensions" in message:
        return Misconfigured(f"{message}; OPENAI_EMBEDDING_DIMENSIONS and the table's vectors differ")
    if code.startswith(("22", "23")):
        return RequestRefused(message)
    # What is left: connections, locks, time limits, resources, and answers of a gateway in between.
    return ServiceUnavailable(message)
