"""Documents of every type become markdown; bad ones are refused with what is wrong with which file."""

import io
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from worker.documents import Document, DocumentType, identify, read_document
from worker.errors import DocumentUnreadable

Read = Callable[..., Document]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_bytes(filename: str, content: bytes) -> Document:
        path = tmp_path / "document"
        path.write_bytes(content)
        return read_document(path, filename)

    return from_bytes


def saved(thing: Any) -> bytes:
    file = io.BytesIO()
    thing.save(file)
    return file.getvalue()


# PDF ----------------------------------------------------------------------------------------------------


def pdf(*pages: list[tuple[int, int, str]], **options: Any) -> bytes:
    """A PDF whose pages hold lines of (size in points, height on the page, text)."""
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file, **options)
    for lines in pages:
        for size, y, text in lines:
            canvas.setFont("Helvetica", size)
            canvas.drawString(72, y, text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


BODY = [(10, 650, "The quick brown fox jumps over"), (10, 638, "the lazy dog, twice a day.")]


def test_a_pdf_has_pages_headings_by_font_size_and_paragraphs_by_gaps(read: Read) -> None:
    first = [(18, 700, "Handbook"), (14, 670, "1. Rules"), *BODY, (10, 610, "A paragraph of its own.")]
    document = read("a.pdf", pdf(first, [(14, 700, "2. More"), *BODY]))
    text = "The quick brown fox jumps over\nthe lazy dog, twice a day."
    assert document.markdown == (
        f"# Handbook\n\n## 1. Rules\n\n{text}\n\nA paragraph of its own.\n\n## 2. More\n\n{text}\n"
    )
    assert document.size == "2 pages"
    assert [document.markdown[part.start :][:8] for part in document.parts] == ["# Handbo", "## 2. Mo"]


def test_a_running_head_is_no_heading(read: Read) -> None:
    pages = [[(14, 780, "Quarterly report"), (10, 700, f"Body text number {n} of them.")] for n in range(10)]
    assert "#" not in read("a.pdf", pdf(*pages)).markdown


def test_a_heading_scaled_by_its_matrix_is_found(read: Read) -> None:
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file)
    text = canvas.beginText()
    text.setTextTransform(2, 0, 0, 2, 72, 700)
    text.setFont("Helvetica", 9)
    text.textOut("Scaled")
    canvas.drawText(text)
    canvas.setFont("Helvetica", 10)
    canvas.drawString(72, 600, "Body text below it.")
    canvas.save()
    assert read("a.pdf", file.getvalue()).markdown == "# Scaled\n\nBody text below it.\n"


def test_a_word_broken_at_a_lines_end_is_whole_again(read: Read) -> None:
    document = read("a.pdf", pdf([(10, 700, "This is an exam-"), (10, 688, "ple of it.")]))
    assert document.markdown == "This is an example of it.\n"


def test_a_scanned_pdf_is_refused_as_such(read: Read) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file)
    for _ in range(3):
        canvas.drawImage(ImageReader(Image.new("RGB", (20, 20), "white")), 0, 0, 500, 700)
        canvas.showPage()
    canvas.save()
    with pytest.raises(
        DocumentUnreadable, match=r"scan\.pdf has 3 pages but no text: it is probably scanned"
    ):
        read("scan.pdf", file.getvalue())


def test_an_encrypted_pdf_is_refused_as_such(read: Read) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    content = pdf(BODY, encrypt=StandardEncryption("secret", strength=40))
    with pytest.raises(DocumentUnreadable, match=r"a\.pdf is encrypted"):
        read("a.pdf", content)


