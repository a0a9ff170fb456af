"""Who may settle a message: leases, stragglers, doubles, cancels, messages about to expire."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from dayfly import Handlers
from dayfly.ledger import Outcome
from dayfly.process import HandlerOutcome
from dayfly.services import AttemptSettings
from dayfly.storage import QueueMessage, Receipt
from dayfly.testing import InlineRunner, InMemoryClient


async def test_a_released_message_stays_hidden_for_its_delay_and_no_longer(client: InMemoryClient) -> None:
    client.submit("flaky", {"name": "a", "failures": 1})
    await client.attempt(await client.receive()).run()

    assert await client.queue.receive(1, 30) == []
    await client.clock.advance(13)

    assert len(await client.queue.receive(1, 30)) == 1


async def test_an_attempt_whose_lease_is_refused_obeys_the_ledger(client: InMemoryClient) -> None:
    client.submit("greet")
    message = await client.receive()
    stale = QueueMessage(Receipt(message.receipt.message_id, "stale"), message.text, 1)

    assert await client.attempt(stale).run(held=False) is None  # nothing stands there yet
    await client.attempt(message).run()
    assert (await client.attempt(stale).run(held=False)).status == "completed"

    assert len(client.runner.runs) == 1


async def test_the_straggler_of_two_attempts_settles_nothing(handlers: Handlers, hanging: Any) -> None:
    client = InMemoryClient(handlers, runner=hanging)
    key = client.submit("greet")
    straggler = asyncio.create_task(client.attempt(await client.receive()).run())
    await hanging.begun.wait()
    client.clock.jump(client.settings.lease_s + 1)  # it was frozen for so long: its lease is over

    successor = client.attempt(await client.receive(), InlineRunner(handlers))
    outcome = await successor.run()
    hanging.end.set_result(HandlerOutcome("completed", "the straggler's result"))
    await client.finish(straggler)

    entry = await client.entry(key)
    assert outcome.result == entry.outcome.result == "hello world"
    assert [d[1]["result"] for d in client.webhook.deliveries] == ["hello world"]
    assert [a.dequeue_count for a in entry.attempts] == [1, 2]


async def test_an_earlier_receive_that_wakes_up_late_does_not_take_the_entry_back(
    handlers: Handlers, hanging: Any
) -> None:
    client = InMemoryClient(handlers, runner=hanging)
    key = client.submit("greet")
    early = await client.receive()
    client.clock.jump(client.settings.lease_s + 1)  # frozen before it entered the ledger
    working = asyncio.create_task(client.attempt(await client.receive()).run())
    await hanging.begun.wait()
    runner = InlineRunner(handlers)

    assert await client.attempt(early, runner).run() is None

    assert runner.runs == []
    assert len((await client.entry(key)).attempts) == 1
    hanging.end.set_result(HandlerOutcome("completed", "ok"))
    assert (await client.finish(working)).result == "ok"


async def test_a_later_attempt_in_the_ledger_stops_the_handler(handlers: Handlers, hanging: Any) -> None:
    client = InMemoryClient(handlers, runner=hanging)
    client.submit("greet")
    message = await client.receive()
    running = asyncio.create_task(client.attempt(message).run())
    await hanging.begun.wait()
    client.clock.jump(client.settings.lease_s + 1)
    successor = asyncio.create_task(client.attempt(await client.receive()).run())
    await client.clock.settle()

    await client.clock.advance(client.settings.lease_s)

    assert running.done()
    assert running.result() is None
    assert not successor.done()
    hanging.end.set_result(HandlerOutcome("completed", "ok"))
    assert (await client.finish(successor)).result == "ok"
    assert len(client.webhook.deliveries) == 1


async def test_a_cancel_committed_by_somebody_else_stops_a_running_handler(
    handlers: Handlers, hanging: Any
) -> None:
    client = InMemoryClient(handlers, runner=hanging)
    key = client.submit("greet")
    running = asyncio.create_task(client.attempt(await client.receive()).run())
    await hanging.begun.wait()
    entry, etag = await client.ledger.read(key)
    cancelled = Outcome("failed", client.clock.now().isoformat(), reason="cancelled", error="cancelled")
    await client.ledger.replace(entry.with_outcome(cancelled, None, ""), etag)

    await client.clock.advance(client.settings.lease_s)

    assert running.result() == cancelled
    assert hanging.stopped
    assert client.webhook.deliveries[0][1]["error"] == "cancelled"
    assert client.queue.messages == []


async def test_a_lease_is_kept_while_the_handler_runs(handlers: Handlers, hanging: Any) -> None:
    client = InMemoryClient(handlers, runner=hanging)
    client.submit("greet")
    running = asyncio.create_task(client.attempt(await client.receive()).run())
    await hanging.begun.wait()

    for _ in range(12):
        await client.clock.advance(100)
        assert await client.queue.receive(1, 30) == []

    hanging.end.set_result(HandlerOutcome("completed", "ok"))
    assert (await client.finish(running)).status == "completed"
    assert client.queue.messages == []


async def test_a_message_that_vanished_in_mid_run_still_gets_its_outcome(
    handlers: Handlers, hanging: Any
) -> None:
    client = InMemoryClient(handlers, runner=hanging)
    client.submit("greet", life=timedelta(days=1, minutes=5))
    running = asyncio.create_task(client.attempt(await client.receive()).run())
    await hanging.begun.wait()
    await client.clock.advance(timedelta(days=2).total_seconds())
    hanging.end.set_result(HandlerOutcome("completed", "ok"))

    assert (await client.finish(running)).status == "completed"
    assert len(client.webhook.deliveries) == 1


async def test_a_message_about_to_expire_is_put_again_and_the_copy_goes_on(client: InMemoryClient) -> None:
    key = client.submit("greet", life=timedelta(hours=3))

    outcome = await client.attempt(await client.receive()).run()

    entry = await client.entry(key)
    assert outcome.status == "completed"
    assert (entry.message.generation, entry.message.expires_at) == (1, None)
    assert entry.message.id != key
    assert client.queue.messages == []
    assert client.webhook.deliveries[0][1]["task_id"] == key


async def test_a_double_made_by_a_lost_answer_runs_nothing_and_goes(handlers: Handlers) -> None:
    client = InMemoryClient(handlers)
    key = client.submit("greet", life=timedelta(hours=3))
    client.queue.faults.fail("put", after_effect=True)  # the copy is there, and nobody knows it
    await client.attempt(await client.receive()).run()
    assert len(client.queue.messages) == 2

    await client.run_to_quiet()

    assert len(client.runner.runs) == 1
    assert len(client.webhook.deliveries) == 1
    assert (await client.entry(key)).outcome.status == "completed"


async def double_of_a_working_holder(
    handlers: Handlers, hanging: Any
) -> tuple[InMemoryClient, "asyncio.Task[Outcome | None]", QueueMessage]:
    """A client, the attempt that holds its task's entry, and another copy of the message, just received."""
    client = InMemoryClient(handlers, runner=hanging)
    client.submit("greet", life=timedelta(hours=3))
    client.queue.faults.fail("put", after_effect=True)
    await client.attempt(await client.receive()).run()
    await client.clock.advance(15)
    working = asyncio.create_task(client.attempt(await client.receive()).run())
    await hanging.begun.wait()
    while not (doubles := await client.queue.receive(1, client.settings.lease_s)):
        await client.clock.advance(10)
    return client, working, doubles[0]


