"""localazure as a service: Azure Resource Manager, container groups and workflows on this machine.

Should it die, it is started again over the same folder and ports, and goes on where it was.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dayfly_cli.arm import Arm, open_arm
from dayfly_cli.azurite import Azurite
from dayfly_cli.errors import AzureError
from dayfly_cli.processes import Kept, kept, python_environment

#: What stands for the worker's image, named by digest as in production.
WORKER_IMAGE = "dayfly.azurecr.io/worker@sha256:" + "0" * 60 + "1a2b"
WORKER_COMMAND = (sys.executable, "-m", "worker.main")
RESOURCE_GROUP = "dayfly"


@dataclass(frozen=True)
class ControlPlane:
    """A running localazure."""

    arm: str
    arm_ca: Path
    identity_endpoint: str
    identity_header: str = field(repr=False)
    admin: str
    location: str
    resource_group_id: str
    #: A client for it.
    client: Arm
    process: Kept = field(repr=False)


@asynccontextmanager
async def control_plane(
    state: Path, log: Path, storage: Azurite, *, minimum_poll_s: float = 1.0
) -> AsyncIterator[ControlPlane]:
    """Run localazure for as long as the context is open; its containers end with it.

    Args:
        state: its folder.
        log: where its output goes.
        storage: what stands for the storage account.
        minimum_poll_s: the shortest interval of polling triggers that it allows; Azure allows 60.

    Raises:
        ServiceError: it did not come up.
    """
    ready_file = state / "ready.json"
    _prepare(state, ready_file)
    command = _command(state, ready_file, storage, minimum_poll_s)
    # Not an option: the account key would stand in the process list.
    environment = {**python_environment(), "LOCALAZURE_STORAGE": storage.connection_string}
    async with kept("localazure", command, log, env=environment) as process:

        async def told() -> Mapping[str, str] | None:
            return _read(ready_file)

        ready = await process.ready(told)
        group = f"/subscriptions/{ready['subscription_id']}/resourceGroups/{ready['resource_group']}"
        ca = Path(ready["arm_ca"])
        identity = (ready["identity_endpoint"], ready["identity_header"])
        async with open_arm(ready["arm"], ca, *identity, group) as client:
            yield ControlPlane(
                ready["arm"], ca, *identity, ready["admin"], ready["location"], group, client, process
            )
            await _delete_groups(client)


def _command(state: Path, ready_file: Path, storage: Azurite, minimum_poll_s: float) -> Sequence[str]:
    hosts = {
        f"{storage.account}.queue.core.windows.net": storage.queue_endpoint,
        f"{storage.account}.blob.core.windows.net": storage.blob_endpoint,
    }
    return [
        sys.executable,
        *("-m", "localazure", "serve", "--stop-containers"),
        *("--state", str(state), "--ready-file", str(ready_file)),
        *("--resource-group", RESOURCE_GROUP),
        *("--image", f"{WORKER_IMAGE}={shlex.join(WORKER_COMMAND)}"),
        *(word for name, url in hosts.items() for word in ("--host", f"{name}={url}")),
        *("--minimum-poll-seconds", f"{minimum_poll_s:g}"),
    ]


def _prepare(state: Path, ready_file: Path) -> None:
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    ready_file.unlink(missing_ok=True)


def _read(ready_file: Path) -> Mapping[str, str] | None:
    try:
        ready: Mapping[str, str] = json.loads(ready_file.read_text())
    except (OSError, ValueError):
        return None
    return ready


async def _delete_groups(client: Arm) -> None:
    """Delete what still runs, so that the next start does not find groups whose containers are gone."""
    try:
        for group in await client.container_groups():
            await client.delete_container_group(group["name"])
    except AzureError:
        return  # it is being stopped: what it cannot delete ends with it
