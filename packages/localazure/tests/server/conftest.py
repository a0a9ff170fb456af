"""A whole server in this process, and Azure's own SDK in front of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from azure.core.credentials import AccessToken
from azure.mgmt.containerinstance.aio import ContainerInstanceManagementClient
from azure.mgmt.containerinstance.models import (
    Container,
    ContainerGroup,
    EnvironmentVariable,
    ResourceRequests,
    ResourceRequirements,
)
from localazure.clock import SystemClock
from localazure.containers.images import ImageMapping
from localazure.server.serving import running
from localazure.server.settings import ServerSettings

RESOURCE_GROUP = "localazure"
SHELL = ImageMapping("shell", ("/bin/sh", "-c"))
PYTHON = ImageMapping("python", (sys.executable,))


class FixedCredential:
    """A token that was fetched before."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        return


@dataclass
class Served:
    """What a test needs of a server."""

    ready: dict[str, Any]
    token: str
    sdk: ContainerInstanceManagementClient
    http: httpx.AsyncClient

    @property
    def groups_path(self) -> str:
        return (
            f"/subscriptions/{self.ready['subscription_id']}/resourceGroups/{RESOURCE_GROUP}"
            "/providers/Microsoft.ContainerInstance/containerGroups"
        )

    async def arm(self, method: str, path: str, **how: Any) -> httpx.Response:
        params = {"api-version": "2023-05-01", **how.pop("params", {})}
        return await self.http.request(method, path, params=params, **how)

    async def deploy(self, name: str, group: ContainerGroup) -> ContainerGroup:
        """PUT a group and wait until it is provisioned."""
        poller = await self.sdk.container_groups.begin_create_or_update(RESOURCE_GROUP, name, group)
        return await poller.result()

    async def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, f"/_admin/{path}", json=body)

    async def state(self, name: str, wanted: str) -> Any:
        """Wait until a group's container is in a state; return the container."""
        async with asyncio.timeout(15):
            while True:
                group = await self.sdk.container_groups.get(RESOURCE_GROUP, name)
                view = group.containers[0].instance_view
                if view is not None and view.current_state.state == wanted:
                    return group.containers[0]
                await asyncio.sleep(0.02)


def group_of(script: str, **environment: str) -> ContainerGroup:
    """A group of one container that runs a shell script."""
    return ContainerGroup(
        location="westeurope",
        os_type="Linux",
        restart_policy="Never",
        containers=[
            Container(
                name="c",
                image="shell:1",
                command=["/bin/sh", "-c", script],
                resources=ResourceRequirements(requests=ResourceRequests(cpu=1, memory_in_gb=1)),
                environment_variables=[
                    EnvironmentVariable(name=name, secure_value=value) for name, value in environment.items()
                ],
            )
        ],
    )


async def fetch_token(ready: dict[str, Any], resource: str = "https://management.azure.com/") -> str:
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            ready["identity_endpoint"],
            params={"api-version": "2019-08-01", "resource": resource},
            headers={"X-IDENTITY-HEADER": ready["identity_header"]},
        )
    token: str = answer.raise_for_status().json()["access_token"]
    return token


async def connect(ready: dict[str, Any]) -> Served:
    token = await fetch_token(ready)
    sdk = ContainerInstanceManagementClient(
        FixedCredential(token),
        ready["subscription_id"],
        base_url=ready["arm"],
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=ready["arm_ca"],
        polling_interval=0.05,
        retry_total=0,
    )
    http = httpx.AsyncClient(
        base_url=ready["arm"],
        verify=ssl.create_default_context(cafile=ready["arm_ca"]),
        headers={"Authorization": f"Bearer {token}"},
    )
    return Served(ready, token, sdk, http)


async def disconnect(served: Served) -> None:
    await served.sdk.close()
    await served.http.aclose()


def listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


@pytest.fixture
def shell_group() -> Callable[..., ContainerGroup]:
    return group_of


@pytest.fixture
def connected() -> Callable[[dict[str, Any]], Awaitable[Served]]:
    return connect


@pytest.fixture
def disconnected() -> Callable[[Served], Awaitable[None]]:
    return disconnect


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One server for all tests of a module."""
    state = tmp_path_factory.mktemp("state")
    settings = ServerSettings(
        state=state,
        images=(SHELL, PYTHON),
        resource_groups=(RESOURCE_GROUP, "other"),
        stop_containers=True,
    )
    with listening() as arm, listening() as tokens:
        async with running(settings, state, SystemClock(), arm, tokens) as ready:
            served = await connect(ready)
            yield served
            await disconnect(served)


@pytest_asyncio.fixture(loop_scope="module")
async def served(server: Served) -> AsyncIterator[Served]:
    """The server, as new after each test."""
    yield server
    await server.admin("DELETE", "faults")
    await server.admin("DELETE", "quotas")
    await server.admin("PUT", "identity", {"not_ready_s": 0})
    for group in [each async for each in server.sdk.container_groups.list()]:
        await (await server.sdk.container_groups.begin_delete(RESOURCE_GROUP, group.name)).result()