async def test_a_double_met_while_the_holder_works_goes_without_running(
    handlers: Handlers, hanging: Any
) -> None:
    client, working, double = await double_of_a_working_holder(handlers, hanging)
    runner = InlineRunner(handlers)

    assert await client.attempt(double, runner).run() is None

    assert runner.runs == []
    assert len(client.queue.messages) == 1
    hanging.end.set_result(HandlerOutcome("completed", "ok"))
    assert (await client.finish(working)).result == "ok"
    assert client.queue.messages == []


async def test_a_message_tried_before_and_now_about_to_expire_goes_on_as_its_copy(
    client: InMemoryClient,
) -> None:
    key = client.submit("flaky", {"name": "a", "failures": 1}, life=timedelta(hours=25))
    await client.attempt(await client.receive()).run()
    client.clock.jump(2 * 3600)

    outcome = await client.attempt(await client.receive()).run()

    assert (outcome.status, outcome.result) == ("completed", "done")
    assert [a.dequeue_count for a in (await client.entry(key)).attempts] == [1, 0]
    assert client.queue.messages == []


async def test_a_cancel_that_comes_just_before_the_commit_wins(client: InMemoryClient) -> None:
    key = client.submit("greet")
    cancelled = Outcome("failed", client.clock.now().isoformat(), reason="cancelled", error="cancelled")

    async def cancel() -> None:
        entry, etag = await client.ledger.read(key)
        await client.ledger.replace(entry.with_outcome(cancelled, None, ""), etag)

    client.blobs.faults.before("replace ledger", cancel)

    assert await client.attempt(await client.receive()).run() == cancelled

    assert [body["error"] for _, body in client.webhook.deliveries] == ["cancelled"]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("call", ["create ledger", "replace ledger", "delete", "write dead", "put"])
