"""Documents: which type a file is, and its text as markdown."""

import mmap
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Protocol, cast

from worker.archives import check_archive
from worker.errors import DocumentUnreadable
from worker.limits import ARCHIVE_XML_MAX_BYTES
from worker.markdown import MarkdownWriter, Part

__all__ = ["Document", "DocumentType", "identify", "read_document"]


class DocumentType(StrEnum):
    """The types that are read."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    XLS = "xls"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"
    CSV = "csv"


@dataclass(frozen=True)
class Document:
    """What was read of a file.

    Attributes:
        filename: its name.
        type: its type, by content and extension.
        markdown: its text; never blank.
        parts: its pages, slides or sheets in order, () where the type has none.
    """

    filename: str
    type: DocumentType
    markdown: str
    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> str | None:
        """Its size in words of its type (`7 pages`, `1 sheet`); None where the type has no parts."""
        if not self.parts:
            return None
        kind = self.parts[0].kind
        return f"{len(self.parts)} {kind}{'' if len(self.parts) == 1 else 's'}"


class Reader(Protocol):
    """What each `extract_*` module offers under the name `read`."""

    def __call__(self, path: Path, filename: str, out: MarkdownWriter, document_type: str) -> None:
        """Write the document's text; raise `DocumentUnreadable` where it cannot be had."""


# Text-like types cannot be told apart by content: there the extension decides.
_BY_EXTENSION = {
    "pdf": DocumentType.PDF,
    "docx": DocumentType.DOCX,
    "pptx": DocumentType.PPTX,
    "xlsx": DocumentType.XLSX,
    "xlsm": DocumentType.XLSX,
    "xls": DocumentType.XLS,
    "html": DocumentType.HTML,
    "htm": DocumentType.HTML,
    "xhtml": DocumentType.HTML,
    "md": DocumentType.MARKDOWN,
    "markdown": DocumentType.MARKDOWN,
    "txt": DocumentType.TEXT,
    "text": DocumentType.TEXT,
    "log": DocumentType.TEXT,
    "csv": DocumentType.CSV,
    "tsv": DocumentType.CSV,
}
_TEXT_LIKE = frozenset({DocumentType.HTML, DocumentType.MARKDOWN, DocumentType.TEXT, DocumentType.CSV})
_READERS = {
    DocumentType.PDF: "extract_pdf",
    DocumentType.DOCX: "extract_docx",
    DocumentType.PPTX: "extract_pptx",
    DocumentType.XLSX: "extract_sheets",
    DocumentType.XLS: "extract_sheets",
    DocumentType.HTML: "extract_html",
    DocumentType.MARKDOWN: "extract_text",
    DocumentType.TEXT: "extract_text",
    DocumentType.CSV: "extract_text",
}
_OFFICE_FOLDERS = (
    ("word/", DocumentType.DOCX),
    ("ppt/", DocumentType.PPTX),
    ("xl/", DocumentType.XLSX),
)
_HEAD_BYTES = 2048


def read_document(path: Path, filename: str) -> Document:
    """Read a file's text. Run it where a crash harms nobody: see `extraction`.

    Args:
        path: the file.
        filename: its name: the extension counts, and errors show it.

    Raises:
        DocumentUnreadable: no text can be had from it; the error says why.
    """
    document_type = identify(path, filename)
    if document_type in (DocumentType.DOCX, DocumentType.PPTX):
        check_archive(path, filename, xml_max_bytes=ARCHIVE_XML_MAX_BYTES)
    elif document_type is DocumentType.XLSX:
        check_archive(path, filename)
    read = cast("Reader", import_module(f"worker.{_READERS[document_type]}").read)
    out = MarkdownWriter(filename)
    read(path, filename, out, document_type)
    markdown = out.text()
    if not any(map(str.isalnum, markdown)):
        raise DocumentUnreadable(f"{filename} holds no text")
    return Document(filename, document_type, markdown, tuple(out.parts))


def identify(path: Path, filename: str) -> DocumentType:
    """Which type a file is. Content and extension have to agree.

    Raises:
        DocumentUnreadable: it is empty, of a type that is not read, or not what its extension says.
    """
    extension = PurePosixPath(filename).suffix.lower().removeprefix(".")
    expected = _BY_EXTENSION.get(extension)
    found = _by_content(path, filename)
    if found is None:
        if expected in _TEXT_LIKE:
            return expected
        if expected is not None:
            raise DocumentUnreadable(f"{filename} is damaged: its content is no {expected.upper()}")
        raise _unsupported(filename, extension)
    if expected is None or expected is found:
        return found
    if found is DocumentType.HTML and expected in _TEXT_LIKE:
        return expected  # a text or a table may well begin with a tag
    raise DocumentUnreadable(
        f"{filename} is named .{extension}, but its content is {found.upper()}; give it the right extension"
    )


def _by_content(path: Path, filename: str) -> DocumentType | None:
    """The type that a file's first bytes show; None where they show none."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise DocumentUnreadable(f"{filename} is empty (0 bytes)")
    if b"%PDF-" in head[:1024]:
        return DocumentType.PDF
    if head.startswith(b"PK\x03\x04"):
        return _office_type(path, filename)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _compound_type(path, filename)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return DocumentType.HTML
    return None


def _office_type(path: Path, filename: str) -> DocumentType:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DocumentUnreadable(
            f"{filename} is damaged: its zip archive cannot be read ({error})"
        ) from error
    for folder, document_type in _OFFICE_FOLDERS:
        if any(name.startswith(folder) for name in names):
            return document_type
    raise DocumentUnreadable(f"{filename} is a zip archive, but no DOCX, PPTX or XLSX")


def _compound_type(path: Path, filename: str) -> DocumentType:
    """An OLE compound file: XLS, an encrypted office file, or an older format that is not read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:

        def has(stream: str) -> bool:
            return content.find(stream.encode("utf-16-le")) >= 0

        if has("EncryptedPackage"):
            raise DocumentUnreadable(f"{filename} is encrypted; save it without a password")
        if has("WordDocument"):
            raise DocumentUnreadable(f"{filename} is a Word 97-2003 file; save it as .docx")
        if has("PowerPoint Document"):
            raise DocumentUnreadable(f"{filename} is a PowerPoint 97-2003 file; save it as .pptx")
    return DocumentType.XLS


def _unsupported(filename: str, extension: str) -> DocumentUnreadable:
    known = ", ".join(f".{name}" for name in _BY_EXTENSION)
    what = f"of type .{extension}" if extension else "without an extension"
    return DocumentUnreadable(f"{filename} is {what}, which is not read; these are: {known}")