def test_half_a_pdf_is_refused_as_damaged(read: Read) -> None:
    content = pdf(BODY)
    with pytest.raises(DocumentUnreadable, match=r"a\.pdf is damaged"):
        read("a.pdf", content[: len(content) // 2])


# DOCX ---------------------------------------------------------------------------------------------------


def test_a_docx_has_headings_lists_tables_in_order(read: Read) -> None:
    import docx

    document = docx.Document()
    document.add_heading("Manual", 0)
    document.add_heading("Setup", 1)
    document.add_paragraph("Read this first.")
    document.add_paragraph("bolt", style="List Bullet")
    document.add_paragraph("nut", style="List Bullet")
    document.add_paragraph("step", style="List Number")
    table = document.add_table(rows=2, cols=3)
    for cell, text in zip(table.rows[0].cells, ("part", "size", "pieces"), strict=True):
        cell.text = text
    table.cell(1, 0).merge(table.cell(1, 1)).text = "both"
    table.cell(1, 2).text = "4"
    document.add_paragraph("The end.")
    assert read("a.docx", saved(document)).markdown == (
        "# Manual\n\n# Setup\n\nRead this first.\n\n- bolt\n- nut\n1. step\n\n"
        "| part | size | pieces |\n| --- | --- | --- |\n| both |  | 4 |\n\nThe end.\n"
    )


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@pytest.mark.parametrize(
    ("xml", "found"),
    [
        (f"<w:sdt {WORD}><w:sdtContent><w:p><w:r><w:t>found</w:t></w:r></w:p></w:sdtContent></w:sdt>", True),
        (f"<w:p {WORD}><w:ins><w:r><w:t>found</w:t></w:r></w:ins></w:p>", True),
        (f"<w:p {WORD}><w:del><w:r><w:delText>found</w:delText></w:r></w:del></w:p>", False),
        (f"<w:p {WORD}><w:hyperlink><w:r><w:t>found</w:t></w:r></w:hyperlink></w:p>", True),
        (f"<w:p {WORD}><w:smartTag><w:r><w:t>found</w:t></w:r></w:smartTag></w:p>", True),
        (f"<w:p {WORD}><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>found</w:t></w:r></w:p>"
         "</w:txbxContent></w:pict></w:r></w:p>", True),
        (f"<w:tbl {WORD}><w:tr><w:tc><w:tbl><w:tr><w:tc><w:p><w:r><w:t>found</w:t></w:r></w:p></w:tc>"
         "</w:tr></w:tbl><w:p/></w:tc></w:tr></w:tbl>", True),
    ],
    ids=["content control", "insertion", "deletion", "hyperlink", "smart tag", "text box", "nested table"],
)  # fmt: skip
def test_text_in_the_corners_of_a_docx_is_read_once(read: Read, xml: str, found: bool) -> None:
    import docx
    from docx.oxml import parse_xml

    document = docx.Document()
    document.add_paragraph("before")
    document.element.body.insert(1, parse_xml(xml))
    assert read("a.docx", saved(document)).markdown.count("found") == int(found)


def test_the_footnotes_of_a_docx_are_read(read: Read) -> None:
    import docx
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    document = docx.Document()
    document.add_paragraph("body")
    note = "<w:footnote><w:p><w:r><w:t>see page 7</w:t></w:r></w:p></w:footnote>"
    xml = f"<w:footnotes {WORD}>{note}</w:footnotes>"
    part = Part(PackURI("/word/footnotes.xml"), "application/xml", xml.encode(), document.part.package)
    document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    assert read("a.docx", saved(document)).markdown == "body\n\nsee page 7\n"


# PPTX ---------------------------------------------------------------------------------------------------


def test_a_pptx_has_a_heading_per_slide_points_tables_charts_groups_and_notes(read: Read) -> None:
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "first\nsecond"
    slide.placeholders[1].text_frame.paragraphs[1].level = 1
    slide.notes_slide.notes_text_frame.text = "Say hello."
    table = slide.shapes.add_table(2, 2, 0, Inches(5), Inches(3), Inches(1)).table
    for row, texts in enumerate((("a", "b"), ("1", "2"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    second = deck.slides.add_slide(deck.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["Q1", "Q2"]
    data.add_series("sales", (1.5, 20))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(3), Inches(3), data)
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(0, Inches(4), Inches(1), Inches(1)).text_frame.text = "in a group"
    document = read("a.pptx", saved(deck))
    assert document.markdown == (
        "## Slide 1: Plan\n\n- first\n  - second\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"
        "Notes: Say hello.\n\n## Slide 2\n\n"
        "|  | sales |\n| --- | --- |\n| Q1 | 1.5 |\n| Q2 | 20 |\n\nin a group\n"
    )
    assert document.size == "2 slides"


# Sheets -------------------------------------------------------------------------------------------------


def test_an_xlsx_has_a_table_per_sheet_with_plain_values(read: Read) -> None:
    import xlsxwriter

    file = io.BytesIO()
    book = xlsxwriter.Workbook(file)
    prices, empty, other = (book.add_worksheet(name) for name in ("Prices", "Empty", "Other"))
    assert empty is not None
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    prices.write_row(1, 1, ["item", "price", "since", "sold"])
    prices.write_row(2, 1, ["bolt|nut", 2.5])
    prices.write_datetime(2, 3, datetime(2026, 3, 1), day)  # noqa: DTZ001  sheets know no zone
    prices.write_boolean(2, 4, True)
    prices.write_row(4, 1, ["nail", 3.0])
    other.write(0, 0, "x")
    book.close()
    document = read("a.xlsx", file.getvalue())
    assert document.markdown == (
        "## Prices\n\n| item | price | since | sold |\n| --- | --- | --- | --- |\n"
        "| bolt\\|nut | 2.5 | 2026-03-01 | TRUE |\n| nail | 3 |  |  |\n\n## Other\n\n| x |\n| --- |\n"
    )
    assert document.size == "2 sheets"


def test_an_xls_is_read_like_an_xlsx(read: Read) -> None:
    import xlwt

    book = xlwt.Workbook()
    sheet = book.add_sheet("Stock")
    style = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    for column, value in enumerate(("item", "pieces", "counted")):
        sheet.write(0, column, value)
    sheet.write(1, 0, "bolt")
    sheet.write(1, 1, 12)
    sheet.write(1, 2, date(2026, 3, 1), style)
    document = read("a.xls", saved(book))
    assert document.markdown == (
        "## Stock\n\n| item | pieces | counted |\n| --- | --- | --- |\n| bolt | 12 | 2026-03-01 |\n"
    )
    assert (document.type, document.size) == (DocumentType.XLS, "1 sheet")


def test_half_an_xls_is_refused_as_damaged(read: Read) -> None:
    import xlwt

    book = xlwt.Workbook()
    sheet = book.add_sheet("Stock")
    for row in range(300):
        sheet.write(row, 0, f"item {row}")
    content = saved(book)
    with pytest.raises(DocumentUnreadable, match=r"a\.xls is damaged"):
        read("a.xls", content[: len(content) // 2])


# HTML, text, CSV ----------------------------------------------------------------------------------------


def test_html_becomes_markdown_without_scripts_and_styles(read: Read) -> None:
    page = (
        "<!doctype html><html><head><title>T</title><style>p{}</style></head><body><nav>Home</nav>"
        "<h1>Rules</h1><p>Be <b>kind</b> &amp; <a href='/x'>quick</a>.</p><ul><li>one<li>two</ul>"
        "<table><tr><th>a<th>b<tr><td>1|2<td>3</table><script>alert(1)</script><footer>End</footer>"
    )
    markdown = read("a.html", page.encode()).markdown
    for block in ("# Rules", "Be **kind** & [quick](/x).", "- one\n- two", "| 1\\|2 | 3 |", "Home", "End"):
        assert block in markdown
    assert "alert" not in markdown
    assert "p{}" not in markdown


def test_html_is_decoded_as_its_head_declares(read: Read) -> None:
    page = '<html><head><meta charset="windows-1251"></head><body><p>Привет, мир</p></body></html>'
    assert read("a.htm", page.encode("windows-1251")).markdown == "Привет, мир\n"


def test_html_nested_deeper_than_can_be_read_is_refused(read: Read) -> None:
    page = "<html><body>" + "<div>" * 5000 + "text" + "</div>" * 5000
    with pytest.raises(DocumentUnreadable, match=r"deep\.html nests its elements deeper than can be read"):
        read("deep.html", page.encode())


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "shift_jis", "koi8-r"]
)
def test_text_is_read_in_any_encoding(read: Read, encoding: str) -> None:
    sentence = {
        "shift_jis": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
        "koi8-r": "Привет, мир! Этот текст написан кириллицей.",
    }.get(encoding, "Grüße aus Köln: die Wörter bleiben ganz, auch „früher“ und „später“.")
    content = sentence.encode(encoding)
    assert read("a.txt", content).markdown == sentence + "\n"


def test_a_stray_zero_byte_in_a_text_is_left_out(read: Read) -> None:
    content = b"a line of a log\n" * 20 + b"another\x00 line\n"
    assert read("a.log", content).markdown.splitlines()[-1] == "another line"


def test_markdown_is_kept_as_it_is(read: Read) -> None:
    document = read("a.md", b"\xef\xbb\xbf# Title\r\n\r\n* one\r\n")
    assert (document.markdown, document.type) == ("# Title\n\n* one\n", DocumentType.MARKDOWN)


@pytest.mark.parametrize(
    "content",
    [
        'name,size\n"bolt, long",4\nnut,5\n',
        "name;size\nbolt, long;4\nnut;5\n",
        "name\tsize\nbolt, long\t4\nnut\t5\n",
        'name,size\r\n"bolt, long",4\r\n\r\nnut,5',
    ],
    ids=["comma", "semicolon", "tab", "quotes and empty lines"],
)
def test_a_csv_becomes_one_table_whatever_its_delimiter(read: Read, content: str) -> None:
    expected = "| name | size |\n| --- | --- |\n| bolt, long | 4 |\n| nut | 5 |\n"
    assert read("a.csv", content.encode()).markdown == expected


def test_decimal_commas_are_no_delimiters(read: Read) -> None:
    content = "a;b;c\n1,5;2,5;3,5\n"
    assert read("a.csv", content.encode()).markdown.splitlines()[2] == "| 1,5 | 2,5 | 3,5 |"


# What is refused ----------------------------------------------------------------------------------------

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("filename", "content", "reason"),
    [
        ("a.pdf", b"", "a.pdf is empty"),
        ("a.txt", b" \n\t ", "a.txt holds no text"),
        ("a.txt", b"\x00\x01binary\x00", "a.txt is no text"),
        ("a.html", b"<html><body></body></html>", "a.html holds no text"),
        ("a.pdf", b"just some text", "a.pdf is damaged: its content is no PDF"),
        ("a.docx", b"just some text", "a.docx is damaged: its content is no DOCX"),
        ("a.txt", b"%PDF-1.7\n", "a.txt is named .txt, but its content is PDF"),
        ("a.pdf", b"<!DOCTYPE html><p>x", "a.pdf is named .pdf, but its content is HTML"),
        ("a.exe", b"MZ\x90", "a.exe is of type .exe, which is not read"),
        ("README", b"hello", "README is without an extension, which is not read"),
        ("a.doc", OLE + "WordDocument".encode("utf-16-le"), "a.doc is a Word 97-2003 file; save it as .docx"),
        ("a.ppt", OLE + "PowerPoint Document".encode("utf-16-le"), "a.ppt is a PowerPoint 97-2003 file"),
        ("a.xlsx", OLE + "EncryptedPackage".encode("utf-16-le"), "a.xlsx is encrypted"),
        ("a.xls", OLE + b"\x00" * 600, "a.xls is damaged: it is no readable XLS"),
        ("a.docx", b"PK\x03\x04 but no archive", "a.docx is damaged: its zip archive cannot be read"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong_with_it(
    read: Read, filename: str, content: bytes, reason: str
) -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        read(filename, content)
    assert str(refused.value).startswith(reason)


def test_an_unknown_extension_is_no_obstacle_where_the_content_tells_the_type(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pdf(BODY))
    assert identify(path, "upload.bin") is DocumentType.PDF
    assert identify(path, "UPPER.PDF") is DocumentType.PDF


def test_entities_in_a_docx_are_not_expanded(read: Read) -> None:
    import zipfile

    import docx

    document = docx.Document()
    document.add_paragraph("PLACE")
    bomb = '<!DOCTYPE d [<!ENTITY a "boom">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
    )
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(document))) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "word/document.xml":
                start = content.index(b"<w:document")
                content = (
                    content[:start] + bomb.encode() + b"]>" + content[start:].replace(b"PLACE", b"x &m; y")
                )
            new.writestr(name, content)
    try:
        markdown = read("a.docx", file.getvalue()).markdown
    except DocumentUnreadable as refused:
        markdown = str(refused)
    assert "boom" not in markdown
    assert len(markdown) < 1000
