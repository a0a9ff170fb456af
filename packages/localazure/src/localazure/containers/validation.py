"""The body of a PUT, checked and put into one form.

What Azure has and localazure has not is refused by name (501), never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from localazure.containers.definitions import GroupDefinition, identity_ids
from localazure.containers.names import check_container_name, check_environment_name
from localazure.errors import ArmError

CONTAINERS_MAX = 60
CORES_MAX = 31.0
MEMORY_GB_MAX = 240.0

RESTART_POLICIES = ("Always", "OnFailure", "Never")

_TOP = {"location", "tags", "identity", "properties", "id", "name", "type"}
_PROPERTIES = {
    "containers",
    "osType",
    "restartPolicy",
    "imageRegistryCredentials",
    "diagnostics",
    "sku",
    "priority",
    "provisioningState",  # read-only, and sent back by clients that PUT what they GOT
    "instanceView",
}
_CONTAINER = {"image", "command", "ports", "environmentVariables", "resources", "instanceView"}
_EMPTY: tuple[Any, ...] = (None, [], {}, "")


def read_definition(name: str, body: Any, *, location: str, subscription_id: str) -> GroupDefinition:
    """Check the body of a PUT.

    Args:
        name: The group's name.
        body: The parsed JSON.
        location: Region of groups that name none.
        subscription_id: Goes into the ids of identities.

    Raises:
        ArmError: 400 with Azure's code for what is wrong, 501 for what localazure does not have.
    """
    if not isinstance(body, dict) or not isinstance(body.get("properties"), dict):
        raise _invalid("InvalidRequestContent", "The request content has no 'properties' object.")
    _refuse_unknown(name, "", body, _TOP)
    given = body["properties"]
    _refuse_unknown(name, "properties.", given, _PROPERTIES)
    identity = _identity(name, body.get("identity"), subscription_id)
    properties: dict[str, Any] = {
        "sku": _choice(name, given, "sku", ("Standard",), "Standard"),
        "priority": _choice(name, given, "priority", ("Regular",), "Regular"),
        "osType": _os_type(name, given.get("osType")),
        "restartPolicy": _choice(name, given, "restartPolicy", RESTART_POLICIES, "Always"),
        "containers": list(_containers(name, given.get("containers"))),
    }
    credentials = _list(given.get("imageRegistryCredentials"), "imageRegistryCredentials")
    if credentials:
        properties["imageRegistryCredentials"] = [_credential(name, each, identity) for each in credentials]
    diagnostics = _object(given.get("diagnostics"), "diagnostics")
    if diagnostics:
        properties["diagnostics"] = diagnostics
    definition = GroupDefinition(
        str(body.get("location") or location).lower(), _tags(body), identity, properties
    )
    if definition.cores > CORES_MAX:
        raise _invalid(
            "InvalidResourceRequest",
            f"Container group '{name}' asks for {definition.cores:g} cores; the most is {CORES_MAX:g}.",
        )
    return definition


def read_tags(body: Any) -> dict[str, str]:
    """Return the tags of a PATCH's body, which may hold nothing else.

    Raises:
        ArmError: 400 InvalidRequestContent.
    """
    if not isinstance(body, dict) or not set(body) <= {"tags", "location", "id", "name", "type", "zones"}:
        raise _invalid("InvalidRequestContent", "A PATCH of a container group changes its 'tags' alone.")
    return _tags(body)


def _invalid(code: str, message: str) -> ArmError:
    return ArmError(400, code, message)


def _object(value: Any, where: str) -> dict[str, Any]:
    """Return a JSON object, empty for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _invalid("InvalidRequestContent", f"'{where}' must be an object, not {value!r}.")
    return value


