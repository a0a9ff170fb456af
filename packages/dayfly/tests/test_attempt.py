"""The attempt: what each step does, and what it leaves behind when something goes wrong."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from dayfly import FailedForGood, Handlers, Result, Retry
from dayfly.attempt import Attempt
from dayfly.deadletter import replay
from dayfly.errors import ResourceMissing
from dayfly.ledger import Outcome
from dayfly.process import HandlerOutcome, LogTail
from dayfly.services import AttemptSettings
from dayfly.storage import QueueMessage, Receipt
from dayfly.task import Task
from dayfly.testing import InlineRunner, InMemoryClient
from dayfly.webhook import Answer


class Greet:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        return Result.completed(f"hello {payload.get('name', 'world')}")


class Flaky:
    """Fails as often as the payload says, then completes."""

    left: dict[str, int] = {}  # noqa: RUF012 - counted across attempts, as a service outside would be

    async def execute(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        name = payload["name"]
        self.left.setdefault(name, payload["failures"])
        if self.left[name]:
            self.left[name] -= 1
            raise Retry("the model service answered 429")
        return {"status": "completed", "result": "done"}


class Broken:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        raise FailedForGood("invoice.pdf is encrypted")


class Buggy:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        raise KeyError("name")


@pytest.fixture
def handlers() -> Handlers:
    registry = Handlers()
    registry.add("greet", Greet)
    registry.add("flaky", Flaky)
    registry.add("broken", Broken)
    registry.add("buggy", Buggy)
    return registry


@pytest.fixture
def client(handlers: Handlers) -> InMemoryClient:
    Flaky.left.clear()
    return InMemoryClient(handlers)


class Hanging:
    """A runner whose handler ends only when the test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.end: asyncio.Future[HandlerOutcome] = asyncio.get_running_loop().create_future()
        self.stopped = False

    async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
        self.begun.set()
        try:
            return await asyncio.shield(self.end)
        except asyncio.CancelledError:
            self.stopped = True
            raise


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


async def test_a_released_message_stays_hidden_for_its_delay_and_no_longer(client: InMemoryClient) -> None:
    client.submit("flaky", {"name": "a", "failures": 1})
    await client.attempt(await client.receive()).run()

    assert await client.queue.receive(1, 30) == []
    await client.clock.advance(13)

    assert len(await client.queue.receive(1, 30)) == 1


async def test_after_the_last_attempt_the_task_is_exhausted_dead_lettered_and_told(
    client: InMemoryClient,
) -> None:
    key = client.submit("flaky", {"name": "a", "failures": 99})

    await client.run_to_quiet()

    entry = await client.entry(key)
    assert (entry.outcome.status, entry.outcome.reason) == ("failed", "exhausted")
    assert len(entry.attempts) == client.settings.max_attempts
    assert "given up after 5 attempts: the model service answered 429" in entry.outcome.error
    assert client.webhook.deliveries[-1][1]["status"] == "failed"
    [poison] = client.poison.messages
    assert json.loads(poison.text)["dead_letter"] == key
    assert poison.expires_at is None
    letter = json.loads(client.blobs.data[f"deadletters/{key}.json"])
    assert (letter["reason"], letter["queue"]) == ("exhausted", "acme-tasks")


async def test_an_unexpected_exception_counts_as_transient(client: InMemoryClient) -> None:
    key = client.submit("buggy")

    await client.run_to_quiet()

    assert "KeyError: 'name'" in (await client.entry(key)).outcome.error


@pytest.mark.parametrize(
    ("task_type", "error"), [("broken", "invoice.pdf is encrypted"), ("sing", "unknown task type 'sing'")]
)
async def test_failed_for_good_gets_no_second_try_and_no_dead_letter(
    client: InMemoryClient, task_type: str, error: str
) -> None:
    key = client.submit(task_type)

    await client.run_to_quiet()

    entry = await client.entry(key)
    assert (entry.outcome.reason, len(entry.attempts)) == ("failed", 1)
    assert error in entry.outcome.error
    assert client.webhook.deliveries[0][1]["error"] == entry.outcome.error
    assert client.poison.messages == []


async def test_a_message_that_is_no_task_is_dead_lettered_with_its_text(client: InMemoryClient) -> None:
    key = client.queue.send("hello?")

    await client.run_to_quiet()

    assert (await client.entry(key)).outcome.reason == "not_a_task"
    assert json.loads(client.blobs.data[f"deadletters/{key}.json"])["text"] == "hello?"
    assert client.runner.runs == []


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


async def test_an_attempt_whose_lease_is_refused_obeys_the_ledger(client: InMemoryClient) -> None:
    client.submit("greet")
    message = await client.receive()
    stale = QueueMessage(Receipt(message.receipt.message_id, "stale"), message.text, 1)

    assert await client.attempt(stale).run(held=False) is None  # nothing stands there yet
    await client.attempt(message).run()
    assert (await client.attempt(stale).run(held=False)).status == "completed"

    assert len(client.runner.runs) == 1


async def test_the_straggler_of_two_attempts_settles_nothing(handlers: Handlers) -> None:
    hanging = Hanging()
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


async def test_an_earlier_receive_that_wakes_up_late_does_not_take_the_entry_back(handlers: Handlers) -> None:
    hanging = Hanging()
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


async def test_a_later_attempt_in_the_ledger_stops_the_handler(handlers: Handlers) -> None:
    hanging = Hanging()
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


async def test_a_cancel_committed_by_somebody_else_stops_a_running_handler(handlers: Handlers) -> None:
    hanging = Hanging()
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


async def test_a_lease_is_kept_while_the_handler_runs(handlers: Handlers) -> None:
    hanging = Hanging()
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


async def test_a_message_that_vanished_in_mid_run_still_gets_its_outcome(handlers: Handlers) -> None:
    hanging = Hanging()
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


