"""Writing markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker import limits
from worker.errors import DocumentUnreadable
from worker.markdown import MarkdownWriter, clean


def test_blocks_are_apart_by_one_empty_line_and_list_items_by_none() -> None:
    out = MarkdownWriter("a.docx")
    out.heading(2, " Parts\nand tools ")
    out.paragraph("First.\nStill first.")
    out.item("one")
    out.item("two", depth=1)
    out.paragraph("After.")
    assert out.text() == "## Parts and tools\n\nFirst.\nStill first.\n\n- one\n  - two\n\nAfter.\n"


def test_a_table_has_a_head_full_rows_and_harmless_cells() -> None:
    out = MarkdownWriter("a.docx")
    out.table([["", ""], ["name", "size"], ["a|b"], ["two\nlines", "2"]], columns=2)
    assert out.text() == "| name | size |\n| --- | --- |\n| a\\|b |  |\n| two lines | 2 |\n"


def test_parts_begin_at_the_offset_of_their_first_character() -> None:
    out = MarkdownWriter("a.pdf")
    for number, text in enumerate(("first", "second", "third"), start=1):
        out.part("page", number)
        out.paragraph(text)
    markdown = out.text()
    assert [markdown[part.start :].split("\n")[0] for part in out.parts] == ["first", "second", "third"]


@given(st.text())
def test_a_clean_text_is_one_that_a_database_takes(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert not set(cleaned) & set(map(chr, [*range(9), *range(11, 32), 0xFFFE, 0xFFFF]))


def test_text_over_the_limit_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.markdown.TEXT_MAX_CHARACTERS", 10)
    out = MarkdownWriter("long.txt")
    with pytest.raises(DocumentUnreadable, match=r"long\.txt holds more text than one document may"):
        out.paragraph("a" * 11)


def test_a_table_wider_than_the_limit_is_refused_by_name() -> None:
    with pytest.raises(DocumentUnreadable, match=r"wide\.csv has a table of 1001 columns"):
        MarkdownWriter("wide.csv").table([[]], limits.TABLE_COLUMNS_MAX + 1)
