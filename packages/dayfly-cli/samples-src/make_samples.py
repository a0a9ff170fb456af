"""Writes the sample documents of `dayfly demo` with LibreOffice, out of the sources beside this file.

Run it with LibreOffice's `soffice` on PATH (Debian: libreoffice-writer, -calc and -impress):

    python make_samples.py [FOLDER]

FOLDER is where the documents go; without it, the package's own `samples` folder. The documents are committed,
so that nobody needs LibreOffice to run the demo.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import catalogue
import flat_odf
from flat_odf import Cell, Formula

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "src" / "dayfly_cli" / "samples"
FIRM = "Fahrradwerkstatt Quellbach"
_UTF8 = 76  # LibreOffice's number for UTF-8 in its text and CSV filters


def main(folder: Path = SAMPLES) -> None:
    """Write every sample document into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dayfly-samples-") as temporary:
        work = Path(temporary)
        for name, flat, target in _sources():
            source = work / f"{Path(name).stem}{flat[0]}"
            source.write_text(flat[1], encoding="utf-8")
            _convert(source, target, work)
            shutil.copyfile(work / name, folder / name)
    shutil.copyfile(HERE / "bike-fitting-guide.md", folder / "bike-fitting-guide.md")
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>8}  {path.name}")


def _sources() -> list[tuple[str, tuple[str, str], str]]:
    """Name each document, its flat source (suffix, XML) and LibreOffice's name of the format."""
    csv = f"csv:Text - txt - csv (StarCalc):44,34,{_UTF8},1"
    return [
        ("workshop-handbook.pdf", _text("workshop-handbook.md", "Workshop handbook"), "pdf"),
        ("service-procedures.docx", _text("service-procedures.md", "Service procedures"), "docx"),
        (
            "service-plan-terms.html",
            _text("service-plan-terms.md", "Four-season service plan: terms"),
            "html:HTML (StarWriter)",
        ),
        (
            "hinweise-für-kunden.txt",
            _text("hinweise.md", "Hinweise für Kundinnen und Kunden"),
            "txt:Text (encoded):UTF8",
        ),
        (
            "four-season-plan.pptx",
            (".fodp", flat_odf.presentation("The four-season plan", _slides())),
            "pptx",
        ),
        ("price-sheet.xlsx", (".fods", flat_odf.spreadsheet("Price sheet", _price_sheets())), "xlsx"),
        (
            "stock-count.xls",
            (".fods", flat_odf.spreadsheet("Stock count", _stock_sheets())),
            "xls:MS Excel 97",
        ),
        ("job-list.csv", (".fods", flat_odf.spreadsheet("Job list", {"Jobs": _job_rows()})), csv),
    ]


def _convert(source: Path, target: str, work: Path) -> None:
    profile = (work / "profile").as_uri()
    command = ["soffice", f"-env:UserInstallation={profile}", "--headless", "--convert-to", target]
    subprocess.run(
        [*command, "--outdir", str(work), str(source)], check=True, timeout=180, capture_output=True
    )


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _text(name: str, title: str) -> tuple[str, str]:
    text = _read(name).replace("{{torque}}", _torque_table())
    return ".fodt", flat_odf.text(title, f"{FIRM} · {title}", text)


def _torque_table() -> str:
    rows = ["| Part | Thread | From | To | Remark |", "|---|---|---|---|---|"]
    rows += [
        f"| {part} | {thread} | {low:.1f} | {high:.1f} | {remark} |"
        for part, thread, low, high, remark in catalogue.TORQUE
    ]
    return "\n".join(rows)


def _slides() -> list[flat_odf.Slide]:
    slides = []
    for block in re.split(r"^# ", _read("four-season-plan.deck.md"), flags=re.MULTILINE)[1:]:
        title, *lines = block.strip().splitlines()
        slides.append(
            flat_odf.Slide(
                title=title,
                subtitle="".join(
                    line.removeprefix("subtitle: ") for line in lines if line.startswith("subtitle: ")
                ),
                bullets=tuple(line.removeprefix("- ") for line in lines if line.startswith("- ")),
                table=flat_odf.table_rows(line for line in lines if line.startswith("|")),
                notes="".join(line.removeprefix("notes: ") for line in lines if line.startswith("notes: ")),
            )
        )
    return slides


def _price_sheets() -> dict[str, Sequence[Sequence[Cell]]]:
    parts: list[list[Cell]] = [
        ["Number", "Group", "Description", "Unit", "Purchase (€)", "Margin", "Net (€)", "Sale incl. tax (€)"]
    ]
    for row, (number, group, description, unit, price, _) in enumerate(catalogue.parts(), start=2):
        net, gross = Formula(f"ROUND([.E{row}]*(1+[.F{row}]);2)"), Formula(f"ROUND([.G{row}]*1.19;1)")
        share = Formula(str(catalogue.margin(price)), "share")
        parts.append([number, group, description, unit, price, share, net, gross])
    labour: list[list[Cell]] = [
        ["Bicycle", "Large service (€)", "Small service (€)", "Safety check (€)", "Single visits, a year (€)"]
    ]
    plan: list[list[Cell]] = [
        ["Bicycle", "Plan, per year (€)", "Plan, per month (€)", "Saved against single visits"]
    ]
    for row, (bicycle, large, small, check, year, month) in enumerate(catalogue.LABOUR, start=2):
        labour.append([bicycle, large, small, check, Formula(f"[.B{row}]+[.C{row}]+2*[.D{row}]")])
        plan.append([bicycle, year, month, Formula(f"1-[.B{row}]/[$Labour.E{row}]", "share")])
    notes: list[list[Cell]] = [
        ["Remark", "Value"],
        ["Value added tax", Formula(str(catalogue.VALUE_ADDED_TAX), "share")],
        ["Parts on this sheet", Formula("COUNTA([$Parts.A2:.A1000])", "plain")],
        ["Mean sale price, tax included (€)", Formula("AVERAGE([$Parts.H2:.H1000])")],
        ["Prices hold from 1 October 2026 and are rounded to ten cents.", None],
        ["Spokes are charged by the piece, from the 20th piece on with 10 % off.", None],
        ["Ältere Preise stehen im Ordner »Archiv« und gelten nicht mehr.", None],
    ]
    return {"Parts": parts, "Labour": labour, "Four-season plan": plan, "Notes": notes}


def _stock_sheets() -> dict[str, Sequence[Sequence[Cell]]]:
    sheets: dict[str, Sequence[Sequence[Cell]]] = {}
    for place, rows in catalogue.stock_count().items():
        lines: list[list[Cell]] = [
            ["Number", "Description", "Shelf", "Expected", "Counted", "Difference", "Price (€)", "Value (€)"]
        ]
        for row, (number, description, shelf, expected, counted, price) in enumerate(rows, start=2):
            difference, value = Formula(f"[.E{row}]-[.D{row}]", "plain"), Formula(f"[.E{row}]*[.G{row}]")
            lines.append([number, description, shelf, expected, counted, difference, price, value])
        last = len(lines)
        total = Formula(f"SUM([.H2:.H{last}])")
        lines.append(["Sum", None, None, None, None, Formula(f"SUM([.F2:.F{last}])", "plain"), None, total])
        sheets[place] = lines
    return sheets


def _job_rows() -> list[Sequence[Cell]]:
    heading = ("Card", "Day", "Bicycle", "Service", "Minutes", "Labour (€)", "Parts (€)", "Remark")
    return [heading, *catalogue.jobs()]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
