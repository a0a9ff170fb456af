"""What a launcher left behind goes; what piles up makes the run fail."""

from datetime import timedelta
from typing import Any

import pytest

PARAMETERS = {
    "resourceGroupId": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/dayfly",
    "queueEndpoint": "https://acct.queue.core.windows.net",
    "clients": ["Acme"],
}


@pytest.fixture
def keep_house(run_workflow: Any) -> Any:
    async def keep_house(**changes: Any) -> Any:
        return await run_workflow("housekeeper", PARAMETERS | changes, "Recurrence", None)

    return keep_house


@pytest.fixture
def leave(cloud: Any, clock: Any) -> Any:
    """Leave a container group behind, as a launcher that died would."""

    def leave(name: str, of: Any, tags: dict[str, str] | None = None) -> None:
        cloud.life = of
        tags = {"dayfly": "worker", "dayfly-created": clock.now().isoformat()} if tags is None else tags
        cloud.leave(name, tags)

    return leave


async def test_an_empty_house_is_in_order(cloud: Any, keep_house: Any) -> None:
    run = await keep_house()

    assert (run.status, run.code) == ("Succeeded", "")


async def test_a_group_finished_for_half_an_hour_is_removed(
    cloud: Any, clock: Any, keep_house: Any, leave: Any, life: Any
) -> None:
    leave("dayfly-a-1", life(starts_after=10, runs_for=50))
    await clock.advance(60 + 29 * 60)
    await keep_house()
    assert cloud.groups_left == ["dayfly-a-1"]

    await clock.advance(2 * 60)
    assert (await keep_house()).status == "Succeeded"
    assert cloud.groups_left == []


@pytest.mark.parametrize("state", ["never starts", "hangs", "provisioning failed"])
async def test_a_group_older_than_any_launcher_waits_is_removed(
    cloud: Any, clock: Any, keep_house: Any, leave: Any, life: Any, state: str
) -> None:
    lives = {
        "never starts": life(starts_after=None),
        "hangs": life(runs_for=10**7),
        "provisioning failed": life(starts_after=None, provisioning_fails_after=1800),
    }
    leave("dayfly-a-1", lives[state])
    await clock.advance(1800 + 5400 - 60)
    await keep_house()
    assert cloud.groups_left == ["dayfly-a-1"]

    await clock.advance(120)
    await keep_house()
    assert cloud.groups_left == []


async def test_longer_tasks_are_given_longer(
    cloud: Any, clock: Any, keep_house: Any, leave: Any, life: Any
) -> None:
    leave("dayfly-a-1", life(runs_for=10**7))
    await clock.advance(10_000)
    await keep_house(taskSeconds=7200)

    assert cloud.groups_left == ["dayfly-a-1"]


async def test_groups_of_others_stay(cloud: Any, clock: Any, keep_house: Any, leave: Any, life: Any) -> None:
    leave("dayfly-a-1", life(), tags={})
    leave("other-a-1", life())
    leave("dayfly-b-1", life(), tags={"dayfly": "manual"})
    await clock.advance(10**6)
    await keep_house()

    assert cloud.groups_left == ["dayfly-a-1", "other-a-1", "dayfly-b-1"]


async def test_a_group_of_unknown_age_goes_by_its_containers_start(
    cloud: Any, clock: Any, keep_house: Any, leave: Any, life: Any
) -> None:
    leave("dayfly-a-1", life(runs_for=10**7), tags={"dayfly": "worker"})
    await clock.advance(1800 + 5400 + 60)
    await keep_house()

    assert cloud.groups_left == []


async def test_a_group_that_cannot_be_removed_is_told_and_the_others_go(
    cloud: Any, clock: Any, keep_house: Any, leave: Any, life: Any
) -> None:
    for name in ("dayfly-a-1", "dayfly-b-1", "dayfly-c-1"):
        leave(name, life())
    cloud.fail("DELETE", "dayfly-b-1", 409, "Conflict")
    await clock.advance(10_000)
    run = await keep_house()

    assert (run.status, run.code) == ("Failed", "GroupNotRemoved")
    assert "dayfly-b-1" in run.message
    assert cloud.groups_left == ["dayfly-b-1"]


async def test_groups_that_cannot_be_listed_are_told(cloud: Any, keep_house: Any) -> None:
    cloud.fail("GET", "/containerGroups", 403, "AuthorizationFailed")
    run = await keep_house()

    assert (run.status, run.code) == ("Failed", "GroupsUnreadable")
    assert "403" in run.message


async def test_dead_letters_are_told(cloud: Any, keep_house: Any) -> None:
    cloud.poison.append({})
    run = await keep_house()

    assert (run.status, run.code) == ("Failed", "PoisonQueueNotEmpty")
    assert "acme-tasks-poison names 1 dead letters" in run.message


async def test_a_backlog_is_told(cloud: Any, keep_house: Any) -> None:
    for number in range(4):
        cloud.put(message_id=f"m{number}")

    assert (await keep_house(backlogThreshold=4)).status == "Succeeded"
    run = await keep_house(backlogThreshold=3)
    assert (run.status, run.code) == ("Failed", "BacklogTooLong")


async def test_the_oldest_message_is_told_wherever_it_stands(cloud: Any, keep_house: Any) -> None:
    cloud.put(message_id="young")
    cloud.put(message_id="old", age=timedelta(days=5, hours=-1))
    assert (await keep_house()).status == "Succeeded"

    cloud.put(message_id="too-old", age=timedelta(days=5, hours=1))
    run = await keep_house()
    assert (run.status, run.code) == ("Failed", "MessageTooOld")


async def test_a_queue_that_cannot_be_read_is_told(cloud: Any, keep_house: Any) -> None:
    cloud.fail("GET", "comp=metadata", 404, "QueueNotFound")
    run = await keep_house()

    assert (run.status, run.code) == ("Failed", "QueueUnreadable")


async def test_every_problem_is_told_at_once(cloud: Any, keep_house: Any) -> None:
    cloud.poison.append({})
    cloud.put(age=timedelta(days=6))
    run = await keep_house(backlogThreshold=0)

    assert run.code == "PoisonQueueNotEmpty"
    assert "MessageTooOld: " in run.message
    assert "BacklogTooLong: " in run.message


async def test_no_text_is_in_its_history(cloud: Any, keep_house: Any, secrets: tuple[str, ...]) -> None:
    cloud.put(age=timedelta(days=6))
    run = await keep_house()

    assert run.ran("Peek_messages")
    for secret in secrets:
        assert secret not in run.everything
