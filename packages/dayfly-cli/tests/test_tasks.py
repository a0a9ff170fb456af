import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient, TextBase64DecodePolicy
from dayfly_cli.azurite import azurite
from dayfly_cli.clients import Client
from dayfly_cli.errors import InputError
from dayfly_cli.storage import open_storage
from dayfly_cli.tasks import Submitted, TaskReport, follow, read_entry, submit, task_message

ACME = Client.named("acme")
TASK = Submitted(ACME, "t1", "ingest", "default/a.pdf", "m1", datetime(2026, 5, 1, 12, tzinfo=UTC))


def attempt(number: int, began: str, group: str | None = None) -> dict[str, object]:
    return {
        "id": f"a{number}",
        "message_id": "m1",
        "container_group": group,
        "began_at": began,
        "ended_at": None,
    }


def test_the_message_is_the_one_the_backend_writes() -> None:
    message = task_message(
        "ingest", filename="a b.pdf", webhook_url="https://backend.example/hook", task_id="t1"
    )
    assert message == {
        "task_type": "ingest",
        "task_id": "t1",
        "payload": {"filename": "a b.pdf", "document_set": "default"},
        "webhook_url": "https://backend.example/hook",
    }


def test_a_blob_elsewhere_is_named_by_its_url_and_without_a_webhook_there_is_no_field() -> None:
    message = task_message("summarize", filename="b.md", file_url="archive/2025/b.md")
    assert message["payload"]["file_url"] == "archive/2025/b.md"
    assert "webhook_url" not in message


async def test_what_is_submitted_is_base64_over_json_and_can_be_followed(
    packages: Path, tmp_path: Path
) -> None:
    message = task_message("ingest", filename="hinweise für kunden.txt", document_set="sätze")
    seen: list[TaskReport] = []
    async with (
        azurite(packages, tmp_path / "log", location=None) as account,
        open_storage(account.connection_string) as storage,
    ):
        await storage.create(ACME)
        task = await submit(storage, ACME, message)
        with QueueClient.from_connection_string(account.connection_string, ACME.queue) as raw:
            [stored] = raw.peek_messages()
        decoding = TextBase64DecodePolicy()
        with QueueClient.from_connection_string(
            account.connection_string, ACME.queue, message_decode_policy=decoding
        ) as queue:
            [read] = queue.peek_messages()
        entry = {"attempts": [attempt(1, task.at.isoformat())]}
        await storage.write_json(ACME.container, f"ledger/{task.message_id}.json", entry)
        [report] = await follow(storage, [task], seen.append, limit_s=0)
    assert json.loads(base64.b64decode(stored.content, validate=True)) == message
    assert json.loads(read.content) == message
    assert (task.message_id, task.document) == (stored.id, "sätze/hinweise für kunden.txt")
    # Given up at the limit, with what was seen until then.
    assert (report.attempts, report.status, seen) == (1, None, [report])


def test_a_task_without_an_entry_is_queued() -> None:
    report = read_entry(TASK, None)
    assert (report.status, report.attempts, report.settled) == (None, 0, False)


def test_a_running_task_tells_how_long_it_waited_and_where_it_runs() -> None:
    entry = {"attempts": [attempt(1, "2026-05-01T12:00:02.500Z", "dayfly-m1-1")], "outcome": None}
    report = read_entry(TASK, entry)
    assert (report.waited_s, report.container_group, report.status) == (2.5, "dayfly-m1-1", None)


def test_a_finished_task_tells_its_outcome_and_the_time_of_its_last_attempt() -> None:
    entry = {
        "attempts": [attempt(1, "2026-05-01T12:00:02Z", "g-1"), attempt(2, "2026-05-01T12:01:00Z", "g-2")],
        "outcome": {
            "status": "failed",
            "result": None,
            "error": "no text in it",
            "at": "2026-05-01T12:01:03Z",
        },
        "delivery": {"state": "delivered"},
    }
    report = read_entry(TASK, entry)
    assert (report.status, report.error, report.attempts) == ("failed", "no text in it", 2)
    assert (report.waited_s, report.ran_s, report.container_group) == (2, 3, "g-2")
    assert report.settled


def test_an_outcome_is_not_settled_before_its_delivery_is_marked() -> None:
    outcome = {"status": "completed", "result": "7 chunks", "error": None, "at": "2026-05-01T12:00:03Z"}
    entry = {"attempts": [attempt(1, "2026-05-01T12:00:02Z")], "outcome": outcome, "delivery": None}
    assert not read_entry(TASK, entry).settled


def test_a_task_that_was_decided_without_an_attempt_has_its_outcome_too() -> None:
    outcome = {
        "status": "failed",
        "reason": "cancelled",
        "result": None,
        "error": "cancelled",
        "at": "2026-05-01T12:00:03Z",
    }
    report = read_entry(TASK, {"attempts": [], "outcome": outcome, "delivery": {"state": "not_requested"}})
    assert (report.status, report.attempts, report.settled) == ("failed", 0, True)


def test_the_printed_report_has_the_promised_keys() -> None:
    assert list(read_entry(TASK, None).to_json()) == [
        *("task_id", "task_type", "document", "status", "result", "error", "attempts", "container_group"),
        *("exit_code", "waited_s", "ran_s", "webhook_deliveries"),
    ]


@pytest.mark.parametrize("name", ["a_b", "-a", "a--b", "", "ä", "a" * 51])
def test_a_client_that_no_queue_can_be_named_after_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="queues are named after it"):
        Client.named(name)


def test_a_clients_names_follow_from_its_id() -> None:
    client = Client.named(" North-Wind ")
    assert (client.queue, client.poison_queue, client.container) == (
        *("north-wind-tasks", "north-wind-tasks-poison", "north-wind-dayfly"),
    )
