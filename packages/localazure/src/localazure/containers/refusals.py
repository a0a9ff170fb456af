"""What Azure answers when an operation on a container group cannot be done."""

from __future__ import annotations

from localazure.containers.definitions import GroupDefinition
from localazure.containers.views import RESOURCE_TYPE
from localazure.errors import ArmError


def not_found(resource_group: str, name: str) -> ArmError:
    """There is no such group."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{RESOURCE_TYPE}/{name}' under resource group '{resource_group}' was not found. For"
        " more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def elsewhere(resource_group: str, name: str, present: str, wanted: str) -> ArmError:
    """The group lives in another region."""
    return ArmError(
        409,
        "InvalidResourceLocation",
        f"The resource '{name}' already exists in location '{present}' in resource group '{resource_group}'."
        f" A resource with the same name cannot be created in location '{wanted}'. Please select a new"
        " resource name.",
    )


def transitioning(name: str) -> ArmError:
    """Another operation is under way."""
    return ArmError(
        409,
        "ContainerGroupTransitioning",
        f"The container group '{name}' is still transitioning, please retry later.",
    )


def no_container(name: str, container: str) -> ArmError:
    """The group has no such container."""
    return ArmError(
        404, "ContainerNotFound", f"Container '{container}' is not found in container group '{name}'."
    )


def not_ready(name: str) -> ArmError:
    """The group has not been placed yet."""
    return ArmError(
        409, "ContainerGroupDeploymentNotReady", f"The container group '{name}' is not ready yet."
    )


def no_log(name: str, container: str) -> ArmError:
    """The container has not started yet."""
    return ArmError(
        404,
        "ContainerLogNotAvailable",
        f"Log of container '{container}' in container group '{name}' is not available yet. Please check"
        " container 'InstanceView' for more information or retry later.",
    )


def check_fixed(name: str, present: GroupDefinition, wanted: GroupDefinition) -> None:
    """Refuse to change what cannot be changed while a group runs.

    Raises:
        ArmError: 400 InvalidContainerGroupUpdate, naming what differs.
    """
    before, after = present.fixed(), wanted.fixed()
    changed = [key for key in before if before[key] != after[key]]
    if changed:
        raise ArmError(
            400,
            "InvalidContainerGroupUpdate",
            f"The updates on container group '{name}' are invalid. If you are going to update the os type,"
            " restart policy, network profile, CPU, memory or GPU resources for a container group, you must"
            f" delete it first and then create a new one. Changed: {', '.join(changed)}.",
        )
