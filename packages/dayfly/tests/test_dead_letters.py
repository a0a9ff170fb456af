"""Dead letters: what calls for one, what stands in it, and what its replay does."""

import json
from datetime import timedelta

import pytest
from dayfly.deadletter import replay
from dayfly.testing import InMemoryClient
from dayfly.webhook import Answer


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
