"""PPTX to markdown: a heading per slide, its shapes from top to bottom, charts, tables, speaker notes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pptx
from lxml import etree
from pptx.exc import PythonPptxError
from pptx.oxml import parse_xml

from worker.errors import DocumentUnreadable
from worker.markdown import MarkdownWriter

__all__ = ["read"]

_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_PARAGRAPH = "{http://schemas.openxmlformats.org/drawingml/2006/main}p"
_DIAGRAM_DATA = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData"


def read(path: Path, filename: str, out: MarkdownWriter, document_type: str) -> None:
    """Write every slide.

    Raises:
        DocumentUnreadable: it is no presentation that python-pptx opens.
    """
    try:
        with path.open("rb") as file:
            presentation = pptx.Presentation(file)
        for number, slide in enumerate(presentation.slides, start=1):
            out.part("slide", number)
            _write_slide(number, slide, out)
    except (KeyError, ValueError, AttributeError, PythonPptxError, etree.XMLSyntaxError) as error:
        raise DocumentUnreadable(f"{filename} is damaged: it is no readable PPTX ({error!s:.300})") from error


def _write_slide(number: int, slide: Any, out: MarkdownWriter) -> None:
    title = slide.shapes.title
    has_title = title is not None and title.text_frame.text.strip()
    out.heading(2, f"Slide {number}: {title.text_frame.text}" if has_title else f"Slide {number}")
    for shape in _shapes(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _write_shape(shape, out)
    for relationship in slide.part.rels.values():
        if relationship.reltype == _DIAGRAM_DATA and not relationship.is_external:
            _write_diagram(relationship.target_part.blob, out)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text
        if notes.strip():
            out.paragraph(f"Notes: {notes}")


def _shapes(shapes: Any) -> Iterator[Any]:
    """Shapes from top to bottom, then left to right; those of a group stand in the group's place."""
    for shape in sorted(shapes, key=lambda s: (s.top or 0, s.left or 0)):
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _write_shape(shape: Any, out: MarkdownWriter) -> None:
    if getattr(shape, "has_table", False):
        rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
        out.table(rows, max((len(row) for row in rows), default=0))
    elif getattr(shape, "has_chart", False):
        _write_chart(shape.chart, out)
    elif shape.has_text_frame:
        paragraphs = [p for p in shape.text_frame.paragraphs if p.text.strip()]
        # One paragraph is a caption or a sentence; several are the points of a slide.
        if len(paragraphs) == 1:
            out.paragraph(paragraphs[0].text)
        for paragraph in paragraphs if len(paragraphs) > 1 else ():
            out.item(paragraph.text, paragraph.level)


def _write_chart(chart: Any, out: MarkdownWriter) -> None:
    """A chart's title, and its numbers as a table: categories down, series across."""
    if chart.has_title and chart.chart_title.has_text_frame:
        out.paragraph(f"Chart: {chart.chart_title.text_frame.text}")
    for plot in chart.plots:
        series = list(plot.series)
        categories = [str(category) for category in plot.categories]
        columns = [[_number(value) for value in one.values] for one in series]
        height = max([len(categories), *map(len, columns)], default=0)
        rows = [["", *(str(one.name) for one in series)]]
        rows += [[_at(column, line) for column in (categories, *columns)] for line in range(height)]
        out.table(rows, len(series) + 1)


def _write_diagram(xml: bytes, out: MarkdownWriter) -> None:
    """The texts of a SmartArt diagram, in the order of its points."""
    for paragraph in parse_xml(xml).iter(_PARAGRAPH):
        out.item("".join(text.text or "" for text in paragraph.iter(_TEXT)))


def _at(values: list[str], line: int) -> str:
    return values[line] if line < len(values) else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"
