"""When no worker ever comes, a message is settled from its ledger entry. Each way to err has a test."""

from datetime import timedelta
from typing import Any

import pytest

DAY = timedelta(days=1)
TWO_DAYS = timedelta(days=2)
LAST_HOURS = timedelta(hours=5)


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
