"""A container that runs: how the launcher waits for it, removes it, gives its message back, and reports."""

import json
from typing import Any

import pytest

# ---- wait -------------------------------------------------------------------------------------------------


async def test_a_start_slower_than_a_poll_interval_is_waited_for(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(starts_after=25 * 60, runs_for=29 * 60)
    run = await launch(cloud.put())

    assert run.status == "Succeeded"
    assert len(cloud.created) == 1


async def test_bad_answers_are_waited_out(cloud: Any, launch: Any) -> None:
    cloud.fail("GET", "/containerGroups/", 429, "TooManyRequests", times=7)
    cloud.fail("GET", "/containerGroups/", 502, times=7)
    cloud.fail("GET", "/containerGroups/", 403, "AuthorizationFailed", times=3)

    assert (await launch(cloud.put())).status == "Succeeded"


async def test_a_lost_answer_is_waited_out(cloud: Any, launch: Any) -> None:
    cloud.lose("GET", "/containerGroups/", times=6)

    assert (await launch(cloud.put())).status == "Succeeded"


async def test_a_group_that_reads_running_is_done_when_its_container_is(cloud: Any, launch: Any) -> None:
    run = await launch(cloud.put())  # the fake's groups always read Running

    assert run.took_s < 90


async def test_provisioning_that_fails_gives_the_message_back(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(starts_after=None, provisioning_fails_after=300)
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "ProvisioningFailed")
    assert run.took_s < 400
    assert "Failed to pull image" in json.dumps(run.actions["Last_words"].outputs["events"])
    assert cloud.story == [
        "message hidden for 2100 s",
        "group created",
        "group deleted",
        "message hidden for 60 s",
    ]


async def test_a_group_that_vanishes_gives_the_message_back(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(starts_after=None, vanishes_after=50)
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "GroupGone")
    assert run.took_s < 120, "once seen, missing is gone"
    assert cloud.story[-1] == "message hidden for 60 s"


async def test_a_restarted_container_counts_by_its_first_life(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="retries", exit_code=75, restarts=True)
    run = await launch(cloud.put())

    assert run.status == "Cancelled"
    assert run.took_s <= 90, "seen at the second look, gone at the third"


async def test_a_container_that_never_starts_is_removed_at_last(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(starts_after=None)
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "ContainerTimedOut")
    assert 4800 <= run.took_s < 4900
    assert cloud.story[-2:] == ["group deleted", "message hidden for 60 s"]


async def test_a_container_that_hangs_is_removed_after_the_tasks_time(
    cloud: Any, launch: Any, life: Any
) -> None:
    cloud.life = life(worker="crashes", runs_for=1_000_000)
    run = await launch(cloud.put(), taskSeconds=600)

    assert (run.status, run.code) == ("Failed", "ContainerTimedOut")
    assert 3600 <= run.took_s < 3700
    assert cloud.groups_left == []


async def test_a_limit_of_the_wait_is_no_success(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(starts_after=None)
    run = await launch(cloud.put(), taskSeconds=1_000_000, waitSeconds=600)

    assert (run.status, run.code) == ("Failed", "ContainerTimedOut")
    assert 7 * 3600 <= run.took_s < 7.5 * 3600
    assert cloud.groups_left == []


# ---- remove -----------------------------------------------------------------------------------------------


async def test_nothing_is_given_back_before_the_group_is_gone(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="nothing", exit_code=78, delete_takes=100)
    left = []
    cloud.before("PUT", "/messages/", lambda: left.append(len(cloud.groups_left)))
    run = await launch(cloud.put())

    assert run.status == "Failed"
    assert left == [0, 0], "at the claim, and at the give back"
    assert run.took_s > 150


async def test_a_group_that_cannot_be_removed_keeps_the_message(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="nothing", exit_code=78)
    cloud.fail("DELETE", "/containerGroups/", 403, "AuthorizationFailed")
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "GroupNotRemoved")
    assert "exit code 78" in run.message
    assert cloud.story == ["message hidden for 2100 s", "group created"], "the claim ends by itself"


async def test_a_success_does_not_wait_for_the_removal(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(delete_takes=600)

    assert (await launch(cloud.put())).took_s < 90


async def test_a_success_stays_one_when_the_removal_fails(cloud: Any, launch: Any) -> None:
    cloud.fail("DELETE", "/containerGroups/", 403, "AuthorizationFailed")

    assert (await launch(cloud.put())).status == "Succeeded"


async def test_a_success_gives_nothing_back_even_if_its_group_is_gone_already(
    cloud: Any, launch: Any
) -> None:
    cloud.fail("DELETE", "/containerGroups/", 204)
    run = await launch(cloud.put())

    assert run.status == "Succeeded"
    assert len(cloud.sent("PUT", "/messages/")) == 1


async def test_a_failed_run_holds_the_containers_last_lines(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="fails", exit_code=1, log="Traceback …\nValueError: page 3\n")
    run = await launch(cloud.put())

    assert run.actions["Last_words"].outputs["log"].endswith("ValueError: page 3\n")
    assert run.actions["Last_words"].outputs["container"]["exit_code"] == 1
    assert cloud.sent("GET", "/logs")[0].url.params["tail"] == "50"


async def test_a_log_that_cannot_be_read_keeps_nobody(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="fails", exit_code=1)
    cloud.fail("GET", "/logs", 400, "ContainerGroupDeploymentNotReady")
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "ExitCode1")
    assert cloud.groups_left == []


# ---- give back and report ---------------------------------------------------------------------------------


async def test_a_task_that_failed_for_good_fails_the_run(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="fails", exit_code=1)
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "ExitCode1")
    assert "the ledger says" in run.message
    assert cloud.messages == {}


