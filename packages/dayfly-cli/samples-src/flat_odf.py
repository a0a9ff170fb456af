"""Writes flat OpenDocument files (text, spreadsheet, presentation) from plain values, for LibreOffice.

Flat means one XML file instead of a zip. Only what the samples use is here: headings, paragraphs, lists,
tables, page numbers; cells with formulas; slides with speaker notes.
"""

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

_HERE = Path(__file__).resolve().parent
_NAMESPACES = {
    "xmlns:dc": "http://purl.org/dc/elements/1.1/",
    "xmlns:of": "urn:oasis:names:tc:opendocument:xmlns:of:1.2",
} | {
    f"xmlns:{prefix}": f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"
    for prefix, name in {
        "office": "office",
        "text": "text",
        "table": "table",
        "style": "style",
        "draw": "drawing",
        "number": "datastyle",
        "presentation": "presentation",
        "fo": "xsl-fo-compatible",
        "svg": "svg-compatible",
    }.items()
}

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Formula:
    """A cell that is computed when the sheet is written: OpenFormula text, for example `[.E2]*1.19`."""

    expression: str
    style: str = "money"


@dataclass(frozen=True)
class Slide:
    """One slide: a title, then bullets or one table, and what the speaker says."""

    title: str
    subtitle: str
    bullets: tuple[str, ...]
    table: Rows
    notes: str


Cell = str | int | float | dt.date | Formula | None


def text(title: str, footer: str, markdown: str) -> str:
    """Turn headings, paragraphs, lists and tables of Markdown into a text document with a page footer."""
    blocks = "".join(_block(block) for block in re.split(r"\n{2,}", markdown.strip()))
    styles = _styles("text").replace("{footer}", escape(footer))
    return _document("text", title, styles, _tag("office:text", blocks))


def spreadsheet(title: str, sheets: dict[str, Sequence[Sequence[Cell]]]) -> str:
    """Write sheets by name; the first row of each is its heading, long texts get a wide column."""
    body = "".join(_sheet(name, rows) for name, rows in sheets.items())
    return _document("spreadsheet", title, _styles("sheet"), _tag("office:spreadsheet", body))


def presentation(title: str, slides: Iterable[Slide]) -> str:
    """Write slides of 28 by 15.75 cm, each with its speaker notes."""
    pages = "".join(_slide(number, slide) for number, slide in enumerate(slides, start=1))
    return _document("presentation", title, _styles("slides"), _tag("office:presentation", pages))


def table_rows(lines: Iterable[str]) -> Rows:
    """Read the rows of a Markdown table, without the line of dashes."""
    rows = (tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines)
    return tuple(row for row in rows if not all(cell and set(cell) <= set("-:") for cell in row))


def _document(kind: str, title: str, styles: str, body: str) -> str:
    mime_type = f"application/vnd.oasis.opendocument.{kind}"
    attributes = {**_NAMESPACES, "office:version": "1.2", "office:mimetype": mime_type}
    meta = _tag("office:meta", _tag("dc:title", escape(title)))
    document = _tag("office:document", meta + styles + _tag("office:body", body), attributes)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document}\n'


def _styles(kind: str) -> str:
    return (_HERE / f"styles-{kind}.xml").read_text(encoding="utf-8")


def _tag(name: str, inner: str = "", attributes: dict[str, str] | None = None) -> str:
    given = "".join(f" {key}={quoteattr(value)}" for key, value in (attributes or {}).items())
    return f"<{name}{given}>{inner}</{name}>"


def _paragraph(style: str, line: str) -> str:
    strong = r'<text:span text:style-name="Strong">\1</text:span>'
    return _tag("text:p", re.sub(r"\*\*(.+?)\*\*", strong, escape(line)), {"text:style-name": style})


def _list(style: str, text_style: str, items: Iterable[str]) -> str:
    inner = "".join(_tag("text:list-item", _paragraph(text_style, item)) for item in items)
    return _tag("text:list", inner, {"text:style-name": style})


# Text: a small part of Markdown, block by block.


def _block(block: str) -> str:
    lines = block.splitlines()
    match lines[0].split(" ", 1):
        case [hashes, title] if set(hashes) == {"#"}:
            return _heading(len(hashes) - 1, title) + (_block("\n".join(lines[1:])) if lines[1:] else "")
        case ["-", _]:
            return _list("Bullets", "Standard", [line.removeprefix("- ") for line in lines])
        case [number, _] if re.fullmatch(r"\d+\.", number):
            return _list("Numbers", "Standard", [line.split(" ", 1)[1] for line in lines])
        case ["|", *_]:
            return _table(table_rows(lines))
        case _:
            return _paragraph("Standard", " ".join(lines))


