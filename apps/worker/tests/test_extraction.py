"""Reading in a process of its own: what kills it is told of the document, and memory stays small."""

import asyncio
import io
import os
import signal
import sys
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from worker import extraction
from worker.documents import Document, DocumentType
from worker.errors import DocumentUnreadable, ServiceUnavailable
from worker.extraction import read_apart

MIB = 1024**2
Read = Callable[[str, bytes], Awaitable[Document]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    async def from_bytes(filename: str, content: bytes) -> Document:
        path = tmp_path / "document"
        path.write_bytes(content)
        with path.open("rb") as file:
            return await read_apart(file, filename)

    return from_bytes


def pdf_of_pages(count: int) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file)
    for page in range(count):
        canvas.setFont("Helvetica", 16)
        canvas.drawString(72, 760, f"Chapter {page + 1}")
        canvas.setFont("Helvetica", 10)
        for line in range(40):
            canvas.drawString(
                72, 740 - line * 14, f"Line {line} of page {page}: the quick brown fox jumps over it."
            )
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def pdf_bomb(unpacked_bytes: int) -> bytes:
    """One page whose content stream unpacks to so much."""
    packer = zlib.compressobj(9)
    block = b" " * MIB
    stream = b"".join(packer.compress(block) for _ in range(unpacked_bytes // MIB)) + packer.flush()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<<>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n" % len(stream) + stream + b"\nendstream",
    ]
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % table
    return bytes(out)


async def test_a_document_comes_back_whole(read: Read) -> None:
    document = await read("grüße.md", "# Grüße\n\nEin Text mit „allem“ 🎉\n".encode())
    assert document == Document("grüße.md", DocumentType.MARKDOWN, "# Grüße\n\nEin Text mit „allem“ 🎉\n")


async def test_pages_come_back_with_their_offsets(read: Read) -> None:
    document = await read("a.pdf", pdf_of_pages(3))
    assert [(part.kind, part.name) for part in document.parts] == [("page", 1), ("page", 2), ("page", 3)]
    assert document.markdown[document.parts[2].start :].startswith("# Chapter 3")


async def test_an_unreadable_document_is_refused_in_the_readers_own_words(read: Read) -> None:
    with pytest.raises(DocumentUnreadable, match=r"^a\.pdf is damaged: its content is no PDF$"):
        await read("a.pdf", b"text")


async def test_200_pages_of_pdf_stay_well_under_250_mb(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    # Address space, which is more than memory in use: a reader that stays within it needs less.
    with_limit(monkeypatch, 200 * MIB)
    assert (await read("a.pdf", pdf_of_pages(200))).size == "200 pages"


async def test_a_parser_that_dies_for_memory_is_told_of_the_document(read: Read) -> None:
    import xlsxwriter

    file = io.BytesIO()
    book = xlsxwriter.Workbook(file)
    sheet = book.add_worksheet()
    sheet.write(0, 0, "first")
    sheet.write(1_048_575, 16_383, "last")
    book.close()
    with pytest.raises(DocumentUnreadable, match=r"a\.xlsx cannot be read within \d+ MiB of memory.*SIGABRT"):
        await read("a.xlsx", file.getvalue())


async def test_a_pdf_that_unpacks_without_end_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    # A smaller limit, inherited by the reader, makes it quick.
    with_limit(monkeypatch, 250 * MIB)
    with pytest.raises(DocumentUnreadable, match=r"bomb\.pdf cannot be read within"):
        await read("bomb.pdf", pdf_bomb(300 * MIB))


async def test_a_zip_bomb_is_refused_before_it_is_unpacked(read: Read) -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
        out.open("word/document.xml", "w") as entry,
    ):
        for _ in range(620):
            entry.write(b"<w:p/>" * (MIB // 6))
    with pytest.raises(DocumentUnreadable, match=r"bomb\.docx unpacks to more than a document may"):
        await read("bomb.docx", file.getvalue())


async def test_a_hostile_depth_of_xml_is_refused(read: Read) -> None:
    import docx

    file = io.BytesIO()
    docx.Document().save(file)
    deep = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(deep, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "word/document.xml":
                content = content.replace(
                    b"<w:body>", b"<w:body>" + b"<w:sdt>" * 5000 + b"</w:sdt>" * 5000, 1
                )
            new.writestr(name, content)
    with pytest.raises(DocumentUnreadable, match=r"a\.docx is damaged"):
        await read("a.docx", deep.getvalue())


async def test_a_crash_of_the_reader_is_told_of_the_document(
    monkeypatch: pytest.MonkeyPatch, read: Read
) -> None:
    replace_reader(monkeypatch, f"import os; os.kill(os.getpid(), {signal.SIGSEGV:d})")
    with pytest.raises(DocumentUnreadable, match=r"a\.txt cannot be read.*SIGSEGV"):
        await read("a.txt", b"text")


async def test_a_reader_that_is_told_to_stop_is_no_fault_of_the_document(
    monkeypatch: pytest.MonkeyPatch, read: Read
) -> None:
    replace_reader(monkeypatch, f"import os; os.kill(os.getpid(), {signal.SIGTERM:d})")
    with pytest.raises(ServiceUnavailable, match="was stopped"):
        await read("a.txt", b"text")


async def test_a_reader_that_cannot_work_is_no_fault_of_the_document(
    monkeypatch: pytest.MonkeyPatch, read: Read
) -> None:
    replace_reader(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="exit code 3"):
        await read("a.txt", b"text")


async def test_a_cancelled_task_leaves_no_reader_behind(
    monkeypatch: pytest.MonkeyPatch, read: Read, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    write = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid()))"
    replace_reader(monkeypatch, f"{write}; time.sleep(60)")
    task = asyncio.create_task(read("a.txt", b"text"))
    async with asyncio.timeout(10):
        while not (pid_file.exists() and pid_file.read_text()):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def replace_reader(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    start = asyncio.create_subprocess_exec

    async def other(*command: str, **options: object) -> object:
        return await start(sys.executable, "-c", code, **options)  # type: ignore[arg-type]  # passed on as given

    monkeypatch.setattr(extraction.asyncio, "create_subprocess_exec", other)


def with_limit(monkeypatch: pytest.MonkeyPatch, limit_bytes: int) -> None:
    start = asyncio.create_subprocess_exec

    async def limited(*command: str, **options: object) -> object:
        before = "import resource, runpy, sys; "
        lower = f"resource.setrlimit(resource.RLIMIT_AS, ({limit_bytes}, {limit_bytes})); "
        run = "runpy.run_module('worker.extraction', run_name='__main__')"
        return await start(sys.executable, "-c", before + lower + run, command[-1], **options)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction.asyncio, "create_subprocess_exec", limited)