async def test_a_task_to_be_tried_again_cancels_the_run(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="retries", exit_code=75)
    message = cloud.put()
    run = await launch(message)

    assert run.status == "Cancelled"
    assert message.id in cloud.messages
    assert "message hidden for 60 s" not in cloud.story, "the worker released it, so the give back is refused"


@pytest.mark.parametrize("exit_code", [1, 78, 137])
async def test_a_worker_that_never_took_the_message_gives_it_back(
    cloud: Any, launch: Any, life: Any, exit_code: int
) -> None:
    cloud.life = life(worker="nothing", exit_code=exit_code)
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", f"ExitCode{exit_code}")
    assert "No worker had taken the message over" in run.message
    assert cloud.story[-1] == "message hidden for 60 s"


async def test_a_worker_that_crashed_keeps_its_lease(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="crashes", exit_code=137)
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "ExitCode137")
    assert "message hidden for 60 s" not in cloud.story


async def test_each_launch_has_a_group_of_its_own(cloud: Any, launch: Any, life: Any) -> None:
    message = cloud.put()
    cloud.life = life(worker="nothing", exit_code=78)
    await launch(message)
    cloud.life = life()
    await launch(message)

    assert [group.variables["CONTAINER_GROUP"][-2:] for group in cloud.created] == ["-1", "-2"]
    assert cloud.messages == {}


async def test_the_account_tells_what_happened(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="fails", exit_code=1)
    message = cloud.put()
    account = (await launch(message)).actions["Account"].outputs

    assert account["message"] == message.id
    assert account["dequeue_count"] == 1
    assert account["container"] == {"group": f"dayfly-{message.id}-1", "state": "exited", "exit_code": 1}


async def test_texts_that_only_look_like_our_own_do_no_harm(cloud: Any, launch: Any) -> None:
    for text in (
        '{"dayfly"',
        '{"dayfly": 5}',
        '{"dayfly": {"key": "../x"}}',
        '{"dayfly": {"key": null}}',
        "null",
    ):
        message = cloud.put(text)
        run = await launch(message)
        assert run.status == "Succeeded", text
        assert run.actions["Origin"].status == "Succeeded", text
        assert cloud.created[-1].variables["TASK_DATA"] == text
