"""Text, Markdown and CSV, in whatever encoding they come."""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from worker.errors import DocumentUnreadable
from worker.markdown import MarkdownWriter

__all__ = ["decode", "read"]

# The longer marks first: UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What the web's encoding standard knows (encoding.spec.whatwg.org); older code pages are likelier wrong.
_GUESSED = (
    *("utf-16-le", "utf-16-be", "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-8", "koi8-r", "koi8-u"),
    *(f"windows-{number}" for number in (874, *range(1250, 1259))),
    *("gb18030", "big5", "euc-jp", "iso-2022-jp", "cp932", "cp949"),
)
_SAMPLE_BYTES = 256 * 1024
_SNIFFED_CHARACTERS = 16 * 1024
_FIELD_MAX_CHARACTERS = 10_000_000


def read(path: Path, filename: str, out: MarkdownWriter, document_type: str) -> None:
    """Write a text as it is, a CSV as one table.

    Raises:
        DocumentUnreadable: it is no text, or no CSV.
    """
    text = decode(path.read_bytes(), filename)
    if document_type == "csv":
        _write_table(text, filename, out)
    else:
        out.paragraph(text)


def decode(content: bytes, filename: str, declared: str | None = None) -> str:
    """Decode a text: by its byte order mark, as declared, as UTF-8, or by a guess.

    Args:
        content: the bytes.
        filename: for the error.
        declared: the encoding that the document itself names; None = it names none.

    Raises:
        DocumentUnreadable: these bytes are no text in any encoding.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    for encoding in filter(None, (declared, "utf-8")):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        # A stray zero byte is no harm; every second one would be UTF-16.
        if text.count("\x00") <= len(text) // 100:
            return text
    return _guessed(content, filename)


def _guessed(content: bytes, filename: str) -> str:
    from chardet import detect  # most texts are UTF-8 and never get here

    found = detect(content, include_encodings=_GUESSED, max_bytes=_SAMPLE_BYTES)["encoding"]
    text = content.decode(found, "replace") if found else "\x00"
    if "\x00" in text:
        raise DocumentUnreadable(f"{filename} is no text: its bytes make no sense in any encoding")
    return text


def _write_table(text: str, filename: str, out: MarkdownWriter) -> None:
    csv.field_size_limit(_FIELD_MAX_CHARACTERS)
    dialect = _dialect(text)
    try:
        # Twice through the text: rows are written as they are read, and the head needs the width.
        columns = max((len(row) for row in _rows(text, dialect)), default=0)
        out.table(_rows(text, dialect), columns)
    except csv.Error as error:
        raise DocumentUnreadable(f"{filename} is no readable CSV ({error})") from error


def _rows(text: str, dialect: type[csv.Dialect]) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), dialect)


def _dialect(text: str) -> type[csv.Dialect]:
    """The delimiter that is in every line, and most often: a decimal comma is not in the head."""
    sample = text[:_SNIFFED_CHARACTERS]
    whole = sample[: sample.rfind("\n") + 1] or sample
    lines = [line for line in whole.splitlines() if line.strip()]

    def fitness(candidate: str) -> tuple[int, int]:
        counts = [line.count(candidate) for line in lines]
        return min(counts, default=0), sum(counts)

    class Found(csv.excel):
        delimiter = max(",;\t|", key=fitness)

    return Found