async def test_a_double_met_while_the_holder_works_goes_without_running(handlers: Handlers) -> None:
    hanging = Hanging()
    client = InMemoryClient(handlers, runner=hanging)
    client.submit("greet", life=timedelta(hours=3))
    client.queue.faults.fail("put", after_effect=True)
    await client.attempt(await client.receive()).run()
    await client.clock.advance(15)
    working = asyncio.create_task(client.attempt(await client.receive()).run())
    await hanging.begun.wait()
    while not (doubles := await client.queue.receive(1, client.settings.lease_s)):
        await client.clock.advance(10)
    runner = InlineRunner(handlers)

    assert await client.attempt(doubles[0], runner).run() is None

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


async def test_an_outcome_is_told_before_its_message_goes_and_dead_lettered_before_that(
    client: InMemoryClient,
) -> None:
    client.queue.send("no task")
    order: list[str] = []
    for part, calls in (
        (client.blobs, ("write dead",)),
        (client.poison, ("put",)),
        (client.queue, ("delete",)),
    ):
        for call in calls:

            async def note(call: str = call) -> None:
                order.append(call)

            part.faults.before(call, note)

    await client.run_to_quiet()

    assert order == ["write dead", "put", "delete"]


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


async def test_an_undelivered_outcome_is_tried_until_its_budget_ends_then_dead_lettered(
    client: InMemoryClient,
) -> None:
    key = client.submit("greet")
    client.webhook.answers = [Answer(False, "the receiver answered 500")] * 100_000

    await client.run_to_quiet(timedelta(days=3))

    entry = await client.entry(key)
    assert (entry.outcome.status, entry.delivery.state) == ("completed", "undelivered")
    assert len(client.runner.runs) == 1
    assert json.loads(client.poison.messages[0].text)["reason"] == "undelivered"


async def test_an_outage_of_the_receiver_shorter_than_the_budget_delays_the_webhook(
    client: InMemoryClient,
) -> None:
    key = client.submit("greet")
    client.webhook.answers = [Answer(False, "connection refused")] * 7

    await client.run_to_quiet()

    assert (await client.entry(key)).delivery.state == "delivered"
    assert len(client.webhook.deliveries) == 1
    assert len(client.runner.runs) == 1


async def test_a_host_that_may_not_be_told_is_not_asked_twice(client: InMemoryClient) -> None:
    client.submit("greet")
    client.webhook.answers = [Answer(False, "host is not allowed", allowed=False)]

    await client.run_to_quiet()

    assert client.webhook.deliveries == []
    assert len(client.poison.messages) == 1


async def test_a_manual_start_needs_no_message(client: InMemoryClient) -> None:
    message = QueueMessage(Receipt("group-7", ""), json.dumps({"task_type": "greet"}))

    outcome = await Attempt(message, client.services, client.settings, manual=True).run(held=False)

    assert outcome.status == "completed"
    assert (await client.entry("group-7")).delivery.state == "not_requested"
    assert client.queue.faults.calls == []


async def test_a_worker_that_has_to_go_gives_its_message_back_at_once(handlers: Handlers) -> None:
    hanging = Hanging()
    client = InMemoryClient(handlers, runner=hanging)
    client.submit("greet")
    attempt = client.attempt(await client.receive())
    running = asyncio.create_task(attempt.run())
    await hanging.begun.wait()

    attempt.abandon()

    assert await client.finish(running) is None
    assert hanging.stopped
    assert len(await client.queue.receive(1, 30)) == 1


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


async def test_a_replayed_dead_letter_has_an_entry_and_a_webhook_id_of_its_own(
    client: InMemoryClient,
) -> None:
    key = client.submit("flaky", {"name": "a", "failures": 5})
    await client.run_to_quiet()

    assert await replay(client.blobs, client.queue, key) == f"{key}-r1"
    await client.run_to_quiet()

    assert (await client.entry(key)).outcome.reason == "exhausted"
    assert (await client.entry(f"{key}-r1")).outcome.status == "completed"
    assert [k for k, _ in client.webhook.deliveries] == [key, f"{key}-r1"]
    assert {body["task_id"] for _, body in client.webhook.deliveries} == {key}


async def test_two_replays_of_one_dead_letter_run_once(client: InMemoryClient) -> None:
    key = client.submit("flaky", {"name": "a", "failures": 5})
    await client.run_to_quiet()
    runs = len(client.runner.runs)

    await replay(client.blobs, client.queue, key)
    await replay(client.blobs, client.queue, key)
    await client.run_to_quiet()

    assert len(client.runner.runs) == runs + 1
    assert len(client.webhook.deliveries) == 2


async def test_a_replay_of_an_undelivered_outcome_only_delivers(client: InMemoryClient) -> None:
    key = client.submit("greet")
    client.webhook.answers = [Answer(False, "not allowed", allowed=False)]
    await client.run_to_quiet()

    assert await replay(client.blobs, client.queue, key) == key
    await client.run_to_quiet()

    assert (await client.entry(key)).delivery.state == "delivered"
    assert len(client.runner.runs) == 1


async def test_a_dead_letter_of_64_kib_is_replayed_whole(client: InMemoryClient) -> None:
    filler = "x" * (65_536 - len(json.dumps({"task_type": "sing", "payload": {"name": ""}})))
    text = json.dumps({"task_type": "flaky", "payload": {"name": "", "failures": 5}})
    text = text.replace('"name": ""', f'"name": "{filler[: 65_536 - len(text)]}"')
    assert len(text) == 65_536
    key = client.queue.send(text)
    await client.run_to_quiet()

    await replay(client.blobs, client.queue, key)
    await client.run_to_quiet()

    assert (await client.entry(f"{key}-r1")).outcome.result == "done"
