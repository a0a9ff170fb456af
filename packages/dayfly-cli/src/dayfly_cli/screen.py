"""What a person sees: progress on stderr, tables on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dayfly_cli.tasks import TaskReport

_SIGNS = {"completed": "[green]✓[/]", "failed": "[red]✗[/]", "running": "[cyan]▶[/]", "queued": "[dim]·[/]"}
#: Where no terminal says how wide it is, a table must not be broken into pieces.
_WIDE = 500
_NARROW = 180


def data_console() -> Console:
    """Return the console for results: standard output."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def print_json(value: Any) -> None:
    """Print one object in one line, at once: who reads it may be waiting."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class Progress:
    """Lines as things happen, on stderr; on a terminal with a spinner and, once there are any, the tasks."""

    def __init__(self, title: str) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()
        self._title = title
        self._tasks: dict[str, TaskReport] = {}
        self._live = Live(console=self._console, get_renderable=self._render, transient=True)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the live part; lines can still be told."""
        self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def say(self, line: str) -> None:
        """Tell of a step."""
        self._console.print(
            f"[dim]{self.seconds:5.1f} s[/]  {escape(line)}", soft_wrap=not self._console.is_terminal
        )

    def title(self, title: str) -> None:
        """Say what is being done now."""
        self._title = title

    def tasks(self, reports: Iterable[TaskReport]) -> None:
        """Show tasks from now on."""
        self._tasks = {report.task_id: report for report in reports}

    def task(self, report: TaskReport) -> None:
        """Tell of a change of one task."""
        before = self._tasks.get(report.task_id)
        self._tasks[report.task_id] = report
        if before is not None and _state(before) == _state(report):
            return
        # A terminal shows the others in the table of the moment.
        if report.status or not self._console.is_terminal:
            said = f": {report.result or report.error}" if report.status else ""
            self.say(f"{report.task_type} {report.document} {_state(report)}{said}")

    def _render(self) -> RenderableType:
        spinner = Spinner("dots", text=Text(f"{self._title} ({self.seconds:.0f} s)"))
        if not self._tasks:
            return spinner
        table = Table.grid(padding=(0, 1))
        for report in self._tasks.values():
            state = _state(report)
            table.add_row(_SIGNS[state], report.task_type, escape(report.document), f"[dim]{state}[/]")
        return Group(spinner, table)


def task_table(reports: Sequence[TaskReport], width: int = _WIDE) -> Table:
    """Return the table of what became of tasks.

    Args:
        reports: a row each.
        width: of the terminal, in columns; on a narrow one a task's texts stand below each other.
    """
    narrow = width < _NARROW
    padding = (0, 1, 0, 0) if narrow else (0, 1)
    table = Table(header_style="bold", pad_edge=False, show_edge=False, box=SIMPLE_HEAD, padding=padding)
    table.leading = int(narrow)
    table.add_column(
        "document, container group, result" if narrow else "document", overflow="fold", min_width=16
    )
    table.add_column("task", no_wrap=True)
    for name in ("attempt", "exit code", "waited", "ran"):
        table.add_column(name.replace(" ", "\n") if narrow else name, justify="right", no_wrap=True)
    if not narrow:
        table.add_column("container group", overflow="fold", min_width=16)
        table.add_column("result", overflow="fold", min_width=24)
    for report in reports:
        document, group, result = _texts(report)
        first = "\n".join((document, f"[dim]{group}[/]", result)) if narrow else document
        table.add_row(
            first,
            report.task_type,
            str(report.attempts or "-"),
            "-" if report.exit_code is None else str(report.exit_code),
            _seconds(report.waited_s),
            _seconds(report.ran_s),
            *(() if narrow else (group, result)),
        )
    return table


def _texts(report: TaskReport) -> tuple[str, str, str]:
    said = report.result if report.status == "completed" else report.error or "no outcome in time"
    sign = _SIGNS[report.status or "failed"]
    return escape(report.document), report.container_group or "-", f"{sign} {escape(said or '')}"


def endpoint_table(description: Mapping[str, Any]) -> Table:
    """Return the table of where everything is."""
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, client in description["clients"].items():
        table.add_row(f"client {name}", f"queue {client['queue']}, documents in {client['documents']}")
        table.add_row("", f"Supabase {client['supabase_url']}")
        if client["postgres_url"]:
            table.add_row("", f"PostgreSQL {client['postgres_url']}")
    table.add_row("ARM", f"{description['arm']}  (authority: {description['arm_ca']})")
    table.add_row("identity", description["identity_endpoint"])
    table.add_row("models", description["openai_api_base"])
    table.add_row("webhook inbox", description["webhook_inbox"])
    table.add_row("logs", description["logs"])
    return table


def _state(report: TaskReport) -> str:
    return report.status or ("running" if report.attempts else "queued")


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