def _list(value: Any, where: str) -> list[Any]:
    """Return a JSON array, empty for null."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _invalid("InvalidRequestContent", f"'{where}' must be an array, not {value!r}.")
    return value


def _refuse_unknown(group: str, where: str, value: Mapping[str, Any], known: set[str]) -> None:
    for key, content in value.items():
        if key not in known and content not in _EMPTY:
            raise ArmError(
                501,
                "NotImplemented",
                f"localazure does not implement '{where}{key}' of container groups (group '{group}').",
            )


def _choice(group: str, given: Mapping[str, Any], key: str, values: tuple[str, ...], default: str) -> str:
    value = given.get(key) or default
    for each in values:
        if isinstance(value, str) and value.lower() == each.lower():
            return each
    code = "Invalid" + key[0].upper() + key[1:]
    raise _invalid(
        code,
        f"The '{key}' for container group '{group}' is invalid: '{value}'. The value must be one of"
        f" '{','.join(values)}'.",
    )


def _os_type(group: str, value: Any) -> str:
    match str(value).lower():
        case "linux":
            return "Linux"
        case "windows":
            raise ArmError(
                501, "NotImplemented", "localazure runs no Windows containers: osType must be Linux."
            )
        case _:
            raise _invalid(
                "InvalidOsType",
                f"The 'osType' for container group '{group}' is invalid. The value must be one of"
                " 'Windows,Linux'.",
            )


def _tags(body: Mapping[str, Any]) -> dict[str, str]:
    tags = _object(body.get("tags"), "tags")
    if not all(isinstance(value, str) for value in tags.values()):
        raise _invalid("InvalidRequestContent", "'tags' must be an object of strings.")
    return dict(tags)


def _identity(group: str, value: Any, subscription_id: str) -> dict[str, Any] | None:
    value = _object(value, "identity")
    if not value or value.get("type") == "None":
        return None
    kinds = {part.strip().lower() for part in str(value.get("type", "")).split(",")}
    if not kinds <= {"systemassigned", "userassigned"}:
        raise _invalid(
            "InvalidIdentityType", f"The identity type '{value.get('type')}' of '{group}' is invalid."
        )
    tenant = str(uuid5(NAMESPACE_URL, f"tenant/{subscription_id}"))
    identity: dict[str, Any] = {"type": value["type"]}
    if "systemassigned" in kinds:
        identity |= {
            "principalId": str(uuid5(NAMESPACE_URL, f"{subscription_id}/{group}")),
            "tenantId": tenant,
        }
    if "userassigned" in kinds:
        ids = _object(value.get("userAssignedIdentities"), "userAssignedIdentities")
        if not ids:
            raise _invalid(
                "InvalidUserAssignedIdentities",
                f"The identity of container group '{group}' is UserAssigned and names no identity.",
            )
        identity["userAssignedIdentities"] = {each: identity_ids(each) for each in ids}
    return identity


def _credential(group: str, value: Any, identity: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(value, dict) or not value.get("server"):
        raise _invalid(
            "InvalidImageRegistryCredential",
            f"An entry of 'imageRegistryCredentials' of container group '{group}' names no server.",
        )
    if bool(value.get("username")) == bool(value.get("identity")):
        raise _invalid(
            "AmbiguousImageResitryCredentialType",  # spelled so by Azure
            f"The registry credential type in the 'imageRegistryCredentials' of container group '{group}'"
            " cannot be detected. Please set exactly one of username or identity",
        )
    listed = {each.lower() for each in (identity or {}).get("userAssignedIdentities", {})}
    if value.get("identity") and str(value["identity"]).lower() not in listed:
        raise _invalid(
            "InvalidImageRegistryIdentity",
            f"The identity in the 'imageRegistryCredentials' of container group '{group}' not found in"
            " container group identity list.",
        )
    return dict(value)


def _containers(group: str, value: Any) -> Iterator[dict[str, Any]]:
    value = _list(value, "containers")
    if not value:
        raise _invalid("MissingContainers", f"Container group '{group}' has no containers.")
    if len(value) > CONTAINERS_MAX:
        raise _invalid(
            "ContainerGroupTooManyContainers",
            f"Container group '{group}' has {len(value)} containers; the most is {CONTAINERS_MAX}.",
        )
    names: set[str] = set()
    for each in value:
        name = str(_object(each, "containers").get("name", ""))
        check_container_name(group, name)
        if name in names:
            raise _invalid(
                "DuplicateContainerName", f"Container group '{group}' has two containers named '{name}'."
            )
        names.add(name)
        properties = _object(each.get("properties"), f"containers['{name}'].properties")
        yield {"name": name, "properties": _container(group, name, properties)}


def _container(group: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_unknown(group, f"containers['{name}'].properties.", given, _CONTAINER)
    image = given.get("image")
    if not isinstance(image, str) or not image.strip():
        raise _invalid(
            "InvalidContainerImage",
            f"The image of container '{name}' in container group '{group}' is missing.",
        )
    return {
        "image": image,
        "command": [str(part) for part in _list(given.get("command"), "command")],
        "ports": _list(given.get("ports"), "ports"),
        "environmentVariables": _environment(
            group, name, _list(given.get("environmentVariables"), "environmentVariables")
        ),
        "resources": _resources(group, name, _object(given.get("resources"), "resources")),
    }


def _environment(group: str, container: str, given: list[Any]) -> list[dict[str, Any]]:
    names: set[str] = set()
    variables = []
    for each in given:
        name = str(_object(each, "environmentVariables").get("name", ""))
        check_environment_name(group, container, name)
        values = [key for key in ("value", "secureValue") if each.get(key) is not None]
        if len(values) != 1 or name in names:
            wrong = "is set twice" if name in names else "needs either 'value' or 'secureValue'"
            raise _invalid(
                "InvalidEnvironmentVariable",
                f"The environment variable '{name}' in container '{container}' of container group '{group}'"
                f" {wrong}.",
            )
        names.add(name)
        variables.append({"name": name, values[0]: str(each[values[0]])})
    return variables


def _resources(group: str, container: str, given: Mapping[str, Any]) -> dict[str, Any]:
    requests = _object(given.get("requests"), "resources.requests")
    limits = _object(given.get("limits"), "resources.limits")
    if requests.get("gpu") or limits.get("gpu"):
        raise ArmError(501, "NotImplemented", f"localazure has no GPUs (container '{container}').")
    try:
        cpu, memory_gb = float(requests["cpu"]), float(requests["memoryInGB"])
    except (KeyError, TypeError, ValueError):
        raise _invalid(
            "ResourceRequestsNotSpecified",
            f"The resource requests are not specified in container '{container}' of contain group '{group}'."
            " Both memory and CPU requests are required since API version '2017-07-01-preview'.",
        ) from None
    if not (0 < cpu <= CORES_MAX and 0 < memory_gb <= MEMORY_GB_MAX):
        raise _invalid(
            "InvalidResourceRequest",
            f"Container '{container}' of container group '{group}' asks for {cpu:g} CPU and {memory_gb:g} GB;"
            f" possible are up to {CORES_MAX:g} CPU and {MEMORY_GB_MAX:g} GB.",
        )
    resources: dict[str, Any] = {"requests": {"memoryInGB": memory_gb, "cpu": cpu}}
    if limits:
        resources["limits"] = limits
    return resources