def _heading(level: int, title: str) -> str:
    if level == 0:
        return _paragraph("Title", title)
    return _tag(
        "text:h", escape(title), {"text:style-name": f"Heading_{level}", "text:outline-level": str(level)}
    )


def _table(rows: Rows) -> str:
    head, *rest = rows
    columns = _tag("table:table-column", "", {"table:number-columns-repeated": str(len(head))})
    inner = columns + _tag("table:table-header-rows", _row(head, "HeadBox", "CellText"))
    inner += "".join(_row(cells, "Box", "CellText") for cells in rest)
    return _tag("table:table", inner, {"table:style-name": "Grid"}) + _paragraph("CellText", "")


def _row(cells: Sequence[str], style: str, text_style: str) -> str:
    attributes = {"table:style-name": style, "office:value-type": "string"}
    inner = "".join(_tag("table:table-cell", _paragraph(text_style, cell), attributes) for cell in cells)
    return _tag("table:table-row", inner, {"table:style-name": "Whole"})


# Spreadsheets.


def _sheet(name: str, rows: Sequence[Sequence[Cell]]) -> str:
    columns = ""
    for column in range(max(map(len, rows))):
        cells = (row[column] for row in rows if column < len(row))
        longest = max((len(cell) for cell in cells if isinstance(cell, str)), default=0)
        columns += _tag("table:table-column", "", {"table:style-name": "wide" if longest > 16 else "narrow"})
    lines = ""
    for index, row in enumerate(rows):
        lines += _tag("table:table-row", "".join(_cell(cell, heading=index == 0) for cell in row))
    return _tag("table:table", columns + lines, {"table:name": name})


def _cell(value: Cell, *, heading: bool) -> str:
    kind, style, given = "float", "plain", {}
    match value:
        case None | "":
            return _tag("table:table-cell")
        case Formula(expression, formula_style):
            style, given = formula_style, {"table:formula": f"of:={expression}"}
        case dt.date():
            kind, style, given = "date", "day", {"office:date-value": value.isoformat()}
        case int():
            given = {"office:value": str(value)}
        case float():
            style, given = "money", {"office:value": str(value)}
        case str():
            kind = "string"
    inner = "" if isinstance(value, Formula) else _tag("text:p", escape(str(value)))
    attributes = {"table:style-name": "head" if heading else style, "office:value-type": kind, **given}
    return _tag("table:table-cell", inner, attributes)


# Presentations.


def _slide(number: int, slide: Slide) -> str:
    inner = _frame("title", (1.5, 0.8, 25, 2.4), _paragraph("BigText", slide.title))
    if slide.subtitle:
        inner += _frame("subtitle", (1.5, 3.3, 25, 1.4), _paragraph("BodyText", slide.subtitle))
    if slide.bullets:
        top = 5.0 if slide.subtitle else 3.8
        inner += _frame("outline", (1.5, top, 25, 9.5), _list("Dots", "BodyText", slide.bullets))
    if slide.table:
        inner += _slide_table(slide.table)
    thumbnail = {"draw:page-number": str(number), "presentation:class": "page", **_box((3, 2, 15, 10))}
    notes = _tag("draw:page-thumbnail", "", thumbnail)
    notes += _frame("notes", (2, 14, 17, 13), _paragraph("BodyText", slide.notes))
    attributes = {"draw:name": f"slide{number}", "draw:master-page-name": "Default"}
    return _tag("draw:page", inner + _tag("presentation:notes", notes), attributes)


def _box(box_cm: tuple[float, float, float, float]) -> dict[str, str]:
    return {
        f"svg:{name}": f"{value}cm" for name, value in zip(("x", "y", "width", "height"), box_cm, strict=True)
    }


def _frame(kind: str, box_cm: tuple[float, float, float, float], inner: str) -> str:
    style = "SlideTitle" if kind == "title" else "SlideBody"
    attributes = {"presentation:class": kind, "presentation:style-name": style, **_box(box_cm)}
    return _tag("draw:frame", _tag("draw:text-box", inner), attributes)


def _slide_table(rows: Rows) -> str:
    columns = _tag("table:table-column", "", {"table:number-columns-repeated": str(len(rows[0]))})
    lines = "".join(_row(row, "SlideCell", "CellSize") for row in rows)
    return _tag("draw:frame", _tag("table:table", columns + lines), _box((1.5, 4, 25, 1.4 * len(rows))))
