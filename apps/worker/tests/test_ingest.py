"""The tasks from the payload to the rows: whole, repeatable, and never mixed."""

import asyncio
import io
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import IO, Any

import psycopg
import pytest
from dayfly.clock import SystemClock
from dayfly.errors import FailedForGood, Retry
from dayfly.handlers import Result
from dayfly.process import HandlerProcess, LogTail
from dayfly.task import Task
from worker.blobs import BlobAddress, BlobVersion, DownloadedBlob
from worker.chunks import split
from worker.documents import Document, DocumentType
from worker.errors import BlobMissing, BlobRefused, Misconfigured, ServiceUnavailable
from worker.handlers import handlers
from worker.ingest import Ingest
from worker.publication import Database
from worker.services import Services
from worker.settings import DocumentSettings

pytestmark = pytest.mark.usefixtures("clean_environment")


def book(name: str, paragraphs: int) -> str:
    return (
        "".join(f"{name}: paragraph {number} of the book.\n\n" for number in range(paragraphs)).strip() + "\n"
    )


async def run(task_type: str, **payload: object) -> Result | Any:
    return await handlers.create(task_type).execute(payload)


# The whole length ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("environment")
async def test_a_document_becomes_rows_with_vectors(
    storage: Any, supabase: Any, models: Any, document_set: str
) -> None:
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file)
    for page in range(7):
        for line in range(40):
            canvas.drawString(
                72, 750 - 15 * line, f"Line {line} of page {page}: the fox jumps over the lazy dog."
            )
        canvas.showPage()
    canvas.save()
    storage.put(f"{document_set}/handbook.pdf", file.getvalue())
    result = await run("ingest", filename="handbook.pdf", document_set=document_set)
    rows = supabase.rows(
        "select content, metadata, vector::text from documents order by metadata->'position'"
    )
    assert result == Result.completed(f"ingested handbook.pdf: {len(rows)} chunks from 7 pages")
    assert len(rows) > 14
    assert rows[0][0].startswith("Line 0 of page 0")
    source = f"documents/{document_set}/handbook.pdf"
    assert rows[0][1] == {"source": source, "type": "pdf", "position": 0, "page": 1}
    assert rows[-1][1] | {"position": 0} == {"source": source, "type": "pdf", "position": 0, "page": 7}
    assert rows[0][2].count(",") == models.dimensions - 1


@pytest.mark.usefixtures("environment")
async def test_the_runtimes_child_has_room_for_it(storage: Any, document_set: str) -> None:
    storage.put(f"{document_set}/notes.txt", b"A note.")
    process = HandlerProcess(
        "worker.handlers:handlers", SystemClock(), timeout_s=60, memory_max_bytes=1536 * 1024**2
    )
    log = LogTail()
    task = Task("ingest", "1", {"filename": "notes.txt", "document_set": document_set})
    outcome = await process.run(task, log)
    assert (outcome.kind, outcome.text) == ("completed", "ingested notes.txt: 1 chunk"), log.text()
    assert f"documents/{document_set}/notes.txt" in log.text()
    late = Task("ingest", "2", {"filename": "none.txt", "document_set": document_set})
    assert (await process.run(late, log)).kind == "failed"


@pytest.mark.usefixtures("environment")
async def test_ingesting_again_leaves_exactly_the_newest_chunks(
    storage: Any, supabase: Any, document_set: str
) -> None:
    for text in (book("first", 200), book("second", 100), book("third", 150), book("third", 150)):
        storage.put(f"{document_set}/book.md", text.encode())
        result = await run("ingest_document", filename="book.md", document_set=document_set)
        expected = [chunk.text for chunk in split(text)]
        assert result == Result.completed(f"ingested book.md: {len(expected)} chunks")
        rows = supabase.rows("select content from documents order by metadata->'position'")
        assert [row[0] for row in rows] == expected


@pytest.mark.usefixtures("environment")
async def test_a_straggler_with_an_older_version_replaces_nothing(
    storage: Any, supabase: Any, models: Any, document_set: str
) -> None:
    old, new = book("old", 200), book("new", 100)
    held, go_on = threading.Event(), threading.Event()

    def hold_the_old(path: str, body: dict[str, Any]) -> None:
        if body["input"][0].startswith("old"):
            held.set()
            assert go_on.wait(10)

    models.fault_for = hold_the_old
    storage.put(f"{document_set}/book.md", old.encode())
    straggler = asyncio.create_task(run("ingest", filename="book.md", document_set=document_set))
    await asyncio.to_thread(held.wait, 10)
    # Within the same second as the old one, most of the time: storage is asked which one is newer.
    storage.put(f"{document_set}/book.md", new.encode())
    await run("ingest", filename="book.md", document_set=document_set)
    go_on.set()
    assert (await straggler).result == "book.md: a newer version is indexed; nothing was replaced"
    rows = supabase.rows("select content from documents order by metadata->'position'")
    assert [row[0] for row in rows] == [chunk.text for chunk in split(new)]
    assert supabase.rows("select count(*) from documents_staging") == [(0,)]


