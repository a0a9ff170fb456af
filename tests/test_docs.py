"""What the documents say is there, leads somewhere, and runs as printed."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click import Context, Option
from dayfly.settings import Settings
from dayfly.testing import InMemoryClient
from dayfly_cli.main import cli
from localazure.containers import faults
from localazure.workflows.catalog import all_operations
from localazure.workflows.kinds import KINDS
from localazure.workflows.trigger_types import trigger_types
from worker.settings import DocumentSettings

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ROOT / "docs" / "reference" / "commands.md"
SAMPLES = ROOT / "packages" / "dayfly-cli" / "src" / "dayfly_cli" / "samples"
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
#: Kept in wrapped paragraphs, next to the workflow definitions that a test compares it with.
WRAPPED = ROOT / "docs" / "reference" / "launcher.md"
PAGE_IDS = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_MACHINE_PATH = re.compile(r"(?<![\w.{}-])/(work|root|home|Users|tmp)/")
_LEAD = re.compile(r"^\s*(?:>\s*)?(?:[-*]\s+|\d+\.\s+)?(?:\*\*[^*]+[.:]\*\*\s+)?")
_TWO_SENTENCES = re.compile(r"[.!?][\"*)`]*\s+[\"*(`]*[A-Z]")


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    page: Path
    line: int
    info: str
    code: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match["info"], match["code"])


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def runnable(language: str) -> list[Any]:
    """Return the blocks of a language that are marked `run`, as parameters of a test."""
    found = [block for page in PAGES for block in blocks(page) if block.info.split() == [language, "run"]]
    return [pytest.param(b, id=f"{b.page.relative_to(ROOT)}:{b.line}") for b in found]


def anchors(page: Path) -> set[str]:
    """Return the names that headings of a page can be linked by."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def first_column(page: Path, under: str = "") -> list[str]:
    """Return the code words that open the rows of a page's tables, those under one heading if it is given."""
    text = prose(page)
    if under:
        text = re.split(r"^#+ ", text.split(f"## {under}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


def test_every_page_of_the_docs_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = [t for t in re.findall(r"\]\(([^)\s#]+)", prose(page)) if "://" not in t]
        todo.extend((page.parent / target).resolve() for target in targets)
    assert sorted(set(PAGES) - reached) == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    assert _MACHINE_PATH.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != WRAPPED], ids=lambda page: page.name)
def test_prose_has_one_sentence_per_line(page: Path) -> None:
    lines = [line for line in prose(page).splitlines() if not line.startswith(("|", "#"))]
    assert [line for line in lines if _TWO_SENTENCES.search(_LEAD.sub("", line))] == []


@pytest.mark.parametrize("block", runnable("python"))
def test_python_marked_to_run_runs_as_printed(block: Block) -> None:
    exec(compile(block.code, str(block.page), "exec"), {"__name__": "docs"})  # noqa: S102 - our own page


