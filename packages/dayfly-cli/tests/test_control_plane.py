import asyncio
import os
import signal
from pathlib import Path

import pytest
from dayfly_cli.azurite import azurite
from dayfly_cli.control_plane import WORKER_IMAGE, control_plane
from dayfly_cli.errors import AzureError


async def test_localazure_answers_is_started_again_when_it_is_killed_and_stops_without_a_trace(
    packages: Path, tmp_path: Path, refuses, processes_of
) -> None:
    state = tmp_path / "localazure"
    async with (
        azurite(packages, tmp_path / "azurite.log", location=None) as account,
        control_plane(state, tmp_path / "localazure.log", account) as plane,
    ):
        assert await plane.client.container_groups() == []
        with pytest.raises(AzureError, match=r"ARM refused PUT .*workflows/none: 4"):
            await plane.client.put_workflow("none", {"location": plane.location})

        killed = plane.process.current
        assert killed is not None
        os.kill(killed.pid, signal.SIGKILL)
        async with asyncio.timeout(15):
            while True:
                try:
                    # At the same address, with the same keys.
                    assert await plane.client.container_groups() == []
                    break
                except AzureError:
                    await asyncio.sleep(0.05)
        assert plane.process.starts == 1
    assert refuses(plane.arm)
    assert refuses(plane.identity_endpoint)
    assert processes_of(state) == []


async def test_containers_end_with_it(packages: Path, tmp_path: Path, processes_of) -> None:
    state = tmp_path / "localazure"
    container = {
        "name": "worker",
        "properties": {
            "image": WORKER_IMAGE,
            "command": ["/bin/sh", "-c", f"sleep 600; : {tmp_path}"],
            "resources": {"requests": {"cpu": 1, "memoryInGB": 1}},
        },
    }
    body = {"location": "westeurope", "properties": {"osType": "Linux", "containers": [container]}}
    async with (
        azurite(packages, tmp_path / "azurite.log", location=None) as account,
        control_plane(state, tmp_path / "localazure.log", account) as plane,
    ):
        await plane.client.put_container_group("stays", body)
        async with asyncio.timeout(15):
            while not any("sleep 600" in line for line in processes_of(tmp_path)):
                await asyncio.sleep(0.05)
        [group] = await plane.client.container_groups()
        assert group["name"] == "stays"
    assert processes_of(tmp_path) == []
