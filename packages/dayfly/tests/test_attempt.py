"""The attempt: what each step does, and what it leaves behind when something goes wrong."""

import json

import pytest
from dayfly import Handlers
from dayfly.attempt import Attempt
from dayfly.errors import ResourceMissing
from dayfly.process import HandlerOutcome, LogTail
from dayfly.services import AttemptSettings
from dayfly.storage import QueueMessage, Receipt
from dayfly.task import Task
from dayfly.testing import InMemoryClient


async def test_a_task_ends_with_its_outcome_told_and_its_message_gone(client: InMemoryClient) -> None:
    key = client.submit("greet", {"name": "Ada"})

    outcome = await client.attempt(await client.receive()).run()

    entry = await client.entry(key)
    assert outcome == entry.outcome
    assert (entry.outcome.status, entry.outcome.result) == ("completed", "hello Ada")
    assert entry.delivery.state == "delivered"
    assert client.webhook.deliveries == [
        (
            key,
            {
                "task_id": key,
                "task_type": "greet",
                "status": "completed",
                "result": "hello Ada",
                "error": None,
            },
        )
    ]
    assert client.queue.messages == []
    assert client.poison.messages == []


async def test_a_first_attempt_without_webhook_costs_two_ledger_writes_and_the_delete(
    client: InMemoryClient,
) -> None:
    client.submit("greet", webhook_url=None)

    await client.attempt(await client.receive()).run()

    assert [c.split()[0] for c in client.blobs.faults.calls] == ["create", "replace"]
    assert client.queue.faults.calls == ["receive", "delete"]


async def test_a_transient_failure_is_tried_again_and_leaves_its_reason(client: InMemoryClient) -> None:
    key = client.submit("flaky", {"name": "a", "failures": 2})

    await client.run_to_quiet()

    entry = await client.entry(key)
    assert entry.outcome.status == "completed"
    assert [a.error for a in entry.attempts] == ["the model service answered 429"] * 2 + [None]
    assert [a.dequeue_count for a in entry.attempts] == [1, 2, 3]


async def test_an_unexpected_exception_counts_as_transient(client: InMemoryClient) -> None:
    key = client.submit("buggy")

    await client.run_to_quiet()

    assert "KeyError: 'name'" in (await client.entry(key)).outcome.error


async def test_a_redelivered_message_with_an_outcome_runs_nothing_and_tells_nobody_twice(
    client: InMemoryClient,
) -> None:
    client.submit("greet")
    client.queue.faults.fail("delete")
    await client.attempt(await client.receive()).run()
    assert len(client.queue.messages) == 1

    await client.run_to_quiet()

    assert len(client.runner.runs) == 1
    assert len(client.webhook.deliveries) == 1
    assert client.queue.messages == []


async def test_a_manual_start_needs_no_message(client: InMemoryClient) -> None:
    message = QueueMessage(Receipt("group-7", ""), json.dumps({"task_type": "greet"}))

    outcome = await Attempt(message, client.services, client.settings, manual=True).run(held=False)

    assert outcome.status == "completed"
    assert (await client.entry("group-7")).delivery.state == "not_requested"
    assert client.queue.faults.calls == []


async def test_memory_wanted_twice_fails_for_good(handlers: Handlers) -> None:
    class Hungry:
        async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
            return HandlerOutcome("memory", "out of memory: the handler wanted more than it may have")

    client = InMemoryClient(handlers, runner=Hungry())
    key = client.submit("greet")

    await client.run_to_quiet()

    entry = await client.entry(key)
    assert (entry.outcome.reason, len(entry.attempts)) == ("failed", 2)
    assert "for the second time" in entry.outcome.error


async def test_a_missing_container_stops_the_attempt_by_name(client: InMemoryClient) -> None:
    client.submit("greet")

    async def missing() -> None:
        raise ResourceMissing("container acme-dayfly does not exist")

    client.blobs.faults.before("create", missing)

    with pytest.raises(ResourceMissing, match="acme-dayfly"):
        await client.attempt(await client.receive()).run()


async def test_the_last_of_the_handlers_log_is_kept_without_secrets(handlers: Handlers) -> None:
    class Chatty:
        async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
            log.add(b"x" * 100_000 + b"key=s3cr3t-value end\n")
            return HandlerOutcome("completed", "ok")

    client = InMemoryClient(handlers, AttemptSettings(secrets=("s3cr3t-value",)), runner=Chatty())
    key = client.submit("greet")

    await client.run_to_quiet()

    log = (await client.entry(key)).log
    assert log.endswith("key=*** end\n")
    assert len(log) == 16_384


async def test_memory_wanted_again_after_another_failure_fails_for_good_too(handlers: Handlers) -> None:
    class Moody:
        ends = ["memory", "retry", "memory"]  # noqa: RUF012 - what the next attempts come to

        async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
            kind = self.ends.pop(0)
            return HandlerOutcome(kind, "out of memory" if kind == "memory" else "the network is down")

    client = InMemoryClient(handlers, runner=Moody())
    key = client.submit("greet")

    await client.run_to_quiet()

    entry = await client.entry(key)
    assert (entry.outcome.reason, len(entry.attempts)) == ("failed", 3)
