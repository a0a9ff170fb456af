"""`dayfly demo`: real documents all the way, and what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from dayfly_cli.clients import Client
from dayfly_cli.cloud import Cloud, Engine, Options
from dayfly_cli.environment import Given, read_environment
from dayfly_cli.errors import AzureError, SetupError
from dayfly_cli.running import Stopped, run, while_well
from dayfly_cli.screen import Progress, data_console, print_json, task_table
from dayfly_cli.startup import laptop_cloud
from dayfly_cli.state import State
from dayfly_cli.tasks import (
    Submitted,
    TaskReport,
    exit_codes,
    follow,
    submit,
    task_message,
    unfinished_runs,
)

SAMPLES = Path(__file__).parents[1] / "samples"
_CLIENT = "demo"
_TASKS_LIMIT_S = 300.0
_SETTLED_LIMIT_S = 30.0
_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True)
class Sample:
    """A document of the demo and the task it is for."""

    file: Path
    task_type: str
    document_set: str = "default"


@dataclass(frozen=True)
class Left:
    """What is left when all is done: nothing, if all is well."""

    messages: int
    dead_letters: int
    container_groups: int


@click.command()
@click.option(
    "--engine",
    type=click.Choice([Engine.ACI.value, Engine.POLL.value]),
    default=Engine.ACI.value,
    show_default=True,
    help="aci: a container group for each task. poll: the worker as on a VPS.",
)
@click.option("--json", "as_json", is_flag=True, help="Print tasks and what is left as one JSON object.")
def demo(engine: str, as_json: bool) -> None:
    """Start the laptop's cloud in a temporary folder, run the sample documents through it, and take it down.

    Each document is uploaded, asked for by a message as the backend sends it, and followed through queue,
    launcher, container, ledger and webhook. Ends with 1 if a task failed or anything is left behind.

    \b
    Example:
      dayfly demo --engine poll
    """
    samples = read_samples(SAMPLES)
    given = read_environment(os.environ)
    try:
        with _temporary_state() as state:
            reports, left = run(_demo(samples, Engine(engine), given, state, as_json))
            well = all(report.status == "completed" for report in reports) and left == Left(0, 0, 0)
            if not well:
                _keep_logs(state)
    except Stopped:
        click.echo("dayfly: stopped, nothing is left running", err=True)
        sys.exit(1)
    sys.exit(0 if well else 1)


def read_samples(folder: Path) -> list[Sample]:
    """Read the manifest of the sample documents.

    Raises:
        SetupError: it is missing, or names a file that is.
    """
    manifest = folder / "manifest.json"
    try:
        entries = json.loads(manifest.read_text())
        samples = [
            Sample(folder / entry["file"], entry["task_type"], entry.get("document_set", "default"))
            for entry in entries
        ]
    except (OSError, ValueError, KeyError) as exc:
        raise SetupError(f"the sample documents cannot be read from {manifest}: {exc}") from exc
    missing = [sample.file.name for sample in samples if not sample.file.is_file()]
    if missing:
        raise SetupError(f"sample documents are missing from {folder}: {', '.join(missing)}")
    return samples


async def _demo(
    samples: Sequence[Sample], engine: Engine, given: Given, state: State, as_json: bool
) -> tuple[list[TaskReport], Left]:
    client = Client.named(_CLIENT)
    options = Options((client,), engine, durable=False)
    with Progress("starting the laptop's cloud") as progress:
        if names := given.names():
            progress.say(f"from your environment: {', '.join(names)}")
        async with laptop_cloud(options, given, state, progress.say) as cloud:
            work = _work(cloud, client, samples, progress)
            reports, left = await while_well(work, cloud.broken())
            progress.title("taking it all down")
    _show(reports, left, progress.seconds, as_json)
    return reports, left


async def _work(
    cloud: Cloud, client: Client, samples: Sequence[Sample], progress: Progress
) -> tuple[list[TaskReport], Left]:
    tasks = await _submit(cloud, client, samples)
    progress.say(f"submitted {len(tasks)} tasks as the backend does: base64 over JSON into {client.queue}")
    progress.title("waiting for the outcomes")
    progress.tasks(TaskReport(task.task_id, task.task_type, task.document) for task in tasks)
    reports = await follow(cloud.storage, tasks, progress.task, limit_s=_TASKS_LIMIT_S)
    progress.title("waiting until nothing is left")
    left, codes = await _settled(cloud, client)
    return [_completed(report, codes, cloud) for report in reports], left


async def _submit(cloud: Cloud, client: Client, samples: Sequence[Sample]) -> list[Submitted]:
    # One upload per document, though it may be both ingested and summarised.
    documents = {f"{sample.document_set}/{sample.file.name}": sample.file for sample in samples}
    await asyncio.gather(
        *(cloud.storage.upload(client.documents, name, file.read_bytes()) for name, file in documents.items())
    )
    return [
        await submit(
            cloud.storage,
            client,
            task_message(
                sample.task_type,
                filename=sample.file.name,
                document_set=sample.document_set,
                webhook_url=cloud.inbox.url,
            ),
        )
        for sample in samples
    ]


async def _settled(cloud: Cloud, client: Client) -> tuple[Left, dict[str, int]]:
    """Wait until messages, groups and runs are gone (they go last); return what is left, and exit codes."""
    deadline = time.monotonic() + _SETTLED_LIMIT_S
    while True:
        try:
            left, runs = await _left(cloud, client)
            if (not left.messages and not left.container_groups and not runs) or time.monotonic() > deadline:
                return left, await exit_codes(cloud.plane.client, [client])
        except AzureError:
            # localazure was killed: it is started again, and goes on where it was.
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _left(cloud: Cloud, client: Client) -> tuple[Left, int]:
    messages, dead_letters, groups, runs = await asyncio.gather(
        cloud.storage.count(client.queue),
        cloud.storage.count(client.poison_queue),
        cloud.plane.client.container_groups(),
        unfinished_runs(cloud.plane.client, [client]),
    )
    return Left(messages, dead_letters, len(groups)), runs


def _completed(report: TaskReport, codes: dict[str, int], cloud: Cloud) -> TaskReport:
    code = codes.get(report.container_group or "")
    return replace(report, exit_code=code, webhook_deliveries=len(cloud.inbox.of_task(report.task_id)))


def _show(reports: Sequence[TaskReport], left: Left, seconds: float, as_json: bool) -> None:
    if as_json:
        tasks: list[dict[str, Any]] = [report.to_json() for report in reports]
        print_json({"tasks": tasks, "left": left.__dict__, "seconds": round(seconds, 1)})
        return
    console = data_console()
    console.print(task_table(reports, console.width))
    completed = sum(report.status == "completed" for report in reports)
    console.print(
        f"\n{completed} of {len(reports)} tasks completed in {seconds:.1f} s. Left: {left.messages} "
        f"messages, {left.dead_letters} dead letters, {left.container_groups} container groups."
    )


@contextmanager
def _temporary_state() -> Iterator[State]:
    with tempfile.TemporaryDirectory(prefix="dayfly-demo-", ignore_cleanup_errors=True) as name:
        state = State(Path(name))
        state.prepare()
        yield state


def _keep_logs(state: State) -> None:
    kept = Path(tempfile.mkdtemp(prefix="dayfly-demo-logs-"))
    with contextlib.suppress(OSError):
        shutil.copytree(state.logs, kept, dirs_exist_ok=True)
    click.echo(f"dayfly: the logs are kept in {kept}", err=True)
