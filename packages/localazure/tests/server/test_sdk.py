"""Azure's own SDK drives container groups over https."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.containerinstance.models import ContainerExecRequest, Resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "localazure"


async def test_a_group_from_creation_to_deletion(served, shell_group):
    groups = served.sdk.container_groups
    created = await served.deploy("job-1", shell_group("echo hello $WHO; exit 3", WHO="you"))
    assert created.provisioning_state == "Succeeded"
    assert created.id.endswith("/providers/Microsoft.ContainerInstance/containerGroups/job-1")

    container = await served.state("job-1", "Terminated")
    current = container.instance_view.current_state
    assert (current.exit_code, current.detail_status) == (3, "Error")
    assert current.finish_time >= current.start_time
    events = [event.name for event in container.instance_view.events]
    assert events == ["Pulling", "Pulled", "Created", "Started"]
    assert container.environment_variables[0].secure_value is None
    assert (await groups.get(GROUP, "job-1")).instance_view.state == "Failed"

    logs = await served.sdk.containers.list_logs(GROUP, "job-1", "c", tail=10)
    assert logs.content == "hello you\n"

    deleted = await (await groups.begin_delete(GROUP, "job-1")).result()
    assert deleted.name == "job-1"
    with pytest.raises(ResourceNotFoundError):
        await groups.get(GROUP, "job-1")


async def test_deleting_a_running_group_is_an_operation_that_the_sdk_waits_for(served, shell_group):
    groups = served.sdk.container_groups
    await served.deploy("job-2", shell_group("sleep 600"))
    poller = await groups.begin_delete(GROUP, "job-2")
    await poller.result()
    with pytest.raises(ResourceNotFoundError) as caught:
        await groups.get(GROUP, "job-2")
    assert caught.value.error.code == "ResourceNotFound"
    await groups.begin_delete(GROUP, "job-2")


async def test_lists_usages_and_tags(served, shell_group):
    groups = served.sdk.container_groups
    await served.deploy("job-3", shell_group("sleep 600"))
    await groups.update(GROUP, "job-3", Resource(tags={"kind": "test"}))
    by_group = [group async for group in groups.list_by_resource_group(GROUP)]
    everywhere = [group async for group in groups.list()]
    assert [(group.name, group.tags, group.instance_view) for group in by_group] == [
        ("job-3", {"kind": "test"}, None)
    ]
    assert len(everywhere) == 1
    usages = {usage.name.value: usage async for usage in served.sdk.location.list_usage("westeurope")}
    assert (usages["ContainerGroups"].current_value, usages["ContainerGroups"].limit) == (1, 100)
    assert usages["StandardCores"].current_value == 1


async def test_stop_start_and_restart(served, shell_group):
    groups = served.sdk.container_groups
    await served.deploy("job-4", shell_group("sleep 600"))
    await groups.stop(GROUP, "job-4")
    assert (await groups.get(GROUP, "job-4")).instance_view.state == "Stopped"
    await (await groups.begin_start(GROUP, "job-4")).result()
    assert (await groups.get(GROUP, "job-4")).instance_view.state == "Running"
    await (await groups.begin_restart(GROUP, "job-4")).result()
    await served.state("job-4", "Running")


async def test_what_is_not_implemented_says_so(served, shell_group):
    await served.deploy("j", shell_group("exit 0"))
    with pytest.raises(HttpResponseError) as caught:
        await served.sdk.containers.execute_command(GROUP, "j", "c", ContainerExecRequest(command="/bin/sh"))
    assert (caught.value.status_code, caught.value.error.code) == (501, "NotImplemented")
    with pytest.raises(HttpResponseError, match="attach"):
        await served.sdk.containers.attach(GROUP, "j", "c")


async def test_an_error_has_azures_code(served, shell_group):
    with pytest.raises(HttpResponseError) as caught:
        await served.sdk.container_groups.begin_create_or_update(GROUP, "Bad_Name", shell_group("exit 0"))
    assert (caught.value.status_code, caught.value.error.code) == (400, "InvalidContainerGroupName")
