"""One message, one container: route, claim and creation, and what becomes of a message when they go wrong."""

from datetime import timedelta
from typing import Any

import pytest

# ---- a good run -------------------------------------------------------------------------------------------


async def test_a_task_that_completes_leaves_nothing_behind(cloud: Any, launch: Any) -> None:
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Succeeded", "")
    assert cloud.messages == {}
    assert cloud.groups_left == []
    assert cloud.poison == []
    assert cloud.story == [
        "message hidden for 2100 s",
        "group created",
        "worker takes the message over",
        "worker deletes the message",
        "group deleted",
    ]


async def test_a_good_run_asks_no_more_than_it_must(cloud: Any, launch: Any) -> None:
    await launch(cloud.put())

    assert not cloud.sent("GET", "/logs")
    assert not cloud.sent("GET", "/ledger/")
    assert len(cloud.sent("PUT", "/messages/")) == 1, "the claim alone; nothing is given back"


async def test_a_good_run_is_billed_for_few_actions(cloud: Any, launch: Any) -> None:
    run = await launch(cloud.put())
    in_the_loop = ("Wait_a_turn", "Get_container_group", "Keep_last_look", "Count_sights")

    assert all(run.ran(name) for name in in_the_loop)
    assert sum(run.ran(name) for name in run.actions) - len(in_the_loop) <= 36


async def test_the_container_is_told_all_it_needs(cloud: Any, launch: Any, task_text: str) -> None:
    message = cloud.put(life=timedelta(days=6))
    await launch(message)

    variables = cloud.created[0].variables
    assert variables["TASK_DATA"] == task_text
    assert variables["MESSAGE_ID"] == message.id
    assert variables["DEQUEUE_COUNT"] == "1"
    assert variables["MESSAGE_INSERTED"] == "2030-01-01T00:00:00Z"
    assert variables["MESSAGE_EXPIRES"] == "2030-01-07T00:00:00Z"
    assert variables["CLIENT_ID"] == "acme"
    assert variables["WORKER_TASK_TIMEOUT"] == "1800"
    assert variables["CONTAINER_GROUP"] == f"dayfly-{message.id}-1"
    assert variables["OPENAI_MODEL"] == "small"
    assert variables["INTERNAL_API_KEY"] == "key-0f-the-backend"


async def test_what_the_launcher_sets_is_set_once(cloud: Any, launch: Any) -> None:
    names = ("CLIENT_ID", "WORKER_TASK_TIMEOUT", "OPENAI_MODEL")
    await launch(cloud.put(), environment=[{"name": name, "value": "theirs"} for name in names])

    (container,) = cloud.created[0].body["properties"]["containers"]
    given = [each["name"] for each in container["properties"]["environmentVariables"]]
    assert len(given) == len(set(given))
    assert cloud.created[0].variables["WORKER_TASK_TIMEOUT"] == "1800"
    assert cloud.created[0].variables["OPENAI_MODEL"] == "theirs"


async def test_the_receipt_is_that_of_the_claim(cloud: Any, launch: Any) -> None:
    await launch(cloud.put())

    assert "worker takes the message over" in cloud.story, "it could not with the trigger's receipt"


async def test_the_group_is_as_arm_wants_it(cloud: Any, launch: Any, parameters: dict[str, Any]) -> None:
    message = cloud.put()
    await launch(message)

    body = cloud.created[0].body
    identity = parameters["workerIdentityId"]
    assert body["location"] == "westeurope"
    assert body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    assert body["tags"] == {
        "dayfly": "worker",
        "dayfly-client": "acme",
        "dayfly-message": message.id,
        "dayfly-dequeue-count": "1",
        "dayfly-created": body["tags"]["dayfly-created"],
    }
    properties = body["properties"]
    assert properties["restartPolicy"] == "Never"
    assert properties["imageRegistryCredentials"] == [{"server": "registry.example", "identity": identity}]
    assert properties["diagnostics"] == {
        "logAnalytics": {
            "logType": "ContainerInstanceLogs",
            "workspaceId": "workspace",
            "workspaceKey": "key-0f-the-workspace",
        }
    }


async def test_what_is_not_configured_is_left_out(cloud: Any, launch: Any) -> None:
    await launch(cloud.put(), registryServer="", workerIdentityId="", logAnalyticsWorkspaceKey="")

    body = cloud.created[0].body
    assert body["identity"] == {"type": "None"}
    assert body["properties"]["imageRegistryCredentials"] == []
    assert body["properties"]["diagnostics"] == {}


async def test_a_text_of_64_kib_and_any_characters_arrives_unchanged(cloud: Any, launch: Any) -> None:
    text = "@{parameters('image')} \"quoted\" \\ ü € 😀 " + "x" * 60_000
    await launch(cloud.put(text))

    assert cloud.created[0].variables["TASK_DATA"] == text


async def test_an_empty_text_still_reaches_a_worker(cloud: Any, launch: Any) -> None:
    run = await launch(cloud.put(""))

    assert run.status == "Succeeded"
    assert cloud.created[0].variables["TASK_DATA"] == ""


