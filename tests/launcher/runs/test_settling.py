"""A message settled without a worker: its ledger entry decides, and nothing is lost on the way."""

import json
from datetime import timedelta
from typing import Any

import pytest

TWO_DAYS = timedelta(days=2)
LAST_HOURS = timedelta(hours=5)


# ---- what the entry says ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("holder", [{"id": "other", "generation": 0}, {"id": "copy", "generation": 1}])
async def test_a_double_is_deleted_and_its_entry_left_alone(
    cloud: Any, launch: Any, entry: Any, clock: Any, holder: Any
) -> None:
    message = cloud.put(life=LAST_HOURS)
    before = entry(message, clock.now() - TWO_DAYS)
    before["message"] |= holder
    cloud.put_json(f"ledger/{message.id}.json", before)
    run = await launch(message)

    assert run.status == "Cancelled"
    assert cloud.messages == {}
    assert cloud.entry(message.id) == before
    assert cloud.poison == []


@pytest.mark.usefixtures("no_worker")
async def test_a_copy_that_its_entry_does_not_name_yet_is_no_double(
    cloud: Any, launch: Any, worn_out: Any, entry: Any, clock: Any
) -> None:
    message = worn_out(text='{"dayfly": {"key": "k0", "generation": 2}, "task_type": "ingest"}')
    before = entry(message, clock.now() - TWO_DAYS)
    before["message"] |= {"id": "older", "generation": 1}
    before["attempts"][0]["message_id"] = "older"
    cloud.put_json("ledger/k0.json", before)

    assert (await launch(message)).code == "NeverStarted"


@pytest.mark.usefixtures("no_worker")
async def test_an_outcome_that_nobody_delivers_is_marked_undelivered(
    cloud: Any, launch: Any, entry: Any, clock: Any, ended: Any
) -> None:
    message = cloud.put(life=LAST_HOURS)
    before = entry(message, clock.now()) | ended("completed", None, mark=None)
    cloud.put_json(f"ledger/{message.id}.json", before)
    run = await launch(message)

    assert (run.status, run.code) == ("Failed", "Undelivered")
    after = cloud.entry(message.id)
    assert after["outcome"] == before["outcome"], "an outcome is written once"
    assert after["delivery"]["state"] == "undelivered"
    assert cloud.poison[0]["reason"] == "undelivered"
    assert cloud.json(f"deadletters/{message.id}.json")["delivery"]["state"] == "undelivered"
    assert cloud.messages == {}


@pytest.mark.usefixtures("no_worker")
async def test_an_exhausted_outcome_that_nobody_delivers_is_dead_lettered_as_exhausted(
    cloud: Any, launch: Any, entry: Any, clock: Any, ended: Any
) -> None:
    message = cloud.put(life=LAST_HOURS)
    cloud.put_json(f"ledger/{message.id}.json", entry(message, clock.now()) | ended(mark=None))
    await launch(message)

    assert cloud.poison[0]["reason"] == "exhausted"


@pytest.mark.usefixtures("no_worker")
async def test_what_stands_is_finished_and_not_written_again(
    cloud: Any, launch: Any, entry: Any, clock: Any, ended: Any
) -> None:
    message = cloud.put(life=LAST_HOURS)
    before = entry(message, clock.now()) | ended("completed", None, "delivered")
    cloud.put_json(f"ledger/{message.id}.json", before)
    run = await launch(message)

    assert run.code == "ExitCode78"
    assert cloud.entry(message.id) == before
    assert cloud.poison == []
    assert cloud.messages == {}


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("there_before", [False, True])
async def test_a_write_that_is_refused_only_gives_back(
    cloud: Any, launch: Any, worn_out: Any, entry: Any, clock: Any, there_before: bool
) -> None:
    """A worker, or somebody who cancels, wrote the entry between our read and our write."""
    message = worn_out(received=19)
    theirs = entry(message, clock.now() - TWO_DAYS)
    theirs["attempts"][0]["dequeue_count"] = 5
    if there_before:
        cloud.put_json(f"ledger/{message.id}.json", theirs)
    cloud.before("PUT", "/ledger/", lambda: cloud.put_json(f"ledger/{message.id}.json", theirs))
    run = await launch(message)

    assert cloud.sent("PUT", "/ledger/"), "it was tried"
    assert run.code == "ExitCode78"
    assert cloud.entry(message.id) == theirs
    assert cloud.poison == []
    assert message.id in cloud.messages


@pytest.mark.usefixtures("no_worker")
async def test_a_ledger_that_cannot_be_read_gives_nothing_up(cloud: Any, launch: Any, worn_out: Any) -> None:
    cloud.fail("GET", "/ledger/", 403, "AuthorizationFailure")
    message = worn_out()
    run = await launch(message)

    assert run.code == "ExitCode78"
    assert message.id in cloud.messages
    assert cloud.blobs == {}


