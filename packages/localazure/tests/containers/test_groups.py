"""Container groups as Azure describes them, step by step by the clock."""

from __future__ import annotations

from typing import Any

import pytest
from localazure.containers.groups import ContainerGroups
from localazure.errors import ArmError

SUBSCRIPTION, GROUP = "00000000-0000-0000-0000-000000000001", "test"


def refused(call: Any, *args: Any) -> ArmError:
    with pytest.raises(ArmError) as caught:
        call(*args)
    return caught.value


async def test_a_new_group_is_created_asynchronously(rig):
    answer = rig.put()
    assert answer.status == "created"
    assert answer.body["properties"]["provisioningState"] == "Pending"
    assert rig.properties()["instanceView"]["state"] == "Pending"
    assert "instanceView" not in rig.properties()["containers"][0]["properties"]

    await rig.clock.settle()
    assert rig.properties()["provisioningState"] == "Creating"
    assert rig.events() == ["Pulling"]
    assert rig.view()["currentState"]["state"] == "Waiting"

    await rig.clock.advance(1)
    assert rig.properties()["provisioningState"] == "Succeeded"
    assert rig.properties()["instanceView"]["state"] == "Running"
    assert rig.view()["currentState"] == {
        "state": "Running",
        "detailStatus": "",
        "startTime": "2030-01-01T00:00:00.100Z",
    }
    assert rig.events() == ["Pulling", "Pulled", "Created", "Started"]


@pytest.mark.parametrize(
    ("code", "state", "detail"), [(0, "Succeeded", "Completed"), (75, "Failed", "Error")]
)
async def test_the_exit_code_shows_in_the_container_not_in_the_provisioning_state(rig, code, state, detail):
    await rig.running()
    await rig.finish(code)
    assert rig.properties()["provisioningState"] == "Succeeded"
    assert rig.properties()["instanceView"]["state"] == state
    current = rig.view()["currentState"]
    assert (current["state"], current["exitCode"], current["detailStatus"]) == ("Terminated", code, detail)
    assert current["finishTime"] >= current["startTime"]


async def test_a_list_has_no_instance_view(rig):
    await rig.running()
    (listed,) = rig.groups.list(SUBSCRIPTION, GROUP)
    assert "instanceView" not in listed["properties"]
    assert "instanceView" not in listed["properties"]["containers"][0]["properties"]
    assert rig.groups.list(SUBSCRIPTION, "other") == []
    assert len(rig.groups.list(SUBSCRIPTION)) == 1


async def test_on_failure_runs_again_until_the_exit_code_is_zero(rig, body):
    await rig.running(body=body(restartPolicy="OnFailure"))
    await rig.finish(1)
    assert rig.view()["restartCount"] == 1
    assert rig.view()["previousState"]["exitCode"] == 1
    await rig.finish(1, number=2)
    assert rig.view()["currentState"] == {"state": "Waiting", "detailStatus": "CrashLoopBackOff"}
    assert rig.properties()["instanceView"]["state"] == "Running"
    await rig.clock.advance(11)
    await rig.finish(0, number=3)
    assert rig.properties()["instanceView"]["state"] == "Succeeded"
    assert rig.view()["restartCount"] == 2


async def test_always_runs_again_after_exit_code_zero(rig, body):
    await rig.running(body=body(restartPolicy="Always"))
    await rig.finish(0)
    assert rig.view()["currentState"]["state"] == "Running"
    assert rig.view()["previousState"]["exitCode"] == 0


async def test_the_same_put_on_a_running_group_restarts_nothing(rig):
    await rig.running()
    answer = rig.put()
    await rig.clock.advance(1)
    assert answer.status == "ok"
    assert len(rig.backend.runs) == 1
    assert rig.view()["restartCount"] == 0


async def test_a_changed_put_on_a_running_group_restarts_its_containers(rig, body):
    await rig.running()
    assert rig.put(body=body(image="app:2")).status == "ok"
    await rig.clock.advance(1)
    (run,) = rig.backend.running()
    assert rig.backend.runs[run].spec.image == "app:2"
    assert rig.events()[0] == "Killing"
    assert rig.properties()["provisioningState"] == "Succeeded"


async def test_a_put_on_a_finished_group_runs_it_again(rig):
    await rig.running()
    await rig.finish(0)
    assert rig.put().status == "ok"
    await rig.clock.advance(1)
    assert rig.view()["currentState"]["state"] == "Running"
    assert rig.view()["restartCount"] == 0


@pytest.mark.parametrize(
    "changes",
    [{"restartPolicy": "Always"}, {"resources": {"requests": {"cpu": 2, "memoryInGB": 2}}}],
)
async def test_what_cannot_be_changed_is_refused(rig, body, changes):
    await rig.running()
    error = refused(rig.put, "one", body(**changes))
    assert (error.status, error.code) == (400, "InvalidContainerGroupUpdate")
    assert "must delete it first" in error.message


