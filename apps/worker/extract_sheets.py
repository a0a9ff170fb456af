"""XLSX and XLS to markdown: a heading and a table per sheet."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import python_calamine
from python_calamine import CalamineError, PasswordError, SheetTypeEnum

from worker.errors import DocumentUnreadable
from worker.markdown import MarkdownWriter

__all__ = ["read"]


def read(path: Path, filename: str, out: MarkdownWriter, document_type: str) -> None:
    """Write every worksheet that has cells; the first row that is not empty is the table's head.

    Raises:
        DocumentUnreadable: it is encrypted or damaged.
    """
    try:
        workbook = python_calamine.load_workbook(str(path))
        for sheet in workbook.sheets_metadata:
            if sheet.typ is SheetTypeEnum.WorkSheet:
                _write_sheet(workbook.get_sheet_by_name(sheet.name), out)
    except PasswordError as error:
        raise DocumentUnreadable(f"{filename} is encrypted; save it without a password") from error
    except (CalamineError, OSError, ValueError) as error:
        kind = document_type.upper()
        raise DocumentUnreadable(
            f"{filename} is damaged: it is no readable {kind} ({error!s:.300})"
        ) from error


def _write_sheet(sheet: Any, out: MarkdownWriter) -> None:
    if sheet.start is None:  # no cell at all
        return
    out.part("sheet", sheet.name)
    out.heading(2, sheet.name)
    # Rows begin at the first column that has a cell.
    out.table(_rows(sheet), sheet.end[1] + 1 - sheet.start[1])


def _rows(sheet: Any) -> Iterator[list[str]]:
    for row in sheet.iter_rows():
        yield [_cell(value) for value in row]


def _cell(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
        case datetime():
            midnight = value.time() == time()
            return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="seconds")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case _:
            return str(value)