@pytest.mark.usefixtures("no_worker")
async def test_the_text_in_a_blob_goes_into_the_dead_letter(cloud: Any, launch: Any) -> None:
    cloud.put_json("texts/k0.json", ["what the backend sent"])
    text = {"dayfly": {"key": "k0", "generation": 0, "text_blob": "texts/k0.json"}}
    await launch(cloud.put(json.dumps(text), life=LAST_HOURS))

    assert cloud.json("deadletters/k0.json")["text"] == '["what the backend sent"]'


@pytest.mark.usefixtures("no_worker")
async def test_a_text_blob_that_is_gone_does_not_keep_the_message(cloud: Any, launch: Any) -> None:
    text = json.dumps({"dayfly": {"key": "k0", "generation": 0, "text_blob": "texts/k0.json"}})
    await launch(cloud.put(text, life=LAST_HOURS))

    assert cloud.json("deadletters/k0.json")["text"] == text
    assert cloud.messages == {}


@pytest.mark.usefixtures("no_worker")
async def test_entries_written_with_their_type_are_read_as_well(
    cloud: Any, launch: Any, entry: Any, clock: Any, ended: Any
) -> None:
    message = cloud.put(life=LAST_HOURS)
    before = entry(message, clock.now()) | ended("completed", None, mark=None)
    cloud.put_json(f"ledger/{message.id}.json", before, "application/json; charset=utf-8")

    assert (await launch(message)).code == "Undelivered"


# ---- faults on the way out --------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("part", ["/deadletters/", "/acme-tasks-poison/"])
async def test_without_its_dead_letter_the_message_stays(cloud: Any, launch: Any, part: str) -> None:
    cloud.fail("PUT", part, 403, "AuthorizationFailure")
    cloud.fail("POST", part, 403, "AuthorizationFailure")
    message = cloud.put(life=LAST_HOURS)
    run = await launch(message)

    assert (run.status, run.code) == ("Failed", "NotSettled")
    assert message.id in cloud.messages


@pytest.mark.usefixtures("no_worker")
async def test_the_next_receive_finishes_what_one_left(cloud: Any, launch: Any, worn_out: Any) -> None:
    cloud.fail("DELETE", "/messages/", 403, "AuthorizationFailure", times=1)
    message = worn_out()
    assert (await launch(message)).code == "NotSettled"
    run = await launch(message)

    assert run.status == "Succeeded"
    assert len(cloud.created) == 1
    assert len(cloud.poison) == 2, "written once more, harmless"
    assert cloud.messages == {}


# ---- from ten receives on, the claim reads the entry first ------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "mark", "letter"),
    [
        (None, "delivered", None),
        ("failed", "delivered", None),
        ("cancelled", "not_requested", None),
        ("failed", "undelivered", "undelivered"),
        ("exhausted", "delivered", "exhausted"),
        ("not_a_task", "not_requested", "not_a_task"),
        ("never_started", "not_requested", "never_started"),
    ],
)
async def test_what_stands_at_the_claim_is_finished_without_a_launch(
    cloud: Any, launch: Any, entry: Any, clock: Any, ended: Any, reason: Any, mark: str, letter: Any
) -> None:
    message = cloud.put(received=9)
    status = "failed" if reason else "completed"
    before = entry(message, clock.now()) | ended(status, reason, mark)
    cloud.put_json(f"ledger/{message.id}.json", before)
    run = await launch(message)

    assert run.status == "Succeeded"
    assert run.actions["Account"].outputs["container"]["state"] == "none"
    assert cloud.created == []
    assert cloud.entry(message.id) == before
    assert [each["reason"] for each in cloud.poison] == ([letter] if letter else [])
    assert cloud.messages == {}


@pytest.mark.parametrize("outcome", [{}, {"mark": None}], ids=["no outcome", "no mark"])
async def test_what_does_not_stand_at_the_claim_is_launched(
    cloud: Any, launch: Any, entry: Any, clock: Any, ended: Any, outcome: Any
) -> None:
    message = cloud.put(received=9)
    before = entry(message, clock.now()) | (ended("completed", None, **outcome) if outcome else {})
    cloud.put_json(f"ledger/{message.id}.json", before)
    await launch(message)

    assert len(cloud.created) == 1


@pytest.mark.parametrize("received", [0, 8])
async def test_before_the_tenth_receive_the_claim_reads_no_entry(
    cloud: Any, launch: Any, received: int
) -> None:
    await launch(cloud.put(received=received))

    assert not cloud.sent("GET", "/ledger/")


async def test_a_ledger_that_cannot_be_read_at_the_claim_is_no_reason_not_to_launch(
    cloud: Any, launch: Any
) -> None:
    cloud.fail("GET", "/ledger/", 403, "AuthorizationFailure")

    assert (await launch(cloud.put(received=9))).status == "Succeeded"
