"""HTML to markdown, by html-to-markdown: a parser as browsers have it, in bounded memory."""

import codecs
import re
from pathlib import Path

from html_to_markdown import ConversionOptions, PreprocessingOptions, WarningKind, convert
from html_to_markdown.exceptions import ConversionError

from worker.errors import DocumentUnreadable
from worker.extract_text import decode
from worker.markdown import MarkdownWriter

__all__ = ["read"]

_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)


def read(path: Path, filename: str, out: MarkdownWriter, document_type: str) -> None:
    """Write the page's text, navigation and footer included: what is navigation is for the reader to say.

    Raises:
        DocumentUnreadable: it is no text, or nested deeper than any page is (over 1,000 elements).
    """
    content = path.read_bytes()
    text = decode(content, filename, declared=_declared(content))
    options = ConversionOptions(
        extract_metadata=False,
        skip_images=True,
        compact_tables=True,
        preprocessing=PreprocessingOptions(enabled=False),
    )
    try:
        result = convert(text, options)
    except ConversionError as error:
        raise DocumentUnreadable(f"{filename} is no readable HTML ({error!s:.300})") from error
    # The rest of such a page would be missing without a word.
    if any(warning.kind == WarningKind.DEPTH_LIMIT_EXCEEDED for warning in result.warnings):
        raise DocumentUnreadable(f"{filename} nests its elements deeper than can be read")
    out.paragraph(result.content or "")


def _declared(content: bytes) -> str | None:
    """The encoding that the page's head names; None if it names none that exists."""
    found = _CHARSET.search(content[:4096])
    if not found:
        return None
    name = found[1].decode("ascii")
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    return name
