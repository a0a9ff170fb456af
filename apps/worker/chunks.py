"""Cut a text into overlapping chunks, exactly.

Every character is in a chunk, no chunk is longer than the size, and each begins exactly the overlap before
the end of the one before it. Within that, a chunk ends where a reader would pause.
"""

from dataclasses import dataclass

from worker.limits import CHUNK_CHARACTERS, CHUNK_OVERLAP_CHARACTERS

__all__ = ["Chunk", "split"]

# From the best place to end a chunk to the worst; a table row ends like a sentence.
_PAUSES: tuple[tuple[str, ...], ...] = (
    ("\n\n",),
    (". ", "! ", "? ", ".\n", "!\n", "?\n", "|\n", "。", "\uff01", "\uff1f"),
    ("\n",),
    (" ", "\t", "\u3000"),
)


@dataclass(frozen=True)
class Chunk:
    """A slice of a text.

    Attributes:
        text: the slice, untouched.
        start: offset of its first character in the text.
        end: offset after its last character.
    """

    text: str
    start: int
    end: int


def split(text: str, size: int = CHUNK_CHARACTERS, overlap: int = CHUNK_OVERLAP_CHARACTERS) -> list[Chunk]:
    """Cut a text into chunks.

    Args:
        text: any text; an empty one has no chunks.
        size: the longest chunk, in characters.
        overlap: what neighbours share, in characters; less than half of `size`.

    Raises:
        ValueError: the overlap is negative, or half of the size or more.
    """
    if not 0 <= overlap < size / 2:
        raise ValueError(f"overlap {overlap} must be at least 0 and less than half of the size {size}")
    chunks: list[Chunk] = []
    start = 0
    while start < len(text):
        end = len(text) if len(text) - start <= size else _pause(text, start + size // 2, start + size)
        chunks.append(Chunk(text[start:end], start, end))
        if end == len(text):
            break
        start = end - overlap
    return chunks


def _pause(text: str, low: int, high: int) -> int:
    """The best place to end a chunk, above `low` and at most `high`."""
    for pauses in _PAUSES:
        best = max(_last(text, pause, low, high) for pause in pauses)
        if best > low:
            return best
    return high


def _last(text: str, pause: str, low: int, high: int) -> int:
    found = text.rfind(pause, low, high)
    return -1 if found < 0 else found + len(pause)