async def test_storage_that_fails_before_or_after_its_effect_loses_and_doubles_nothing(
    client: InMemoryClient, call: str, after_effect: bool
) -> None:
    key = (
        client.submit("flaky", {"name": "a", "failures": 99})
        if call in ("write dead", "put")
        else client.submit("greet")
    )
    for part in (client.queue, client.blobs, client.poison):
        part.faults.fail(call, after_effect)

    await client.run_to_quiet()

    entry = await client.entry(key)
    assert entry.outcome is not None
    assert len({json.dumps(body) for _, body in client.webhook.deliveries}) == 1
    assert client.queue.messages == []
    assert bool(client.poison.messages) == (entry.dead_letter_reason is not None)


async def test_a_worker_that_has_to_go_gives_its_message_back_at_once(
    handlers: Handlers, hanging: Any
) -> None:
    client = InMemoryClient(handlers, runner=hanging)
    client.submit("greet")
    attempt = client.attempt(await client.receive())
    running = asyncio.create_task(attempt.run())
    await hanging.begun.wait()

    attempt.abandon()

    assert await client.finish(running) is None
    assert hanging.stopped
    assert len(await client.queue.receive(1, 30)) == 1


async def test_a_stop_of_the_worker_does_not_count_against_its_task(handlers: Handlers, hanging: Any) -> None:
    client = InMemoryClient(handlers, AttemptSettings(max_attempts=1), runner=hanging)
    key = client.submit("greet")
    attempt = client.attempt(await client.receive())
    running = asyncio.create_task(attempt.run())
    await hanging.begun.wait()
    attempt.abandon()
    await client.finish(running)

    outcome = await client.attempt(await client.receive(), InlineRunner(handlers)).run()

    assert outcome.status == "completed"
    assert len((await client.entry(key)).attempts) == 2


async def test_a_double_that_cannot_be_deleted_shows_again_and_goes_then(
    handlers: Handlers, hanging: Any
) -> None:
    client, working, double = await double_of_a_working_holder(handlers, hanging)
    client.queue.faults.fail("delete")

    assert await client.attempt(double, InlineRunner(handlers)).run() is None

    hanging.end.set_result(HandlerOutcome("completed", "ok"))
    await client.finish(working)
    await client.run_to_quiet()
    assert len(client.webhook.deliveries) == 1
    assert client.queue.messages == []
