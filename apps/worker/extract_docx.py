"""DOCX to markdown.

python-docx opens the package; its parts are walked here, because its own iteration leaves out content
controls, tracked insertions, text boxes and notes, and a document that lost text without a word is worse
than one that fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from lxml import etree

from worker.errors import DocumentUnreadable
from worker.markdown import MarkdownWriter

__all__ = ["read"]

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_P, _TBL, _TXBX = f"{_W}p", f"{_W}tbl", f"{_W}txbxContent"
_VAL = f"{_W}val"
_WORDS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
# Deleted text, the older twin of a drawing, the properties of things, and what is a block of its own.
_SKIPPED = frozenset({f"{_W}del", f"{_W}moveFrom", _MC_FALLBACK, f"{_W}pPr", f"{_W}rPr", _P, _TBL, _TXBX})
_NOTES = ((RELATIONSHIP_TYPE.FOOTNOTES, "footnote"), (RELATIONSHIP_TYPE.ENDNOTES, "endnote"))


@dataclass(frozen=True)
class _Styles:
    """What the walk has to know of styles: headings and lists by style, lists by numbering.

    Attributes:
        names: style id to name.
        bullets: numbering id to whether its outermost level is a bullet.
    """

    names: dict[str, str] = field(default_factory=dict)
    bullets: dict[str, bool] = field(default_factory=dict)


def read(path: Path, filename: str, out: MarkdownWriter, document_type: str) -> None:
    """Write body, tables, text boxes and notes, in order.

    Raises:
        DocumentUnreadable: it is no Word document that python-docx opens.
    """
    try:
        with path.open("rb") as file:
            document = docx.Document(file)
        styles = _Styles(_style_names(document), _bullets(document))
        _write_blocks(document.element.body, styles, out)
        _write_notes(document, out)
    except (KeyError, ValueError, AttributeError, etree.XMLSyntaxError) as error:
        raise DocumentUnreadable(f"{filename} is damaged: it is no readable DOCX ({error!s:.300})") from error


def _write_blocks(container: Any, styles: _Styles, out: MarkdownWriter) -> None:
    for block in _blocks(container):
        if block.tag == _TBL:
            rows = _rows(block)
            out.table(rows, max((len(row) for row in rows), default=0))
            continue
        _write_paragraph(block, styles, out)
        for box in _text_boxes(block):
            _write_blocks(box, styles, out)


def _write_paragraph(paragraph: Any, styles: _Styles, out: MarkdownWriter) -> None:
    text = _text(paragraph)
    properties = paragraph.find(f"{_W}pPr")
    style = styles.names.get(_value(properties, "pStyle") or "", "").lower()
    numbering = properties.find(f"{_W}numPr") if properties is not None else None
    if style == "title":
        out.heading(1, text)
    elif style.startswith("heading ") and style[8:].isdigit():
        out.heading(int(style[8:]), text)
    elif numbering is not None or style.startswith("list "):
        depth = _value(numbering, "ilvl") or "0"
        numbered = not styles.bullets.get(_value(numbering, "numId") or "", True) or "number" in style
        out.item(text, int(depth) if depth.isdigit() else 0, "1." if numbered else "-")
    else:
        out.paragraph(text)


def _blocks(container: Any) -> Iterator[Any]:
    """Paragraphs and tables of a body, cell or text box, those within content controls included."""
    for child in container:
        if child.tag in (_P, _TBL):
            yield child
        elif child.tag not in _SKIPPED and isinstance(child.tag, str):
            yield from _blocks(child)


def _text(element: Any) -> str:
    """The text of a paragraph, without that of blocks inside it."""
    return "".join(_runs(element))


def _runs(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _WORDS:
            yield _WORDS[child.tag]
        elif child.tag not in _SKIPPED and isinstance(child.tag, str):
            yield from _runs(child)


def _text_boxes(element: Any) -> Iterator[Any]:
    for child in element:
        if child.tag == _TXBX:
            yield child
        elif child.tag not in (_MC_FALLBACK, _P, _TBL):
            yield from _text_boxes(child)


def _rows(table: Any) -> list[list[str]]:
    """A table's cells; a cell over several columns stands in the first, one within tables is flattened."""
    rows = []
    for row in _descend(table, f"{_W}tr"):
        cells: list[str] = []
        for cell in _descend(row, f"{_W}tc"):
            cells.append(" ".join(_cell_texts(cell)))
            span = _value(cell.find(f"{_W}tcPr"), "gridSpan") or "1"
            cells += [""] * (min(int(span), 100) - 1 if span.isdigit() else 0)
        rows.append(cells)
    return rows


def _descend(element: Any, tag: str) -> Iterator[Any]:
    """The nearest descendants of a tag, through content controls, not through nested tables."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag not in (_TBL, _P) and isinstance(child.tag, str):
            yield from _descend(child, tag)


def _cell_texts(container: Any) -> Iterator[str]:
    for block in _blocks(container):
        if block.tag == _TBL:
            yield from (text for row in _rows(block) for text in row)
        else:
            yield _text(block)


def _write_notes(document: Any, out: MarkdownWriter) -> None:
    for relationship_type, tag in _NOTES:
        for relationship in document.part.rels.values():
            if relationship.reltype != relationship_type or relationship.is_external:
                continue
            for note in parse_xml(relationship.target_part.blob).iter(f"{_W}{tag}"):
                out.paragraph(" ".join(_cell_texts(note)))


def _style_names(document: Any) -> dict[str, str]:
    names = {}
    for style in document.styles.element.iter(f"{_W}style"):
        names[style.get(f"{_W}styleId", "")] = _value(style, "name") or ""
    return names


def _bullets(document: Any) -> dict[str, bool]:
    if not any(r.reltype == RELATIONSHIP_TYPE.NUMBERING for r in document.part.rels.values()):
        return {}
    numbering = document.part.numbering_part.element
    formats = {}
    for abstract in numbering.iter(f"{_W}abstractNum"):
        level = abstract.find(f"{_W}lvl")
        formats[abstract.get(f"{_W}abstractNumId")] = _value(level, "numFmt")
    return {
        num.get(f"{_W}numId"): formats.get(_value(num, "abstractNumId")) == "bullet"
        for num in numbering.iter(f"{_W}num")
    }


def _value(element: Any, child: str) -> str | None:
    """The `w:val` of a child element; None without element or child."""
    found = element.find(f"{_W}{child}") if element is not None else None
    return None if found is None else found.get(_VAL)
