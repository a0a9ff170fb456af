"""Messages of every kind on their whole way: launcher, container group, worker, ledger, webhook."""

import json

import pytest

pytestmark = pytest.mark.timeout(150)


async def test_a_document_goes_the_whole_way_and_leaves_nothing(laptop) -> None:
    key = await laptop.submit(await laptop.upload("hours.md"))

    entry = await laptop.settled(key)
    await laptop.quiet()

    assert (entry["outcome"]["status"], entry["delivery"]["state"]) == ("completed", "delivered")
    assert "hours.md" in entry["outcome"]["result"]
    assert entry["attempts"][0]["container_group"].endswith(f"-{key}-1")
    assert [d["status"] for d in await laptop.deliveries(key)] == ["completed"]
    [run] = await laptop.runs_of(key)
    assert run["properties"]["status"] == "Succeeded"


async def test_a_failed_document_shows_a_failed_run_with_its_exit_code(laptop) -> None:
    key = await laptop.submit("nowhere.md")

    entry = await laptop.settled(key)
    await laptop.quiet()

    [run] = await laptop.runs_of(key)
    assert run["properties"]["status"] == "Failed"
    assert "exit code 1" in json.dumps(run["properties"]["error"]).lower().replace("exited with", "exit code")
    assert "nowhere.md" in entry["outcome"]["error"]
    assert [d["status"] for d in await laptop.deliveries(key)] == ["failed"]


async def test_what_is_no_task_ends_as_a_dead_letter_and_the_others_are_untouched(laptop) -> None:
    neighbour = await laptop.submit(await laptop.upload("neighbour.md"))
    broken = await laptop.put("this is not JSON")

    entry = await laptop.settled(broken)
    other = await laptop.settled(neighbour)
    await laptop.quiet()

    letter = await laptop.blob(f"deadletters/{broken}.json")
    assert entry["outcome"]["reason"] == letter["reason"] == "not_a_task"
    assert letter["text"] == "this is not JSON"
    assert other["outcome"]["status"] == "completed"


@pytest.mark.parametrize(
    ("task_type", "payload", "why"),
    [
        ("translate", {"filename": "hours.md"}, "unknown task type 'translate'"),
        ("ingest", {"filename": "../../north-wind-documents/default/secret.md"}, ".."),
        ("ingest", {"filename": "x.md", "file_url": "north-wind-documents/default/secret.md"}, "north-wind"),
        ("ingest", {"filename": "missing.md"}, "missing.md"),
    ],
)
async def test_what_can_never_succeed_fails_for_good_with_its_reason(laptop, task_type, payload, why) -> None:
    await laptop.upload("secret.md", client="north-wind")
    key = await laptop.submit(payload.pop("filename"), task_type, **payload)

    entry = await laptop.settled(key)
    await laptop.quiet()

    assert (entry["outcome"]["reason"], len(entry["attempts"])) == ("failed", 1)
    assert why in entry["outcome"]["error"]
    assert await laptop.blob(f"deadletters/{key}.json") is None


async def test_a_message_at_the_size_limit_is_done_like_any_other(laptop) -> None:
    await laptop.upload("hours.md")
    fields = {"task_type": "ingest", "payload": {"filename": "hours.md", "note": ""}}
    fields["payload"]["note"] = "x" * (65_536 - len(json.dumps(fields)))

    key = await laptop.put(json.dumps(fields))

    assert (await laptop.settled(key))["outcome"]["status"] == "completed"
    await laptop.quiet()


async def test_clients_with_hyphens_have_their_own_queue_and_database(laptop) -> None:
    key = await laptop.submit(await laptop.upload("wind.md", client="north-wind"), client="north-wind")

    entry = await laptop.settled(key, client="north-wind")
    await laptop.quiet("north-wind")

    assert entry["outcome"]["status"] == "completed"
    assert entry["queue"] == "north-wind-tasks"
    assert await laptop.entry(key, client="acme") is None
