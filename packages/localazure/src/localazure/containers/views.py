"""Container groups as ARM shows them. Secrets stay behind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localazure.containers.definitions import GroupDefinition
from localazure.containers.shim import STAMP_BYTES
from localazure.containers.states import ContainerRecord, ContainerState, GroupRecord

RESOURCE_TYPE = "Microsoft.ContainerInstance/containerGroups"

#: The most an answer to a request for logs holds.
LOG_BYTES_MAX = 4 * 1024 * 1024


def resource_id(record: GroupRecord) -> str:
    """Return a group's resource id."""
    return (
        f"/subscriptions/{record.subscription_id}/resourceGroups/{record.resource_group}"
        f"/providers/{RESOURCE_TYPE}/{record.name}"
    )


def group_json(definition: GroupDefinition, record: GroupRecord, *, instance_view: bool) -> dict[str, Any]:
    """Return a group as a GET has it; without `instance_view` as a list has it."""
    properties = {
        **definition.properties,
        "provisioningState": record.provisioning_state,
        "containers": [
            _container(each, record.container(each["name"]) if instance_view and _seen(record) else None)
            for each in definition.properties["containers"]
        ],
    }
    if "imageRegistryCredentials" in properties:
        properties["imageRegistryCredentials"] = [
            {key: value for key, value in each.items() if key != "password"}
            for each in properties["imageRegistryCredentials"]
        ]
    if "diagnostics" in properties:
        properties["diagnostics"] = _without(properties["diagnostics"], "workspaceKey")
    if instance_view:
        properties["instanceView"] = {"events": [], "state": record.state(definition.restart_policy)}
    shown: dict[str, Any] = {
        "id": resource_id(record),
        "name": record.name,
        "type": RESOURCE_TYPE,
        "location": definition.location,
        "tags": dict(definition.tags),
        "properties": properties,
    }
    if definition.identity is not None:
        shown["identity"] = definition.identity
    return shown


def _seen(record: GroupRecord) -> bool:
    """Whether anything is known of the containers: not before the group is being created."""
    return record.provisioning_state != "Pending"


def _without(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(each, key) for name, each in value.items() if name != key}
    return value


def _container(definition: Mapping[str, Any], record: ContainerRecord | None) -> dict[str, Any]:
    properties = dict(definition["properties"])
    properties["environmentVariables"] = [
        {key: value for key, value in each.items() if key != "secureValue"}
        for each in properties["environmentVariables"]
    ]
    if record is not None:
        properties["instanceView"] = _instance_view(record)
    return {"name": definition["name"], "properties": properties}


def _instance_view(record: ContainerRecord) -> dict[str, Any]:
    view: dict[str, Any] = {"restartCount": record.restart_count, "currentState": _state(record.current)}
    if record.previous is not None:
        view["previousState"] = _state(record.previous)
    view["events"] = [
        {
            "count": event.count,
            "firstTimestamp": iso(event.first),
            "lastTimestamp": iso(event.last),
            "name": event.name,
            "message": event.message,
            "type": event.type,
        }
        for event in record.events
    ]
    return view


def _state(state: ContainerState) -> dict[str, Any]:
    shown: dict[str, Any] = {"state": state.state, "detailStatus": state.detail_status}
    if state.start_time is not None:
        shown["startTime"] = iso(state.start_time)
    if state.state == "Terminated":
        shown["exitCode"] = state.exit_code
        if state.finish_time is not None:
            shown["finishTime"] = iso(state.finish_time)
    return shown


def iso(when: datetime) -> str:
    """Write a time as ARM does."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log_text(stamped: bytes, *, tail: int | None, timestamps: bool) -> str:
    """Turn a backend's log into the answer to a request for logs.

    Args:
        stamped: Lines led by their times.
        tail: How many lines from the end; None means all there are.
        timestamps: Whether the times stay.
    """
    lines = stamped.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    if tail is not None:
        lines = lines[max(0, len(lines) - tail) :]
    shown = lines if timestamps else [line[STAMP_BYTES:] for line in lines]
    text = b"\n".join(shown) + b"\n" if shown else b""
    return text[-LOG_BYTES_MAX:].decode("utf-8", errors="replace")