@pytest.mark.parametrize("block", runnable("sh"))
def test_shell_marked_to_run_runs_as_printed(block: Block) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
    }
    ended = subprocess.run(
        ["sh", "-eu", "-c", block.code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50
    )
    assert ended.returncode == 0, ended.stderr
    following = next((b for b in blocks(block.page) if b.line > block.line), None)
    if following is not None and following.info == "text output":
        assert ended.stdout == following.code


async def test_the_task_type_of_the_how_to_runs_as_printed() -> None:
    page = ROOT / "docs" / "how-to" / "add-a-task-type.md"
    code = next(block.code for block in blocks(page) if block.info == "python run")
    printed: dict[str, Any] = {"__name__": "docs"}
    exec(compile(code, str(page), "exec"), printed)  # noqa: S102 - our own page
    client = InMemoryClient(printed["handlers"])

    counted = client.submit("count_words", {"text": "one task, one container"})
    refused = client.submit("wordcount", {"text": 7})
    await client.run_to_quiet()

    assert (await client.entry(counted)).outcome is not None
    assert (await client.entry(counted)).outcome.result == "4 words"
    assert (await client.entry(refused)).outcome.error == '"text" should be a string'
    assert client.queue.messages == []
    assert client.poison.messages == []


def test_the_handler_of_the_how_to_has_ten_lines() -> None:
    page = ROOT / "docs" / "how-to" / "add-a-task-type.md"
    code = next(block.code for block in blocks(page) if block.info == "python run")
    handler = re.search(r"^class .+?(?=^\S)", code.split("import dayfly", 1)[1], re.MULTILINE | re.DOTALL)
    assert handler is not None
    assert len([line for line in handler[0].splitlines() if line.strip()]) <= 10


def test_the_environment_page_lists_exactly_what_the_worker_reads() -> None:
    read = {name.upper() for name in (*Settings.model_fields, *DocumentSettings.model_fields)}
    assert set(first_column(ROOT / "docs" / "reference" / "environment.md")) == read


def test_the_environment_page_states_the_defaults_of_the_settings() -> None:
    page = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\|", page, re.MULTILINE))
    for model in (Settings, DocumentSettings):
        for name, field in model.model_fields.items():
            assert same_default(stated[name.upper()], field.default), name


def same_default(stated: str, default: Any) -> bool:
    """Compare a default as printed with the setting's own; nothing printed means none."""
    if isinstance(default, (int, float)):
        return float(stated or "nan") == float(default)
    plain = default.get_secret_value() if hasattr(default, "get_secret_value") else default
    return stated == (plain or "")


def test_the_differences_page_lists_every_expression_case_that_is_answered_otherwise() -> None:
    data = ROOT / "packages" / "localazure" / "tests" / "data"
    exceptions = json.loads((data / "functions-exceptions.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "differences-from-azure.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (F\d+|O\d+) \| .+ \| (.+) \|$", page, re.MULTILINE))
    assert listed == exceptions


def test_the_differences_page_lists_every_trigger_and_action_type() -> None:
    text = prose(ROOT / "docs" / "differences-from-azure.md")
    lines = dict(re.findall(r"^(Triggers|Actions): (.+)$", text, re.MULTILINE))
    actions = {each.name for each in (*KINDS.values(), *all_operations())}
    assert set(re.findall(r"`([A-Z]\w+)`", lines["Triggers"])) == {each.name for each in trigger_types()}
    assert set(re.findall(r"`([A-Z]\w+)`", lines["Actions"])) == actions


def test_the_differences_page_lists_every_fault_that_can_be_ordered() -> None:
    assert first_column(ROOT / "docs" / "differences-from-azure.md", under="Faults to order") == list(
        faults.KINDS
    )


def test_the_commands_page_tells_of_every_command_and_option_of_dayfly() -> None:
    for name in cli.list_commands(Context(cli)):
        command = cli.get_command(Context(cli), name)
        assert command is not None
        options = {o for p in command.params if isinstance(p, Option) for o in p.opts if o.startswith("--")}
        assert documented_options(f"`dayfly {name}`") == options


def test_the_commands_page_tells_of_every_command_and_option_of_localazure() -> None:
    listed = re.findall(r"^    (\w+) ", help_of("localazure"), re.MULTILINE)
    assert listed
    for name in listed:
        options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", help_of("localazure", name), re.MULTILINE))
        assert documented_options(f"`localazure {name}`") == options - {"--help"}


def test_the_commands_page_tells_of_every_recipe() -> None:
    recipes = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert first_column(COMMANDS, under="Recipes") == [f"make {name}" for name in recipes]


def documented_options(under: str) -> set[str]:
    """Return the options that the commands page names under a heading."""
    return {option.split()[0] for option in first_column(COMMANDS, under=under)}


def help_of(*command: str) -> str:
    """Return what a command of the environment says of itself."""
    program = [str(Path(sys.executable).parent / command[0]), *command[1:], "--help"]
    return subprocess.run(program, capture_output=True, text=True, check=True, timeout=30).stdout


def test_every_sample_document_is_in_the_manifest_and_every_one_there_exists() -> None:
    manifest = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))
    named = {entry["file"] for entry in manifest}
    assert named == {path.name for path in SAMPLES.iterdir()} - {"manifest.json"}
    assert {entry["file"] for entry in manifest if entry["task_type"] == "ingest"} == named
    formats = {"csv", "docx", "html", "md", "pdf", "pptx", "txt", "xls", "xlsx"}
    assert {name.rsplit(".", 1)[1] for name in named} == formats


def test_sample_documents_are_small_and_name_no_person_and_no_machine() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 1_500_000
    for path in SAMPLES.iterdir():
        parts = [path.read_bytes()]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts = [archive.read(name) for name in archive.namelist()]
                properties = archive.read("docProps/core.xml").decode()
            for field in ("dc:creator", "cp:lastModifiedBy"):
                assert f"<{field}></{field}>" in properties
        for part in parts:
            assert not _MACHINE_PATH.search(part.decode("latin-1")), path.name