async def test_a_group_that_is_being_created_refuses_changes(rig, body):
    rig.put()
    assert refused(rig.put, "one", body(image="app:2")).code == "ContainerGroupTransitioning"


async def test_tags_change_without_a_restart(rig):
    await rig.running()
    shown = rig.groups.update_tags(SUBSCRIPTION, GROUP, "one", {"tags": {"a": "b"}})
    assert shown["tags"] == {"a": "b"}
    assert rig.get()["tags"] == {"a": "b"}
    assert len(rig.backend.running()) == 1


async def test_deleting_a_running_group_kills_its_container(rig):
    await rig.running()
    answer = await rig.delete()
    assert answer.status == "started"
    assert rig.properties()["provisioningState"] == "Deleting"
    assert not rig.groups.operation_done(answer.uid)
    await rig.clock.settle()
    assert rig.groups.operation_done(answer.uid)
    assert refused(rig.get).code == "ResourceNotFound"
    assert rig.backend.runs == {}


async def test_deleting_a_finished_group_is_done_at_once_and_what_is_not_there_is_no_error(rig):
    await rig.running()
    await rig.finish(0)
    assert (await rig.delete()).status == "ok"
    assert (await rig.delete()).status == "absent"


async def test_one_operation_after_the_other_without_a_pause_ends_as_the_last_one_says(rig):
    await rig.running()
    rig.groups.restart(SUBSCRIPTION, GROUP, "one")
    await rig.delete()
    rig.put("two")
    await rig.delete("two")
    await rig.clock.advance(10)
    assert rig.groups.list(SUBSCRIPTION) == []
    assert rig.backend.runs == {}


async def test_a_group_deleted_while_it_is_created_never_starts(rig):
    rig.put()
    await rig.delete()
    await rig.clock.advance(3600)
    assert rig.backend.runs == {}


async def test_stop_and_start(rig):
    await rig.running()
    await rig.groups.stop(SUBSCRIPTION, GROUP, "one")
    assert rig.properties()["instanceView"]["state"] == "Stopped"
    assert rig.view()["currentState"]["exitCode"] == 137
    assert rig.groups.start(SUBSCRIPTION, GROUP, "one").status == "started"
    await rig.clock.advance(1)
    assert rig.properties()["instanceView"]["state"] == "Running"
    assert rig.groups.start(SUBSCRIPTION, GROUP, "one").status == "absent"


async def test_restart_runs_the_same_again(rig):
    await rig.running()
    rig.groups.restart(SUBSCRIPTION, GROUP, "one")
    await rig.clock.advance(1)
    assert [run.deployment for run in rig.backend.running()] == [2]


async def test_an_image_that_cannot_be_pulled_fails_after_thirty_minutes(rig, body):
    rig.put(body=body(image="nowhere/app:1"))
    await rig.clock.advance(1700)
    assert rig.properties()["provisioningState"] == "Creating"
    assert rig.properties()["instanceView"]["state"] == "Pending"
    assert rig.events() == ["Pulling", "Failed", "BackOff"]
    failed = rig.view()["events"][1]
    assert failed["type"] == "Warning"
    assert failed["count"] > 5
    assert "nowhere/app:1" in failed["message"]
    await rig.clock.advance(101)
    assert rig.properties()["provisioningState"] == "Failed"
    assert rig.backend.runs == {}


