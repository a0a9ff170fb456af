"""`dayfly submit`: one task, as the backend sends it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dayfly_cli.clients import Client
from dayfly_cli.environment import MARK
from dayfly_cli.errors import InputError, NotRunningError
from dayfly_cli.running import Stopped, run
from dayfly_cli.screen import Progress, data_console, print_json, task_table
from dayfly_cli.state import find_state
from dayfly_cli.storage import Storage, open_storage, open_storage_by_identity
from dayfly_cli.tasks import Submitted, TaskReport, follow, task_message
from dayfly_cli.tasks import submit as put_task

_WAIT_LIMIT_S = 3600.0


@dataclass(frozen=True)
class Target:
    """Where a task goes."""

    #: For the user: a running `dayfly up`, or an account in Azure.
    name: str
    storage: AbstractAsyncContextManager[Storage]
    client: Client
    #: The container of documents.
    documents: str
    #: None = nobody is told.
    webhook_url: str | None


@click.command()
@click.argument("task_type", metavar="TYPE")
@click.argument("document", metavar="FILE|BLOB")
@click.option("--client", metavar="NAME", help="The client. [the first of `dayfly up`, else $CLIENT_ID]")
@click.option("--document-set", default="default", show_default=True, help="The set the document belongs to.")
@click.option("--webhook", metavar="URL", help="Told of the outcome. [the inbox of `dayfly up`]")
@click.option("--wait", is_flag=True, help="Wait for the outcome; ends with 1 if the task failed.")
@click.option("--json", "as_json", is_flag=True, help="Print the task, with its outcome, as one JSON object.")
@click.option("--azure", is_flag=True, help="Submit to Azure even if `dayfly up` is running here.")
@click.option(
    "--state",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="State folder of the running `dayfly up`. [$DAYFLY_STATE, else: .dayfly]",
)
def submit(
    task_type: str,
    document: str,
    client: str | None,
    document_set: str,
    webhook: str | None,
    wait: bool,
    as_json: bool,
    azure: bool,
    folder: Path | None,
) -> None:
    """Upload FILE and put one message of TYPE (ingest, summarize) for it into the client's queue.

    A BLOB that is there already is named by its file name within the document set, or as CONTAINER/PATH.
    Goes to the running `dayfly up`; without one, or with --azure, to the account of
    AZURE_STORAGE_CONNECTION_STRING, or of AZURE_STORAGE_ACCOUNT_URL as whoever is signed in. There the
    container is AZURE_STORAGE_CONTAINER_NAME, and nobody is told unless --webhook says whom.

    \b
    Example:
      dayfly submit ingest handbook.pdf --document-set manuals --wait
    """
    _check(task_type, document_set, webhook)
    target = find_target(client, webhook, folder, azure=azure)
    try:
        with Progress(f"submitting to {target.name}") as progress:
            task, report = run(_submit(target, task_type, document, document_set, wait, progress))
    except Stopped:
        click.echo("dayfly: stopped; a task that is in the queue goes on", err=True)
        sys.exit(1)
    _show(target, task, report, as_json)
    sys.exit(1 if wait and report.status != "completed" else 0)


def _check(task_type: str, document_set: str, webhook: str | None) -> None:
    """Refuse what could only become a dead letter.

    Raises:
        InputError: one of them cannot be used.
    """
    if not task_type.strip():
        raise InputError("TYPE is empty: name a task type, such as ingest")
    if not document_set.strip("/") or ".." in document_set.split("/"):
        raise InputError(
            f"--document-set {document_set!r} is no name: it is the folder of the document in its container"
        )
    if webhook is not None and not re.match(r"https?://[^/\s]", webhook):
        raise InputError(
            f"--webhook {webhook!r} is no URL: it should begin with https://, or locally http://"
        )


def find_target(client: str | None, webhook: str | None, folder: Path | None, *, azure: bool) -> Target:
    """Find where a task goes: the running `dayfly up` first, unless Azure is asked for.

    Raises:
        NotRunningError: neither is there.
        InputError: the client is unknown.
    """
    if not azure:
        try:
            return _running(find_state(folder).running(), client, webhook)
        except NotRunningError:
            if folder is not None or not _azure_is_named():
                raise
    return _azure(client, webhook)


def _azure_is_named() -> bool:
    # What an `env.sh` of `dayfly up` exported names the laptop's own account, which is gone with it.
    return not os.environ.get(MARK) and any(
        os.environ.get(f"AZURE_STORAGE_{name}") for name in ("CONNECTION_STRING", "ACCOUNT_URL")
    )


def _running(told: dict[str, Any], client: str | None, webhook: str | None) -> Target:
    clients = told["clients"]
    chosen = Client.named(client or next(iter(clients)))
    if chosen.client_id not in clients:
        known = ", ".join(clients)
        raise InputError(f"`dayfly up` does not serve client {chosen.client_id!r}: it serves {known}")
    return Target(
        f"{chosen.queue} of `dayfly up`",
        open_storage(told["storage_connection_string"]),
        chosen,
        clients[chosen.client_id]["documents"],
        webhook or told["webhook_inbox"],
    )


def _azure(client: str | None, webhook: str | None) -> Target:
    chosen = Client.named(client or os.environ.get("CLIENT_ID") or "default")
    if os.environ.get(MARK):
        raise InputError(
            "this shell has sourced the env.sh of a `dayfly up`, not Azure: use another for --azure"
        )
    connection_string = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    account_url = os.environ.get("AZURE_STORAGE_ACCOUNT_URL")
    documents = os.environ.get("AZURE_STORAGE_CONTAINER_NAME") or "documents"
    if connection_string:
        storage = open_storage(connection_string)
    elif account_url:
        storage = open_storage_by_identity(account_url)
    else:
        raise NotRunningError("set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_URL for --azure")
    return Target(f"{chosen.queue} in Azure", storage, chosen, documents, webhook)


async def _submit(
    target: Target, task_type: str, document: str, document_set: str, wait: bool, progress: Progress
) -> tuple[Submitted, TaskReport]:
    async with target.storage as storage:
        filename, file_url = await _place(storage, target, document, document_set)
        message = task_message(
            task_type,
            filename=filename,
            document_set=document_set,
            file_url=file_url,
            webhook_url=target.webhook_url,
        )
        task = await put_task(storage, target.client, message)
        progress.say(f"put into {target.name}: message {task.message_id}")
        report = TaskReport(task.task_id, task.task_type, task.document)
        if wait:
            progress.title("waiting for the outcome")
            progress.tasks([report])
            [report] = await follow(
                storage, [task], progress.task, limit_s=_WAIT_LIMIT_S, until=lambda seen: bool(seen.status)
            )
        return task, report


async def _place(
    storage: Storage, target: Target, document: str, document_set: str
) -> tuple[str, str | None]:
    """Upload a file, or find the blob that is meant; return the file name and, for another blob, its path."""
    file = Path(document)
    if document != "" and await asyncio.to_thread(file.is_dir):
        raise InputError(f"{document!r} is a folder: name a file in it")
    if await asyncio.to_thread(file.is_file):
        try:
            content = await asyncio.to_thread(file.read_bytes)
        except OSError as exc:
            raise InputError(f"{document!r} cannot be read: {exc.strerror}") from exc
        await storage.upload(target.documents, f"{document_set}/{file.name}", content)
        return file.name, None
    container, _, path = document.strip("/").partition("/")
    if path and await storage.has_blob(container, path):
        return path.rpartition("/")[2], f"{container}/{path}"
    if await storage.has_blob(target.documents, f"{document_set}/{document}"):
        return document, None
    raise InputError(
        f"{document!r} is no file here, and no blob {target.documents}/{document_set}/{document}"
        + (f" or {container}/{path}" if path else "")
    )


def _show(target: Target, task: Submitted, report: TaskReport, as_json: bool) -> None:
    if as_json:
        where = {"client": target.client.client_id, "queue": target.client.queue}
        print_json({**report.to_json(), **where, "message_id": task.message_id})
        return
    console = data_console()
    if report.status:
        console.print(task_table([report], console.width))
        return
    console.print(f"{task.task_type} {task.document}: task {task.task_id}, message {task.message_id}")