@pytest.mark.usefixtures("environment")
async def test_a_summary_is_kept_under_the_filename(
    storage: Any, supabase: Any, models: Any, document_set: str
) -> None:
    models.completion = lambda text: "All about bolts."
    storage.put(f"{document_set}/bolts.csv", b"name,size\nbolt,4\n")
    for _ in range(2):
        result = await run("summarize", filename="bolts.csv", document_set=document_set)
        assert result == Result.completed("summarized bolts.csv: 16 characters")
    assert supabase.rows("select filename, document_set, summary_text, metadata from summaries") == [
        ("bolts.csv", document_set, "All about bolts.", {"type": "csv", "pieces": 1})
    ]


@pytest.mark.parametrize("task_type", ["ingest", "summarize"])
@pytest.mark.usefixtures("environment")
async def test_a_bad_document_fails_for_good_and_touches_nothing(
    storage: Any, supabase: Any, models: Any, document_set: str, task_type: str
) -> None:
    storage.put(f"{document_set}/bad.pdf", b"no pdf at all")
    with pytest.raises(FailedForGood, match=r"bad\.pdf is damaged"):
        await run(task_type, filename="bad.pdf", document_set=document_set)
    with pytest.raises(BlobMissing, match=rf"documents/{document_set}/none\.pdf"):
        await run(task_type, filename="none.pdf", document_set=document_set)
    with pytest.raises(BlobRefused, match="other-client"):
        await run(task_type, filename="a.pdf", file_url="other-client/a.pdf")
    assert (supabase.paths, models.requests) == ([], [])


@pytest.mark.usefixtures("environment")
async def test_a_service_that_fails_puts_the_task_off_and_leaves_nothing_staged(
    storage: Any, supabase: Any, models: Any, document_set: str
) -> None:
    # About 100 chunks are two batches: the first is staged when the second is refused.
    storage.put(f"{document_set}/book.md", book("book", 2500).encode())

    def refuse_all_but_the_first(path: str, body: dict[str, Any]) -> tuple[int, dict[str, str]] | None:
        if "paragraph 0 " in body["input"][0]:
            return None
        while not supabase.rows("select 1 from documents_staging limit 1"):
            time.sleep(0.01)
        return 401, {}

    models.fault_for = refuse_all_but_the_first
    with pytest.raises(Retry, match="OPENAI_API_KEY"):
        await run("ingest", filename="book.md", document_set=document_set)
    assert supabase.rows("select count(*) from documents_staging") == [(0,)]
    assert supabase.rows("select count(*) from documents") == [(0,)]


async def test_missing_settings_put_the_task_off_and_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match="AZURE_STORAGE_CONNECTION_STRING"):
        await run("ingest", filename="a.pdf")
    monkeypatch.setenv("WORKER_MAX_DOCUMENT_BYTES", "many")
    with pytest.raises(Misconfigured, match="WORKER_MAX_DOCUMENT_BYTES"):
        await run("ingest", filename="a.pdf")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    heavy = (
        "azure openai postgrest httpx pydantic docx pptx pypdfium2 python_calamine html_to_markdown chardet"
    )
    found = f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    for module in ("worker.handlers", "worker.extraction", "worker.documents"):
        code = f"import sys, {module}; {found}"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]", module


# Two ingests of one file, interleaved at every step -----------------------------------------------------


class Turns:
    """Lets two tasks take their steps in a given order, one step at a time, and looks on after each."""

    def __init__(self, order: str, look: Callable[[], None]) -> None:
        self._order, self._look = order, look
        self._done = 0
        self._moved = asyncio.Condition()

    @asynccontextmanager
    async def step(self, who: str) -> AsyncIterator[None]:
        async with self._moved:
            await self._moved.wait_for(
                lambda: self._done >= len(self._order) or self._order[self._done] == who
            )
            # A step more than planned (asked again after `same_second`) is taken when all others are done.
            yield
            self._done += 1
            self._look()
            self._moved.notify_all()


class Blob:
    """A blob that is replaced before the second task reads it."""

    def __init__(self, texts: dict[str, str], same_second: bool) -> None:
        self.texts, self.same_second = texts, same_second
        self.current = "v1"

    def version_now(self) -> BlobVersion:
        later = timedelta(seconds=0 if self.same_second or self.current == "v1" else 1)
        # ETags have no order: the newer one is smaller here.
        return BlobVersion(datetime(2026, 3, 1, tzinfo=UTC) + later, {"v1": "0x9", "v2": "0x1"}[self.current])


