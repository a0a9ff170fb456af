"""The workflows of `infra/workflows`, put on a laptop as they are put on Azure.

The definitions are the very files. What differs is in the parameters, and in the one literal that cannot be a
parameter: how many containers may run at once.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dayfly_cli.clients import Client
from dayfly_cli.control_plane import WORKER_IMAGE, ControlPlane
from dayfly_cli.errors import InputError, SetupError

HOUSEKEEPER = "dayfly-housekeeper"
_FOLDER = Path("infra") / "workflows"
_SECRET_SUFFIXES = ("_KEY", "_SECRET", "_CONNECTION_STRING")
#: A laptop's containers start at once, so there is no reason to wait as long as for Azure's.
_WAIT_S = 1
_GIVE_BACK_S = 5
#: What a poll hid that died with localazure shows again after this. On Azure it is an hour.
_HIDE_S = 300
_TASK_S = 1800


def find_definition(name: str, start: Path | None = None) -> dict[str, Any]:
    """Return a workflow definition by its file name without `.json`.

    Looked for in `infra/workflows` of `start` (None = the current folder) and the folders above it, then of
    the project that this package is part of.

    Raises:
        SetupError: it is nowhere, or it is no JSON.
    """
    places = [start or Path.cwd(), *(start or Path.cwd()).parents, *Path(__file__).resolve().parents]
    for candidate in (place / _FOLDER / f"{name}.json" for place in places):
        if candidate.is_file():
            try:
                definition: dict[str, Any] = json.loads(candidate.read_text())
            except ValueError as exc:
                raise SetupError(f"{candidate} is no JSON: {exc}") from exc
            return definition
    raise SetupError(f"{_FOLDER / name}.json is not to be found: run the command inside the project")


def launcher(
    definition: Mapping[str, Any],
    plane: ControlPlane,
    client: Client,
    account: str,
    worker: Mapping[str, str],
    *,
    enabled: bool,
    poll_s: int,
    max_containers: int,
) -> dict[str, Any]:
    """Return the body of the request that puts a client's launcher.

    Args:
        definition: what `find_definition` gave.
        plane: where it will run.
        client: whose queue it serves.
        account: the storage account's name.
        worker: the environment of the worker's container.
        enabled: whether its trigger polls.
        poll_s: seconds between two polls.
        max_containers: how many containers may run at once.
    """
    parameters = {
        "$connections": {"azurequeues": _connection(plane)},
        "clientId": client.client_id,
        **_endpoints(plane, account),
        "storageAccountName": account,
        "blobEndpoint": f"https://{account}.blob.core.windows.net",
        "location": plane.location,
        "image": WORKER_IMAGE,
        "environment": [
            {"name": name, "value": value} for name, value in worker.items() if not _secret(name)
        ],
        "secureEnvironment": {
            "variables": [
                {"name": name, "secureValue": value} for name, value in worker.items() if _secret(name)
            ]
        },
        # All clocks follow from how long a task may take; the launcher tells it to the container.
        "taskSeconds": _task_s(worker),
        "hideSeconds": _HIDE_S,
        "pollSeconds": poll_s,
        "waitSeconds": _WAIT_S,
        "giveBackSeconds": _GIVE_BACK_S,
    }
    return _workflow(_with_runs(definition, max_containers), plane, parameters, enabled=enabled)


def housekeeper(
    definition: Mapping[str, Any],
    plane: ControlPlane,
    clients: Sequence[Client],
    account: str,
    worker: Mapping[str, str],
) -> dict[str, Any]:
    """Return the body of the request that puts the housekeeper.

    Args:
        definition: what `find_definition` gave.
        plane: where it will run.
        clients: whose queues it watches.
        account: the storage account's name.
        worker: the environment of a worker, which says how long a task may take.
    """
    parameters = {
        **_endpoints(plane, account),
        "clients": [client.client_id for client in clients],
        "taskSeconds": _task_s(worker),
    }
    return _workflow(definition, plane, parameters, enabled=True)


def _endpoints(plane: ControlPlane, account: str) -> dict[str, Any]:
    return {
        "queueEndpoint": f"https://{account}.queue.core.windows.net",
        "armEndpoint": "https://management.azure.com",
        "resourceGroupId": plane.resource_group_id,
    }


def _connection(plane: ControlPlane) -> dict[str, Any]:
    subscription = plane.resource_group_id.partition("/resourceGroups/")[0]
    api = f"{subscription}/providers/Microsoft.Web/locations/{plane.location}/managedApis/azurequeues"
    return {
        "connectionId": f"{plane.resource_group_id}/providers/Microsoft.Web/connections/azurequeues",
        "connectionName": "azurequeues",
        "connectionProperties": {"authentication": {"type": "ManagedServiceIdentity"}},
        "id": api,
    }


def _with_runs(definition: Mapping[str, Any], max_containers: int) -> dict[str, Any]:
    changed = copy.deepcopy(dict(definition))
    for trigger in changed["triggers"].values():
        trigger["runtimeConfiguration"]["concurrency"]["runs"] = max_containers
    return changed


def _task_s(worker: Mapping[str, str]) -> int:
    text = worker.get("WORKER_TASK_TIMEOUT", str(_TASK_S))
    try:
        return max(1, round(float(text)))
    except ValueError as exc:
        raise InputError(f"WORKER_TASK_TIMEOUT should be a number of seconds, but is {text!r}") from exc


def _secret(name: str) -> bool:
    return name.endswith(_SECRET_SUFFIXES)


def _workflow(
    definition: Mapping[str, Any], plane: ControlPlane, parameters: Mapping[str, Any], *, enabled: bool
) -> dict[str, Any]:
    return {
        "location": plane.location,
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "state": "Enabled" if enabled else "Disabled",
            "definition": definition,
            "parameters": {name: {"value": value} for name, value in parameters.items()},
        },
    }