# ---- route ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream"])
async def test_its_own_turn_is_launched(cloud: Any, launch: Any, content_type: str) -> None:
    cloud.put_json("route.json", {"engine": "aci", "since": "2030-01-01T00:00:00Z", "by": "op"}, content_type)

    assert (await launch(cloud.put())).status == "Succeeded"


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream"])
@pytest.mark.parametrize(("engine", "hidden_s"), [("poll", 0), ("jobs", 0), ("none", 60)])
async def test_another_engines_turn_is_handed_back(
    cloud: Any, launch: Any, content_type: str, engine: str, hidden_s: int
) -> None:
    cloud.put_json(
        "route.json", {"engine": engine, "since": "2030-01-01T00:00:00Z", "by": "op"}, content_type
    )
    run = await launch(cloud.put())

    assert run.status == "Cancelled"
    assert run.ran("Terminate_another_engines_turn")
    assert cloud.story == [f"message hidden for {hidden_s} s"]


async def test_a_route_that_cannot_be_read_launches_nothing(cloud: Any, launch: Any) -> None:
    cloud.fail("GET", "/route.json", 403, "AuthorizationFailure")
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "RouteUnreadable")
    assert cloud.story == ["message hidden for 60 s"]


@pytest.mark.parametrize("data", [b"[]", b"engine: aci", b'"aci"', b"{}", b""])
async def test_a_route_that_says_nothing_launches_nothing(cloud: Any, launch: Any, data: bytes) -> None:
    cloud.put_json("route.json", None)
    cloud.blobs["route.json"].data = data
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "RouteUnreadable")
    assert cloud.created == []


async def test_a_passing_fault_of_the_route_is_waited_out(cloud: Any, launch: Any) -> None:
    cloud.fail("GET", "/route.json", 503, "ServerBusy", times=2)

    assert (await launch(cloud.put())).status == "Succeeded"


# ---- claim ------------------------------------------------------------------------------------------------


async def test_a_message_received_again_by_another_is_left_to_it(cloud: Any, launch: Any) -> None:
    message = cloud.put()
    run = await launch(message, after_receive=lambda: cloud.receive(message))

    assert run.status == "Cancelled"
    assert run.ran("Terminate_another_has_the_message")
    assert cloud.story == []


async def test_a_message_that_is_gone_is_no_failure(cloud: Any, launch: Any) -> None:
    run = await launch(cloud.put(), after_receive=cloud.messages.clear)

    assert run.status == "Cancelled"


async def test_a_claim_refused_for_another_reason_is_a_failure(cloud: Any, launch: Any) -> None:
    cloud.fail("PUT", "/messages/", 403, "AuthorizationPermissionMismatch")
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "ClaimFailed")
    assert "403 AuthorizationPermissionMismatch" in run.message
    assert cloud.created == []


async def test_a_claim_does_not_reach_past_the_messages_end(cloud: Any, launch: Any) -> None:
    run = await launch(cloud.put(life=timedelta(minutes=20)))

    assert cloud.story[0] == "message hidden for 1200 s"
    assert run.status == "Succeeded"


# ---- create -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [(409, "ServiceUnavailable"), (429, "TooManyRequests"), (503, "ServiceUnavailable")],
)
async def test_no_capacity_is_no_fault_of_the_task(cloud: Any, launch: Any, status: int, code: str) -> None:
    cloud.fail("PUT", "/containerGroups/", status, code)
    message = cloud.put()
    run = await launch(message)

    assert run.status == "Cancelled"
    assert run.ran("Terminate_to_be_tried_again")
    assert len(cloud.sent("PUT", "/containerGroups/")) == 1, "a PUT is never repeated"
    assert cloud.sent("DELETE", "/containerGroups/"), "the group is deleted, whatever happened"
    assert cloud.story == ["message hidden for 2100 s", "message hidden for 60 s"]
    assert run.took_s < 60


async def test_the_delay_grows_with_the_receives_up_to_an_hour(cloud: Any, launch: Any) -> None:
    cloud.fail("PUT", "/containerGroups/", 409, "ServiceUnavailable")
    delays = []
    for received in (1, 4, 200):
        cloud.story.clear()
        await launch(cloud.put(received=received - 1))
        delays.append(cloud.story[-1])

    assert delays == ["message hidden for 60 s", "message hidden for 240 s", "message hidden for 3600 s"]


async def test_a_group_that_arm_refuses_for_good_fails_the_run(cloud: Any, launch: Any) -> None:
    cloud.fail("PUT", "/containerGroups/", 400, "InaccessibleImage")
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "CreateRefused")
    assert "400 InaccessibleImage" in run.message
    assert cloud.story[-1] == "message hidden for 60 s"


async def test_a_refusal_that_is_no_json_is_one_too(cloud: Any, launch: Any) -> None:
    cloud.fail("PUT", "/containerGroups/", 400)
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "CreateRefused")
    assert cloud.sent("DELETE", "/containerGroups/"), "the group is deleted, whatever happened"
    assert cloud.story[-1] == "message hidden for 60 s"


async def test_a_lost_answer_to_the_creation_loses_no_task(cloud: Any, launch: Any) -> None:
    cloud.lose("PUT", "/containerGroups/")
    run = await launch(cloud.put())

    assert run.status == "Succeeded"
    assert len(cloud.created) == 1


async def test_a_group_that_never_appears_is_given_up_after_two_minutes(cloud: Any, launch: Any) -> None:
    cloud.fail("PUT", "/containerGroups/", 500, "InternalServerError")
    run = await launch(cloud.put())

    assert (run.status, run.code) == ("Failed", "GroupGone")
    assert 120 <= run.took_s < 180
    assert cloud.story[-1] == "message hidden for 60 s"


async def test_a_group_that_appears_late_is_waited_for(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(appears_after=100, starts_after=110)
    cloud.lose("PUT", "/containerGroups/")

    assert (await launch(cloud.put())).status == "Succeeded"