class SteppedStore:
    def __init__(self, blob: Blob, turns: Turns, who: str) -> None:
        self._blob, self._turns, self._who = blob, turns, who

    @asynccontextmanager
    async def download(self, address: BlobAddress) -> AsyncIterator[DownloadedBlob]:
        async with self._turns.step(self._who):
            if self._who == "B":
                self._blob.current = "v2"
            text, version = self._blob.texts[self._blob.current], self._blob.version_now()
        yield DownloadedBlob(io.BytesIO(text.encode()), len(text), version)

    async def version(self, address: BlobAddress) -> BlobVersion:
        return self._blob.version_now()


class SteppedDatabase:
    def __init__(self, database: Database, turns: Turns, who: str) -> None:
        self._database, self._turns, self._who = database, turns, who
        self.discard = database.discard

    async def stage(self, *args: Any) -> None:
        async with self._turns.step(self._who):
            await self._database.stage(*args)

    async def publish_document(self, *args: Any) -> Any:
        async with self._turns.step(self._who):
            return await self._database.publish_document(*args)


class Vectors:
    async def embed(self, texts: list[str]) -> list[list[float]]:
        return [[1.0] * 8 for _ in texts]


async def read_here(file: IO[bytes], filename: str) -> Document:
    return Document(filename, DocumentType.TEXT, file.read().decode())


def orders(steps: int) -> Iterator[str]:
    """All ways to interleave two tasks of so many steps each."""
    for places in combinations(range(2 * steps), steps):
        yield "".join("A" if place in places else "B" for place in range(2 * steps))


@pytest.mark.parametrize("same_second", [False, True], ids=["seconds apart", "same second"])
async def test_two_ingests_interleaved_at_every_step_leave_the_newest_version_whole(
    supabase: Any, monkeypatch: pytest.MonkeyPatch, same_second: bool
) -> None:
    monkeypatch.setattr("worker.embeddings.EMBEDDING_BATCH", 2)
    texts = {"v1": book("one", 70), "v2": book("two", 95)}
    expected = {name: sorted(chunk.text for chunk in split(text)) for name, text in texts.items()}
    assert {name: len(chunks) for name, chunks in expected.items()} == {"v1": 3, "v2": 4}
    with psycopg.connect(supabase.database_url, autocommit=True) as connection:

        def published() -> list[str]:
            return sorted(row[0] for row in connection.execute("select content from documents"))

        def look() -> None:
            assert published() in ([], expected["v1"], expected["v2"])

        async with Database(database_settings(supabase)) as database:
            # Download, two batches, publish: 70 orders.
            for order in orders(steps=4):
                connection.execute("delete from documents")
                connection.execute("delete from documents_versions")
                turns, blob = Turns(order, look), Blob(texts, same_second)
                tasks = [
                    Ingest(stepped(database, turns, SteppedStore(blob, turns, who), who)) for who in "AB"
                ]
                results = await asyncio.gather(*(task.execute({"filename": "book.txt"}) for task in tasks))
                assert [result.status for result in results] == ["completed", "completed"]
                assert published() == expected["v2"], order
                staged = connection.execute("select count(*) from documents_staging").fetchall()
                assert staged == [(0,)], order


def database_settings(supabase: Any) -> DocumentSettings:
    return DocumentSettings(supabase_url=supabase.url, supabase_key=supabase.key)


def stepped(
    database: Database, turns: Turns, store: SteppedStore, who: str
) -> Callable[[], AbstractAsyncContextManager[Services]]:
    def always(service: Any) -> Callable[[], Awaitable[Any]]:
        async def opened() -> Any:
            return service

        return opened

    @asynccontextmanager
    async def services() -> AsyncIterator[Services]:
        gated = SteppedDatabase(database, turns, who)
        yield Services(DocumentSettings(), read_here, always(store), always(Vectors()), always(gated))

    return services


async def test_a_blob_that_keeps_changing_is_read_again_by_the_next_attempt(supabase: Any) -> None:
    turns = Turns("", lambda: None)
    blob = Blob({"v1": book("one", 1), "v2": book("two", 1)}, same_second=True)

    class Replaced(SteppedStore):
        async def version(self, address: BlobAddress) -> BlobVersion:
            return BlobVersion(blob.version_now().last_modified, "0x5")

    async with Database(database_settings(supabase)) as database:
        first = Ingest(stepped(database, turns, SteppedStore(blob, turns, "B"), "B"))
        await first.execute({"filename": "book.txt"})
        blob.current = "v1"
        late = Ingest(stepped(database, turns, Replaced(blob, turns, "A"), "A"))
        with pytest.raises(Retry, match=r"documents/default/book\.txt was replaced while it was read"):
            await late.execute({"filename": "book.txt"})
    assert supabase.rows("select count(*) from documents_staging") == [(0,)]


def test_every_put_off_is_a_retry_and_every_refusal_is_for_good() -> None:
    assert issubclass(ServiceUnavailable, Retry)
    assert issubclass(Misconfigured, Retry)
    assert issubclass(BlobMissing, FailedForGood)
