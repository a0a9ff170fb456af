"""Tasks as the backend asks for them, and what became of them by ledger, inbox and run history."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dayfly_cli.arm import Arm
from dayfly_cli.clients import Client
from dayfly_cli.errors import DayflyError
from dayfly_cli.storage import Storage

_LOOK_AGAIN_S = 0.4
_UNFINISHED = ("Running", "Waiting")


@dataclass(frozen=True)
class Submitted:
    """A task that was put into a queue."""

    client: Client
    task_id: str
    task_type: str
    #: `{document_set}/{filename}`, or the `file_url` that was given.
    document: str
    message_id: str
    at: datetime

    @property
    def entry(self) -> str:
        """The blob of its ledger entry, whose key is the id of a message that the backend wrote."""
        return f"ledger/{self.message_id}.json"


@dataclass(frozen=True)
class TaskReport:
    """What became of a task. None = not known, or not yet."""

    task_id: str
    task_type: str
    document: str
    #: `completed` or `failed`.
    status: str | None = None
    #: The handler's result.
    result: str | None = None
    #: Why it failed.
    error: str | None = None
    #: How often it was begun.
    attempts: int = 0
    #: Where the last attempt ran; None in polling mode.
    container_group: str | None = None
    #: Of that container; None in polling mode.
    exit_code: int | None = None
    #: Seconds from the queue to the first attempt.
    waited_s: float | None = None
    #: Seconds from the beginning of the last attempt to the outcome.
    ran_s: float | None = None
    #: How many times the webhook was called.
    webhook_deliveries: int | None = None
    #: Whether outcome and delivery stand: nothing is to come but the message's deletion.
    settled: bool = field(default=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the report as it is printed."""
        told = asdict(self)
        del told["settled"]
        return told


def task_message(
    task_type: str,
    *,
    filename: str,
    document_set: str = "default",
    file_url: str | None = None,
    webhook_url: str | None = None,
    task_id: str | None = None,
) -> dict[str, Any]:
    """Return a message as the backend writes it.

    Args:
        task_type: `ingest`, `summarize`, or any other that the worker knows.
        filename: the document's name.
        document_set: the set it belongs to.
        file_url: `container/path` of the blob; None = it lies under document set and name.
        webhook_url: told of the outcome; None = nobody is.
        task_id: None = a new one.
    """
    payload = {"filename": filename, "document_set": document_set}
    if file_url is not None:
        payload["file_url"] = file_url
    message = {"task_type": task_type, "task_id": task_id or str(uuid.uuid4()), "payload": payload}
    return message if webhook_url is None else {**message, "webhook_url": webhook_url}


async def submit(storage: Storage, client: Client, message: Mapping[str, Any]) -> Submitted:
    """Put a message into the client's queue, base64 over JSON as the backend does.

    Raises:
        AzureError: the queue refused it.
    """
    payload = message["payload"]
    document = payload.get("file_url") or f"{payload['document_set']}/{payload['filename']}"
    at = datetime.now(UTC)
    message_id = await storage.put(client.queue, json.dumps(message, ensure_ascii=False))
    return Submitted(client, message["task_id"], message["task_type"], document, message_id, at)


def read_entry(task: Submitted, entry: Mapping[str, Any] | None) -> TaskReport:
    """Read what a ledger entry (None = there is none yet) says of a task."""
    report = TaskReport(task.task_id, task.task_type, task.document)
    attempts: Sequence[Mapping[str, Any]] = (entry or {}).get("attempts") or []
    if entry is None:
        return report
    last: Mapping[str, Any] = attempts[-1] if attempts else {}
    outcome = entry.get("outcome")
    began = _time(attempts[0].get("began_at")) if attempts else None
    report = replace(
        report,
        attempts=len(attempts),
        container_group=last.get("container_group"),
        waited_s=None if began is None else round(max(0.0, (began - task.at).total_seconds()), 1),
    )
    if not outcome:
        return report
    began, ended = _time(last.get("began_at")), _time(outcome.get("at"))
    return replace(
        report,
        status=outcome["status"],
        result=outcome.get("result"),
        error=outcome.get("error"),
        ran_s=None if began is None or ended is None else round((ended - began).total_seconds(), 1),
        settled=bool(entry.get("delivery")),
    )


async def follow(
    storage: Storage,
    tasks: Sequence[Submitted],
    changed: Callable[[TaskReport], None],
    *,
    limit_s: float,
    until: Callable[[TaskReport], bool] = lambda report: report.settled,
) -> list[TaskReport]:
    """Watch the ledger until `until` is true of every task, or `limit_s` is over.

    Args:
        storage: where the ledger is.
        tasks: what to watch.
        changed: told of every change.
        limit_s: seconds to wait at most.
        until: what is waited for, of each task.

    Returns:
        The reports in the order of `tasks`, as they stood last.
    """
    deadline = time.monotonic() + limit_s
    reports = {task.task_id: TaskReport(task.task_id, task.task_type, task.document) for task in tasks}
    seen: dict[str, str] = {}
    while True:
        waiting = [task for task in tasks if not until(reports[task.task_id])]
        for report in await _read_changed(storage, waiting, seen):
            if report != reports[report.task_id] or until(report):
                reports[report.task_id] = report
                changed(report)
        if all(map(until, reports.values())) or time.monotonic() >= deadline:
            return list(reports.values())
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _read_changed(
    storage: Storage, tasks: Sequence[Submitted], seen: dict[str, str]
) -> list[TaskReport]:
    """Read the entries that were written since the last look; `seen` holds their versions."""
    fresh = []
    for container in {task.client.container for task in tasks}:
        own = [task for task in tasks if task.client.container == container]
        # One request for many entries; of a single one there is nothing to save.
        prefix = own[0].entry if len(own) == 1 else "ledger/"
        versions = await storage.versions(container, prefix)
        fresh += [task for task in own if versions.get(task.entry) != seen.get(task.entry)]
        seen |= versions
    entries = await asyncio.gather(*(storage.read_json(task.client.container, task.entry) for task in fresh))
    return [read_entry(task, entry) for task, entry in zip(fresh, entries, strict=True)]


async def exit_codes(arm: Arm, clients: Iterable[Client]) -> dict[str, int]:
    """Read from the launchers' run histories how containers ended: exit code by container group."""
    found: dict[str, int] = {}
    for client in clients:
        runs = await arm.runs(client.launcher)
        accounts = await asyncio.gather(
            *(arm.action(client.launcher, run["name"], "Account") for run in runs)
        )
        for account in accounts:
            container = (account or {}).get("container") or {}
            if container.get("exit_code") is not None:
                found[container["group"]] = int(container["exit_code"])
    return found


async def unfinished_runs(arm: Arm, clients: Iterable[Client]) -> int:
    """Return how many runs of the clients' launchers have not ended."""
    runs = await asyncio.gather(*(arm.runs(client.launcher) for client in clients))
    return sum(run["properties"]["status"] in _UNFINISHED for found in runs for run in found)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise DayflyError(f"the ledger holds {text!r} where a time should be") from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
