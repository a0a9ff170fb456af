"""The attempt: what each step does, and what it leaves behind when something goes wrong."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from dayfly import FailedForGood, Handlers, Result, Retry
from dayfly.attempt import Attempt, AttemptSettings
from dayfly.deadletter import replay
from dayfly.errors import ResourceMissing
from dayfly.ledger import Outcome
from dayfly.process import HandlerOutcome, LogTail
from dayfly.storage import QueueMessage, Receipt
from dayfly.task import Task
from dayfly.testing import House, InlineRunner
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
def house(handlers: Handlers) -> House:
    Flaky.left.clear()
    return House(handlers)


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


async def test_a_task_ends_with_its_outcome_told_and_its_message_gone(house: House) -> None:
    key = house.submit("greet", {"name": "Ada"})

    outcome = await house.attempt(await house.receive()).run()

    entry = await house.entry(key)
    assert outcome == entry.outcome
    assert (entry.outcome.status, entry.outcome.result) == ("completed", "hello Ada")
    assert entry.delivery.state == "delivered"
    assert house.webhook.deliveries == [
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
    assert house.queue.messages == []
    assert house.poison.messages == []


async def test_a_first_attempt_without_webhook_costs_two_ledger_writes_and_the_delete(house: House) -> None:
    house.submit("greet", webhook_url=None)

    await house.attempt(await house.receive()).run()

    assert [c.split()[0] for c in house.blobs.faults.calls] == ["create", "replace"]
    assert house.queue.faults.calls == ["receive", "delete"]


async def test_a_transient_failure_is_tried_again_and_leaves_its_reason(house: House) -> None:
    key = house.submit("flaky", {"name": "a", "failures": 2})

    await house.run_to_quiet()

    entry = await house.entry(key)
    assert entry.outcome.status == "completed"
    assert [a.error for a in entry.attempts] == ["the model service answered 429"] * 2 + [None]
    assert [a.dequeue_count for a in entry.attempts] == [1, 2, 3]


async def test_a_released_message_stays_hidden_for_its_delay_and_no_longer(house: House) -> None:
    house.submit("flaky", {"name": "a", "failures": 1})
    await house.attempt(await house.receive()).run()

    assert await house.queue.receive(1, 30) == []
    await house.clock.advance(13)

    assert len(await house.queue.receive(1, 30)) == 1


async def test_after_the_last_attempt_the_task_is_exhausted_dead_lettered_and_told(house: House) -> None:
    key = house.submit("flaky", {"name": "a", "failures": 99})

    await house.run_to_quiet()

    entry = await house.entry(key)
    assert (entry.outcome.status, entry.outcome.reason) == ("failed", "exhausted")
    assert len(entry.attempts) == house.settings.max_attempts
    assert "given up after 5 attempts: the model service answered 429" in entry.outcome.error
    assert house.webhook.deliveries[-1][1]["status"] == "failed"
    [poison] = house.poison.messages
    assert json.loads(poison.text)["dead_letter"] == key
    assert poison.expires_at is None
    letter = json.loads(house.blobs.data[f"deadletters/{key}.json"])
    assert (letter["reason"], letter["queue"]) == ("exhausted", "acme-tasks")


async def test_an_unexpected_exception_counts_as_transient(house: House) -> None:
    key = house.submit("buggy")

    await house.run_to_quiet()

    assert "KeyError: 'name'" in (await house.entry(key)).outcome.error


@pytest.mark.parametrize(
    ("task_type", "error"), [("broken", "invoice.pdf is encrypted"), ("sing", "unknown task type 'sing'")]
)
async def test_failed_for_good_gets_no_second_try_and_no_dead_letter(
    house: House, task_type: str, error: str
) -> None:
    key = house.submit(task_type)

    await house.run_to_quiet()

    entry = await house.entry(key)
    assert (entry.outcome.reason, len(entry.attempts)) == ("failed", 1)
    assert error in entry.outcome.error
    assert house.webhook.deliveries[0][1]["error"] == entry.outcome.error
    assert house.poison.messages == []


async def test_a_message_that_is_no_task_is_dead_lettered_with_its_text(house: House) -> None:
    key = house.queue.send("hello?")

    await house.run_to_quiet()

    assert (await house.entry(key)).outcome.reason == "not_a_task"
    assert json.loads(house.blobs.data[f"deadletters/{key}.json"])["text"] == "hello?"
    assert house.runner.runs == []


async def test_a_redelivered_message_with_an_outcome_runs_nothing_and_tells_nobody_twice(
    house: House,
) -> None:
    house.submit("greet")
    house.queue.faults.fail("delete")
    await house.attempt(await house.receive()).run()
    assert len(house.queue.messages) == 1

    await house.run_to_quiet()

    assert len(house.runner.runs) == 1
    assert len(house.webhook.deliveries) == 1
    assert house.queue.messages == []


async def test_an_attempt_whose_lease_is_refused_obeys_the_ledger(house: House) -> None:
    house.submit("greet")
    message = await house.receive()
    stale = QueueMessage(Receipt(message.receipt.message_id, "stale"), message.text, 1)

    assert await house.attempt(stale).run(held=False) is None  # nothing stands there yet
    await house.attempt(message).run()
    assert (await house.attempt(stale).run(held=False)).status == "completed"

    assert len(house.runner.runs) == 1


async def test_the_straggler_of_two_attempts_settles_nothing(handlers: Handlers) -> None:
    hanging = Hanging()
    house = House(handlers, runner=hanging)
    key = house.submit("greet")
    straggler = asyncio.create_task(house.attempt(await house.receive()).run())
    await hanging.begun.wait()
    house.clock.jump(house.settings.lease_s + 1)  # it was frozen for so long: its lease is over

    successor = house.attempt(await house.receive(), InlineRunner(handlers))
    outcome = await successor.run()
    hanging.end.set_result(HandlerOutcome("completed", "the straggler's result"))
    await house.finish(straggler)

    entry = await house.entry(key)
    assert outcome.result == entry.outcome.result == "hello world"
    assert [d[1]["result"] for d in house.webhook.deliveries] == ["hello world"]
    assert [a.dequeue_count for a in entry.attempts] == [1, 2]


async def test_a_later_attempt_in_the_ledger_stops_the_handler(handlers: Handlers) -> None:
    hanging = Hanging()
    house = House(handlers, runner=hanging)
    house.submit("greet")
    message = await house.receive()
    running = asyncio.create_task(house.attempt(message).run())
    await hanging.begun.wait()
    house.clock.jump(house.settings.lease_s + 1)
    successor = asyncio.create_task(house.attempt(await house.receive()).run())
    await house.clock.settle()

    await house.clock.advance(house.settings.lease_s)

    assert running.done()
    assert running.result() is None
    assert not successor.done()
    hanging.end.set_result(HandlerOutcome("completed", "ok"))
    assert (await house.finish(successor)).result == "ok"
    assert len(house.webhook.deliveries) == 1


async def test_a_cancel_committed_by_somebody_else_stops_a_running_handler(handlers: Handlers) -> None:
    hanging = Hanging()
    house = House(handlers, runner=hanging)
    key = house.submit("greet")
    running = asyncio.create_task(house.attempt(await house.receive()).run())
    await hanging.begun.wait()
    entry, etag = await house.ledger.read(key)
    cancelled = Outcome("failed", house.clock.now().isoformat(), reason="cancelled", error="cancelled")
    await house.ledger.replace(entry.with_outcome(cancelled, None, ""), etag)

    await house.clock.advance(house.settings.lease_s)

    assert running.result() == cancelled
    assert hanging.stopped
    assert house.webhook.deliveries[0][1]["error"] == "cancelled"
    assert house.queue.messages == []


async def test_a_lease_is_kept_while_the_handler_runs(handlers: Handlers) -> None:
    hanging = Hanging()
    house = House(handlers, runner=hanging)
    house.submit("greet")
    running = asyncio.create_task(house.attempt(await house.receive()).run())
    await hanging.begun.wait()

    for _ in range(12):
        await house.clock.advance(100)
        assert await house.queue.receive(1, 30) == []

    hanging.end.set_result(HandlerOutcome("completed", "ok"))
    assert (await house.finish(running)).status == "completed"
    assert house.queue.messages == []


async def test_a_message_that_vanished_in_mid_run_still_gets_its_outcome(handlers: Handlers) -> None:
    hanging = Hanging()
    house = House(handlers, runner=hanging)
    house.submit("greet", life=timedelta(days=1, minutes=5))
    running = asyncio.create_task(house.attempt(await house.receive()).run())
    await hanging.begun.wait()
    await house.clock.advance(timedelta(days=2).total_seconds())
    hanging.end.set_result(HandlerOutcome("completed", "ok"))

    assert (await house.finish(running)).status == "completed"
    assert len(house.webhook.deliveries) == 1


async def test_a_message_about_to_expire_is_put_again_and_the_copy_goes_on(house: House) -> None:
    key = house.submit("greet", life=timedelta(hours=3))

    outcome = await house.attempt(await house.receive()).run()

    entry = await house.entry(key)
    assert outcome.status == "completed"
    assert (entry.message.generation, entry.message.expires_at) == (1, None)
    assert entry.message.id != key
    assert house.queue.messages == []
    assert house.webhook.deliveries[0][1]["task_id"] == key


async def test_a_double_made_by_a_lost_answer_runs_nothing_and_goes(handlers: Handlers) -> None:
    house = House(handlers)
    key = house.submit("greet", life=timedelta(hours=3))
    house.queue.faults.fail("put", after_effect=True)  # the copy is there, and nobody knows it
    await house.attempt(await house.receive()).run()
    assert len(house.queue.messages) == 2

    await house.run_to_quiet()

    assert len(house.runner.runs) == 1
    assert len(house.webhook.deliveries) == 1
    assert (await house.entry(key)).outcome.status == "completed"


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("call", ["create ledger", "replace ledger", "delete", "write dead", "put"])
async def test_storage_that_fails_before_or_after_its_effect_loses_and_doubles_nothing(
    house: House, call: str, after_effect: bool
) -> None:
    key = (
        house.submit("flaky", {"name": "a", "failures": 99})
        if call in ("write dead", "put")
        else house.submit("greet")
    )
    for part in (house.queue, house.blobs, house.poison):
        part.faults.fail(call, after_effect)

    await house.run_to_quiet()

    entry = await house.entry(key)
    assert entry.outcome is not None
    assert len({json.dumps(body) for _, body in house.webhook.deliveries}) == 1
    assert house.queue.messages == []
    assert bool(house.poison.messages) == (entry.dead_letter_reason is not None)


async def test_an_undelivered_outcome_is_tried_until_its_budget_ends_then_dead_lettered(house: House) -> None:
    key = house.submit("greet")
    house.webhook.answers = [Answer(False, "the receiver answered 500")] * 100_000

    await house.run_to_quiet(timedelta(days=3))

    entry = await house.entry(key)
    assert (entry.outcome.status, entry.delivery.state) == ("completed", "undelivered")
    assert len(house.runner.runs) == 1
    assert json.loads(house.poison.messages[0].text)["reason"] == "undelivered"


async def test_an_outage_of_the_receiver_shorter_than_the_budget_delays_the_webhook(house: House) -> None:
    key = house.submit("greet")
    house.webhook.answers = [Answer(False, "connection refused")] * 7

    await house.run_to_quiet()

    assert (await house.entry(key)).delivery.state == "delivered"
    assert len(house.webhook.deliveries) == 1
    assert len(house.runner.runs) == 1


async def test_a_host_that_may_not_be_told_is_not_asked_twice(house: House) -> None:
    house.submit("greet")
    house.webhook.answers = [Answer(False, "host is not allowed", allowed=False)]

    await house.run_to_quiet()

    assert house.webhook.deliveries == []
    assert len(house.poison.messages) == 1


async def test_a_manual_start_needs_no_message(house: House) -> None:
    message = QueueMessage(Receipt("group-7", ""), json.dumps({"task_type": "greet"}))

    outcome = await Attempt(message, house.services, house.settings, manual=True).run(held=False)

    assert outcome.status == "completed"
    assert (await house.entry("group-7")).delivery.state == "not_requested"
    assert house.queue.faults.calls == []


async def test_a_worker_that_has_to_go_gives_its_message_back_at_once(handlers: Handlers) -> None:
    hanging = Hanging()
    house = House(handlers, runner=hanging)
    house.submit("greet")
    attempt = house.attempt(await house.receive())
    running = asyncio.create_task(attempt.run())
    await hanging.begun.wait()

    attempt.abandon()

    assert await house.finish(running) is None
    assert hanging.stopped
    assert len(await house.queue.receive(1, 30)) == 1


async def test_memory_wanted_twice_fails_for_good(handlers: Handlers) -> None:
    class Hungry:
        async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
            return HandlerOutcome("memory", "out of memory: the handler wanted more than it may have")

    house = House(handlers, runner=Hungry())
    key = house.submit("greet")

    await house.run_to_quiet()

    entry = await house.entry(key)
    assert (entry.outcome.reason, len(entry.attempts)) == ("failed", 2)
    assert "for the second time" in entry.outcome.error


async def test_a_missing_container_stops_the_attempt_by_name(house: House) -> None:
    house.submit("greet")

    async def missing() -> None:
        raise ResourceMissing("container acme-dayfly does not exist")

    house.blobs.faults.before("create", missing)

    with pytest.raises(ResourceMissing, match="acme-dayfly"):
        await house.attempt(await house.receive()).run()


async def test_the_last_of_the_handlers_log_is_kept_without_secrets(handlers: Handlers) -> None:
    class Chatty:
        async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
            log.add(b"x" * 100_000 + b"key=s3cr3t-value end\n")
            return HandlerOutcome("completed", "ok")

    house = House(handlers, AttemptSettings(secrets=("s3cr3t-value",)), runner=Chatty())
    key = house.submit("greet")

    await house.run_to_quiet()

    log = (await house.entry(key)).log
    assert log.endswith("key=*** end\n")
    assert len(log) == 16_384


async def test_a_replayed_dead_letter_has_an_entry_and_a_webhook_id_of_its_own(house: House) -> None:
    key = house.submit("flaky", {"name": "a", "failures": 5})
    await house.run_to_quiet()

    assert await replay(house.blobs, house.queue, key) == f"{key}-r1"
    await house.run_to_quiet()

    assert (await house.entry(key)).outcome.reason == "exhausted"
    assert (await house.entry(f"{key}-r1")).outcome.status == "completed"
    assert [k for k, _ in house.webhook.deliveries] == [key, f"{key}-r1"]
    assert {body["task_id"] for _, body in house.webhook.deliveries} == {key}


async def test_two_replays_of_one_dead_letter_run_once(house: House) -> None:
    key = house.submit("flaky", {"name": "a", "failures": 5})
    await house.run_to_quiet()
    runs = len(house.runner.runs)

    await replay(house.blobs, house.queue, key)
    await replay(house.blobs, house.queue, key)
    await house.run_to_quiet()

    assert len(house.runner.runs) == runs + 1
    assert len(house.webhook.deliveries) == 2


async def test_a_replay_of_an_undelivered_outcome_only_delivers(house: House) -> None:
    key = house.submit("greet")
    house.webhook.answers = [Answer(False, "not allowed", allowed=False)]
    await house.run_to_quiet()

    assert await replay(house.blobs, house.queue, key) == key
    await house.run_to_quiet()

    assert (await house.entry(key)).delivery.state == "delivered"
    assert len(house.runner.runs) == 1


async def test_a_dead_letter_of_64_kib_is_replayed_whole(house: House) -> None:
    filler = "x" * (65_536 - len(json.dumps({"task_type": "sing", "payload": {"name": ""}})))
    text = json.dumps({"task_type": "flaky", "payload": {"name": "", "failures": 5}})
    text = text.replace('"name": ""', f'"name": "{filler[: 65_536 - len(text)]}"')
    assert len(text) == 65_536
    key = house.queue.send(text)
    await house.run_to_quiet()

    await replay(house.blobs, house.queue, key)
    await house.run_to_quiet()

    assert (await house.entry(f"{key}-r1")).outcome.result == "done"
