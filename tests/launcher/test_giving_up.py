"""When no worker ever comes, a message is settled from its ledger entry. Each way to err has a test."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

DAY = timedelta(days=1)
TWO_DAYS = timedelta(days=2)
LAST_HOURS = timedelta(hours=5)


@pytest.fixture
def worn_out(cloud: Any) -> Callable[..., Any]:
    """A message two days old that is about to be received for the tenth time."""

    def put(**given: Any) -> Any:
        return cloud.put(**({"age": TWO_DAYS, "life": timedelta(days=5), "received": 9} | given))

    return put


@pytest.fixture
def no_worker(cloud: Any, life: Any) -> None:
    """Containers that never reach the message."""
    cloud.life = life(worker="nothing", exit_code=78)


def place_of(story: list[str], what: str) -> int:
    return next(n for n, each in enumerate(story) if each.startswith(what))


# ---- ten launches and a day -------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_worker")
async def test_a_message_no_worker_ever_took_becomes_never_started(
    cloud: Any, launch: Any, worn_out: Any
) -> None:
    message = worn_out()
    run = await launch(message)

    assert (run.status, run.code) == ("Failed", "NeverStarted")
    entry = cloud.entry(message.id)
    assert entry["outcome"]["status"] == "failed"
    assert entry["outcome"]["reason"] == "never_started"
    assert "exit code 78" in entry["outcome"]["error"]
    assert entry["delivery"]["state"] == "not_requested", "marked in the same write"
    assert entry["attempts"] == [], "no attempt is counted that no worker began"
    assert entry["task"] is None
    assert entry["message"] == {
        "id": message.id,
        "generation": 0,
        "dequeue_count": 10,
        "inserted_at": "2029-12-30T00:00:00Z",
        "expires_at": "2030-01-06T00:00:00Z",
    }
    assert cloud.messages == {}


@pytest.mark.usefixtures("no_worker")
async def test_dead_letter_and_poison_message_come_before_the_delete(
    cloud: Any, launch: Any, worn_out: Any, task_text: str
) -> None:
    message = worn_out()
    await launch(message)

    assert cloud.story[-4:] == [
        "ledger written",
        "deadletters written",
        "poison message put",
        "message deleted",
    ]
    letter, entry = cloud.json(f"deadletters/{message.id}.json"), cloud.entry(message.id)
    assert letter["reason"] == "never_started"
    assert letter["text"] == task_text
    assert letter["queue"] == "acme-tasks"
    for part in ("key", "task", "outcome", "delivery", "attempts", "message", "log"):
        assert letter[part] == entry[part], part
    assert cloud.poison == [
        {
            "dead_letter": message.id,
            "container": "acme-dayfly",
            "blob": f"deadletters/{message.id}.json",
            "reason": "never_started",
            "queue": "acme-tasks",
            "task_id": None,
        }
    ]
    assert cloud.poison_ttls == ["-1"]


@pytest.mark.usefixtures("no_worker")
async def test_a_message_without_expiry_is_given_up_too(cloud: Any, launch: Any, worn_out: Any) -> None:
    message = worn_out(life=None)
    run = await launch(message)

    assert run.code == "NeverStarted"
    assert cloud.entry(message.id)["message"]["expires_at"] is None


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize(
    "given",
    [{"received": 8}, {"age": timedelta(hours=23)}],
    ids=["nine receives", "less than a day"],
)
async def test_before_ten_receives_and_a_day_nothing_is_given_up(
    cloud: Any, launch: Any, worn_out: Any, given: Any
) -> None:
    message = worn_out(**given)
    run = await launch(message)

    assert (run.status, run.code) == ("Failed", "ExitCode78")
    assert message.id in cloud.messages
    assert cloud.blobs == {}


@pytest.mark.usefixtures("no_worker")
async def test_an_entry_no_worker_touched_for_ten_launches_and_a_day_is_swapped(
    cloud: Any, launch: Any, worn_out: Any, entry: Any, clock: Any
) -> None:
    message = worn_out(received=19)
    before = entry(message, clock.now() - TWO_DAYS)
    before["attempts"][0]["dequeue_count"] = 10
    cloud.put_json(f"ledger/{message.id}.json", before)
    run = await launch(message)

    assert run.code == "NeverStarted"
    after = cloud.entry(message.id)
    assert after["outcome"]["reason"] == "never_started"
    assert after["delivery"]["state"] == "not_requested"
    assert {key: after[key] for key in before if key not in ("outcome", "delivery")} == {
        key: before[key] for key in before if key not in ("outcome", "delivery")
    }, "attempts and all else stay as they were"
    assert cloud.poison[0]["task_id"] == "t<1>&"


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize(
    ("attempt_ago", "attempt_count"),
    [(timedelta(hours=20), 10), (TWO_DAYS, 11)],
    ids=["entered today", "entered nine launches ago"],
)
async def test_an_attempt_of_late_keeps_a_message_alive(
    cloud: Any, launch: Any, worn_out: Any, entry: Any, clock: Any, attempt_ago: Any, attempt_count: int
) -> None:
    message = worn_out(received=19)
    before = entry(message, clock.now() - attempt_ago)
    before["attempts"][0]["dequeue_count"] = attempt_count
    cloud.put_json(f"ledger/{message.id}.json", before)
    run = await launch(message)

    assert run.code == "ExitCode78"
    assert cloud.entry(message.id) == before
    assert message.id in cloud.messages


@pytest.mark.usefixtures("no_worker")
async def test_receives_are_counted_from_this_messages_own_last_attempt(
    cloud: Any, launch: Any, worn_out: Any, entry: Any, clock: Any
) -> None:
    """An attempt with the message that this one is a copy of has a dequeue count of its own."""
    message = worn_out(text='{"dayfly": {"key": "k0", "generation": 1}, "task_type": "ingest"}')
    before = entry(message, clock.now() - TWO_DAYS)
    before["attempts"][0] |= {"message_id": "the-original", "dequeue_count": 9}
    before["message"]["generation"] = 1
    cloud.put_json("ledger/k0.json", before)

    assert (await launch(message)).code == "NeverStarted"
    assert cloud.entry("k0")["outcome"]["reason"] == "never_started"


async def test_workers_that_all_die_before_the_ledger_are_given_up(
    cloud: Any, launch: Any, worn_out: Any, life: Any, clock: Any
) -> None:
    """Whatever the receipt: each had taken the message over. The delete is left to the next receive."""
    cloud.life = life(worker="dies", exit_code=137)
    message = worn_out()
    first = await launch(message)
    assert first.code == "NeverStarted"
    assert message.id in cloud.messages, "deleted with the launcher's receipt it could not be"

    second = await launch(message)
    assert second.status == "Succeeded"
    assert cloud.messages == {}
    assert len(cloud.created) == 1, "nothing is launched any more"


@pytest.mark.parametrize("status", [409, 429, 503])
async def test_a_deferred_launch_decides_nothing(cloud: Any, launch: Any, worn_out: Any, status: int) -> None:
    cloud.fail("PUT", "/containerGroups/", status, "ServiceUnavailable")
    message = worn_out(received=300)
    run = await launch(message)

    assert run.status == "Cancelled"
    assert cloud.blobs == {}
    assert cloud.story[-1] == "message hidden for 3600 s"


# ---- less than a day left ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_worker")
async def test_on_its_last_day_a_message_no_worker_took_is_given_up(cloud: Any, launch: Any) -> None:
    message = cloud.put(life=LAST_HOURS)
    run = await launch(message)

    assert run.code == "NeverStarted"
    assert cloud.entry(message.id)["message"]["dequeue_count"] == 1
    assert cloud.poison[0]["dead_letter"] == message.id
    assert cloud.messages == {}


async def test_on_its_last_day_a_deferred_message_is_given_up(cloud: Any, launch: Any) -> None:
    cloud.fail("PUT", "/containerGroups/", 429, "TooManyRequests")
    run = await launch(cloud.put(life=LAST_HOURS))

    assert (run.status, run.code) == ("Failed", "NeverStarted")
    assert cloud.messages == {}


@pytest.mark.usefixtures("no_worker")
async def test_the_message_is_kept_while_it_is_weighed(cloud: Any, launch: Any) -> None:
    await launch(cloud.put(life=LAST_HOURS))

    assert "message hidden for 600 s" in cloud.story
    assert place_of(cloud.story, "message hidden for 600 s") < place_of(cloud.story, "ledger written")


@pytest.mark.usefixtures("no_worker")
async def test_in_its_last_minutes_a_message_is_kept_no_longer_than_it_lives(cloud: Any, launch: Any) -> None:
    run = await launch(cloud.put(life=timedelta(minutes=5)))

    assert run.code == "NeverStarted"
    assert cloud.messages == {}


async def test_on_its_last_day_a_message_that_a_worker_took_is_not_given_up(
    cloud: Any, launch: Any, life: Any
) -> None:
    cloud.life = life(worker="crashes", exit_code=137)
    message = cloud.put(life=LAST_HOURS)
    run = await launch(message)

    assert run.code == "ExitCode137"
    assert cloud.entry(message.id)["outcome"] is None
    assert cloud.poison == []


async def test_a_worker_between_lease_and_ledger_is_not_overruled(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="dies", exit_code=137)
    message = cloud.put(life=LAST_HOURS)
    run = await launch(message)

    assert run.code == "ExitCode137"
    assert cloud.blobs == {}
    assert message.id in cloud.messages


@pytest.mark.usefixtures("no_worker")
async def test_a_give_back_without_an_answer_gives_nothing_up(cloud: Any, launch: Any) -> None:
    message = cloud.put(life=LAST_HOURS)
    claims = iter([True])
    cloud.before("PUT", "/messages/", lambda: next(claims, None) or cloud.fail("PUT", "/messages/", 500))
    run = await launch(message)

    assert run.code == "ExitCode78"
    assert "could not be given back" in run.message
    assert cloud.blobs == {}


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
