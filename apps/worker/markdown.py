"""Write markdown block by block, knowing the offset at which each page, slide or sheet begins."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from worker.errors import DocumentUnreadable
from worker.limits import TABLE_COLUMNS_MAX, TEXT_MAX_CHARACTERS

__all__ = ["MarkdownWriter", "Part", "clean"]

# Control characters, lone surrogates and non-characters: no database takes them and no reader misses them.
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Part:
    """A page, slide or sheet of a document.

    Attributes:
        kind: `page`, `slide` or `sheet`.
        name: its number from 1, or a sheet's name.
        start: offset of its first character in the markdown.
    """

    kind: str
    name: int | str
    start: int


def clean(text: str) -> str:
    """A text without characters that are no text; line ends become `\\n`."""
    return _NO_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n"))


class MarkdownWriter:
    """Collects blocks; between two blocks is one empty line, between two list items none.

    Args:
        filename: for the error when the text grows over the limit.
    """

    def __init__(self, filename: str) -> None:
        self.parts: list[Part] = []
        self._filename = filename
        self._pieces: list[str] = []
        self._length = 0
        self._after_item = False

    def part(self, kind: str, name: int | str) -> None:
        """The next block begins this page, slide or sheet."""
        self.parts.append(Part(kind, name, self._length + len(self._gap())))
        self._after_item = False

    def heading(self, level: int, text: str) -> None:
        """A heading of level 1 to 6; an empty one is left out."""
        if line := _one_line(text):
            self._block(f"{'#' * min(max(level, 1), 6)} {line}")

    def paragraph(self, text: str) -> None:
        """A paragraph, or any text that is markdown already; an empty one is left out."""
        if text := clean(text).strip():
            self._block(text)

    def item(self, text: str, depth: int = 0, marker: str = "-") -> None:
        """A list item, `depth` levels deep (0 = outermost)."""
        if line := _one_line(text):
            self._add("\n" if self._after_item else self._gap(), f"{'  ' * min(depth, 8)}{marker} {line}")
            self._after_item = True

    def table(self, rows: Iterable[Sequence[str]], columns: int) -> None:
        """A table whose first row is its head; shorter rows are filled up, empty rows are left out.

        Raises:
            DocumentUnreadable: it is wider than a table may be.
        """
        if columns > TABLE_COLUMNS_MAX:
            raise DocumentUnreadable(
                f"{self._filename} has a table of {columns} columns; at most {TABLE_COLUMNS_MAX} are read"
            )
        head = True
        for row in rows:
            cells = [_cell(cell) for cell in row]
            if not any(cells):
                continue
            line = f"| {' | '.join(cells + [''] * (columns - len(cells)))} |"
            if head:
                self._block(f"{line}\n|{' --- |' * columns}")
                head = False
            else:
                self._add("\n", line)

    def text(self) -> str:
        """All blocks, with one line end after the last."""
        return "".join(self._pieces) + ("\n" if self._pieces else "")

    def _gap(self) -> str:
        return "\n\n" if self._pieces else ""

    def _block(self, text: str) -> None:
        self._add(self._gap(), text)
        self._after_item = False

    def _add(self, gap: str, text: str) -> None:
        self._pieces += (gap, text)
        self._length += len(gap) + len(text)
        if self._length > TEXT_MAX_CHARACTERS:
            raise DocumentUnreadable(
                f"{self._filename} holds more text than one document may: over "
                f"{TEXT_MAX_CHARACTERS:,} characters; split it"
            )


def _one_line(text: str) -> str:
    return _BLANKS.sub(" ", clean(text)).strip()


def _cell(text: str) -> str:
    # Most cells are a short word or number: the slow path is for the others.
    return text if text.isalnum() else _one_line(text).replace("\\", "\\\\").replace("|", "\\|")
