"""PDF to markdown: page by page, headings by font size, paragraphs by the gaps between lines.

pdfium is not thread-safe: one thread of a process may use it.
"""

import ctypes
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import pypdfium2
import pypdfium2.raw as pdfium

from worker.errors import DocumentUnreadable
from worker.markdown import MarkdownWriter

__all__ = ["read"]

_HEADING_RATIO = 1.15
"""A heading is set at least this much larger than the body."""

_HEADING_LEVELS = 4
_HEADING_MAX_CHARACTERS = 150
_PARAGRAPH_GAP = 1.35
"""A gap above the usual one by this factor begins a paragraph."""

_RUNNING_HEAD_SHARE = 0.3
"""A line on more of the pages than this is a running head, no heading."""


@dataclass(frozen=True)
class _Line:
    """A line of text: its size in points (rounded to halves) and the height of its baseline on the page."""

    text: str
    size: float
    y: float


def read(path: Path, filename: str, out: MarkdownWriter, document_type: str) -> None:
    """Write every page's text.

    Raises:
        DocumentUnreadable: it is encrypted, damaged, or has pages but no text (scanned).
    """
    with path.open("rb") as file:
        pages = _pages(file, filename)
    if not any(line.text for lines in pages for line in lines):
        raise DocumentUnreadable(
            f"{filename} has {len(pages)} page{'' if len(pages) == 1 else 's'} but no text: it is probably "
            "scanned; run character recognition (OCR) over it first"
        )
    levels, leading = _heading_levels(pages), _leading(pages)
    for number, lines in enumerate(pages, start=1):
        out.part("page", number)
        for level, block in _blocks(lines, levels, leading):
            if level:
                out.heading(level, block)
            else:
                out.paragraph(block)


def _pages(file: IO[bytes], filename: str) -> list[list[_Line]]:
    """The lines of every page."""
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise DocumentUnreadable(f"{filename} is encrypted; save it without a password") from error
        raise DocumentUnreadable(f"{filename} is damaged: it is no readable PDF ({error})") from error
    try:
        return [_lines(document, number, filename) for number in range(len(document))]
    finally:
        document.close()


def _lines(document: Any, number: int, filename: str) -> list[_Line]:
    """The lines of one page, from the top of its content stream to the end."""
    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise DocumentUnreadable(
            f"{filename} is damaged: page {number + 1} cannot be read ({error})"
        ) from error
    try:
        lines, offset = [], 0
        for raw_line in text_page.get_text_range().split("\r\n"):
            # U+FFFE stands where a word was broken at a line's end: without it the word is whole again.
            text = raw_line.replace("\ufffe", "").strip()
            if text:
                lines.append(_measured(text_page, text, offset + len(raw_line) - len(raw_line.lstrip())))
            # Offsets count UTF-16 code units, as pdfium does.
            offset += len(raw_line.encode("utf-16-le", "surrogatepass")) // 2 + 2
        return lines
    finally:
        text_page.close()
        page.close()


def _measured(text_page: Any, text: str, text_offset: int) -> _Line:
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, text_offset)
    matrix = pdfium.FS_MATRIX()
    x, y = ctypes.c_double(), ctypes.c_double()
    size = pdfium.FPDFText_GetFontSize(text_page, index)
    # Many programs write size 1 and scale by the matrix.
    if pdfium.FPDFText_GetMatrix(text_page, index, matrix):
        size *= math.hypot(matrix.c, matrix.d)
    pdfium.FPDFText_GetCharOrigin(text_page, index, x, y)
    return _Line(text, round(size * 2) / 2, y.value)


def _heading_levels(pages: list[list[_Line]]) -> dict[tuple[float, str], int]:
    """Which lines are headings, by size and text: the larger the size, the higher the level."""
    weight: Counter[float] = Counter()
    seen_on: Counter[tuple[float, str]] = Counter()
    for lines in pages:
        for line in lines:
            weight[line.size] += len(line.text)
        seen_on.update({(line.size, line.text) for line in lines})
    body = weight.most_common(1)[0][0]
    often = max(2.0, len(pages) * _RUNNING_HEAD_SHARE)
    headings = {
        key
        for key, count in seen_on.items()
        if key[0] >= body * _HEADING_RATIO and count <= often and _reads_like_a_heading(key[1])
    }
    sizes = sorted({size for size, _ in headings}, reverse=True)
    level = {size: min(rank, _HEADING_LEVELS) for rank, size in enumerate(sizes, start=1)}
    return {key: level[key[0]] for key in headings}


def _reads_like_a_heading(text: str) -> bool:
    return len(text) <= _HEADING_MAX_CHARACTERS and any(map(str.isalpha, text))


def _leading(pages: list[list[_Line]]) -> float:
    """The usual distance between two lines of one paragraph, as a factor of their size."""
    factors = Counter(
        round((above.y - below.y) / below.size, 1)
        for lines in pages
        for above, below in pairwise(lines)
        if above.y > below.y and above.size == below.size > 0
    )
    # Of two that are equally common, the smaller is within paragraphs.
    return min(factors, key=lambda factor: (-factors[factor], factor), default=1.2)


def _blocks(
    lines: list[_Line], levels: dict[tuple[float, str], int], leading: float
) -> Iterator[tuple[int, str]]:
    """Headings (level, text) and paragraphs (0, lines) of a page."""
    paragraph: list[str] = []
    previous: _Line | None = None
    for line in lines:
        level = levels.get((line.size, line.text), 0)
        gap = previous.y - line.y if previous else 0.0
        # A gap upwards is a new column.
        if paragraph and (level or gap < 0 or gap > line.size * leading * _PARAGRAPH_GAP):
            yield 0, "\n".join(paragraph)
            paragraph = []
        if level:
            yield level, line.text
        else:
            paragraph.append(line.text)
        previous = line
    if paragraph:
        yield 0, "\n".join(paragraph)