async def test_secrets_are_never_shown_but_reach_the_container(rig, body):
    identity = (
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
    )
    asked = body(
        environmentVariables=[{"name": "PLAIN", "value": "a"}, {"name": "SECRET", "secureValue": "s3cr3t"}],
        imageRegistryCredentials=[
            {"server": "a.azurecr.io", "username": "u", "password": "p4ss"},
            {"server": "b.azurecr.io", "identity": identity},
        ],
        diagnostics={"logAnalytics": {"workspaceId": "w", "workspaceKey": "k3y"}},
    )
    asked["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    await rig.running(body=asked)
    shown = str(rig.get()) + str(rig.groups.list(SUBSCRIPTION))
    assert not [secret for secret in ("s3cr3t", "p4ss", "k3y") if secret in shown]
    assert {"name": "SECRET"} in rig.properties()["containers"][0]["properties"]["environmentVariables"]
    environment = rig.backend.runs[rig.run()].spec.environment
    assert environment == {"PLAIN": "a", "SECRET": "s3cr3t"}
    assert rig.get()["identity"]["userAssignedIdentities"][identity]["clientId"]


async def test_a_container_with_an_identity_is_told_where_to_ask_for_tokens(rig, body):
    rig.groups.identity_host = "http://127.0.0.1:1"
    await rig.running(body={**body(), "identity": {"type": "SystemAssigned"}})
    environment = rig.backend.runs[rig.run()].spec.environment
    assert environment == {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"osType": None}, 400, "InvalidOsType"),
        ({"osType": "Windows"}, 501, "NotImplemented"),
        ({"restartPolicy": "Sometimes"}, 400, "InvalidRestartPolicy"),
        ({"resources": {}}, 400, "ResourceRequestsNotSpecified"),
        ({"resources": {"requests": {"cpu": 99, "memoryInGB": 1}}}, 400, "InvalidResourceRequest"),
        ({"image": " "}, 400, "InvalidContainerImage"),
        ({"containers": []}, 400, "MissingContainers"),
        ({"environmentVariables": [{"name": "A-B", "value": ""}]}, 400, "InvalidEnvironmentVariableName"),
        ({"environmentVariables": [{"name": "A"}]}, 400, "InvalidEnvironmentVariable"),
        ({"imageRegistryCredentials": [{"server": "s"}]}, 400, "AmbiguousImageResitryCredentialType"),
        (
            {"imageRegistryCredentials": [{"server": "s", "identity": "i"}]},
            400,
            "InvalidImageRegistryIdentity",
        ),
        ({"volumes": [{"name": "v", "emptyDir": {}}]}, 501, "NotImplemented"),
        ({"ipAddress": {"type": "Public", "ports": [{"port": 80}]}}, 501, "NotImplemented"),
        ({"subnetIds": [{"id": "s"}]}, 501, "NotImplemented"),
        ({"initContainers": [{"name": "i"}]}, 501, "NotImplemented"),
        ({"priority": "Spot"}, 400, "InvalidPriority"),
        ({"sku": "Confidential"}, 400, "InvalidSku"),
    ],
)
async def test_a_bad_request_is_refused_by_name(rig, body, change, status, code):
    error = refused(rig.put, "one", body(**change))
    assert (error.status, error.code) == (status, code)
    assert rig.groups.list(SUBSCRIPTION) == []


async def test_what_is_not_implemented_is_named(rig, body):
    error = refused(rig.put, "one", body(subnetIds=[{"id": "x"}]))
    assert "'properties.subnetIds'" in error.message
    error = refused(rig.put, "one", {**body(), "zones": ["1"]})
    assert (error.status, "'zones'" in error.message) == (501, True)


async def test_logs_are_there_once_the_container_has_started(rig):
    def logs(**how: Any) -> str:
        return rig.groups.logs(SUBSCRIPTION, GROUP, "one", "c", **how)

    rig.put()
    assert refused(logs).code == "ContainerGroupDeploymentNotReady"
    await rig.clock.settle()
    assert refused(logs).code == "ContainerLogNotAvailable"
    await rig.clock.advance(1)
    stamp = b"2030-01-01T00:00:00.000000Z "
    rig.backend.runs[rig.run()].log = stamp + b"one\n" + stamp + b"two\n" + stamp + b"three"
    assert logs() == "one\ntwo\nthree\n"
    assert logs(tail=2) == "two\nthree\n"
    assert logs(tail=1, timestamps=True) == "2030-01-01T00:00:00.000000Z three\n"
    error = refused(rig.groups.logs, SUBSCRIPTION, GROUP, "one", "other")
    assert (error.status, error.code) == (404, "ContainerNotFound")


async def test_a_group_in_another_region_is_refused(rig, body):
    await rig.running()
    assert refused(rig.put, "one", {**body(), "location": "northeurope"}).code == "InvalidResourceLocation"


@pytest.mark.parametrize("moment", ["pending", "pulling", "running", "finished", "deleting"])
async def test_a_service_started_anew_goes_on_where_the_old_one_was(rig, moment):
    rig.put()
    if moment != "pending":
        await rig.clock.settle()
    if moment in {"running", "finished", "deleting"}:
        await rig.clock.advance(1)
    if moment == "deleting":
        await rig.delete()
    run = rig.run()
    await rig.groups.aclose()
    if moment == "finished":
        rig.backend.finish(run, 3)

    again = ContainerGroups(rig.store, rig.backend, rig.clock)
    again.start_up()
    rig.groups = again
    await rig.clock.advance(1)
    if moment == "deleting":
        assert again.list(SUBSCRIPTION) == []
        return
    if moment == "finished":
        assert rig.view()["currentState"]["exitCode"] == 3
        return
    assert len(rig.backend.runs) == 1
    await rig.finish(0)
    assert rig.properties()["instanceView"]["state"] == "Succeeded"
    assert [each["count"] for each in rig.view()["events"]] == [1, 1, 1, 1]
