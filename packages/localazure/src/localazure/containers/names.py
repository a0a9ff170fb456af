"""What things may be called (ACI's troubleshooting page, "Naming rules", read 2026-07-25)."""

from __future__ import annotations

import re

from localazure.errors import ArmError

NAME_MAX = 63
ENVIRONMENT_NAME_MAX = 63

_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9])*", re.ASCII)
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RULE = (
    f"1 to {NAME_MAX} lowercase letters, digits and hyphens; no hyphen first, last or after another hyphen"
)


def is_name(name: str) -> bool:
    """Whether a group or container may be called so."""
    return len(name) <= NAME_MAX and _NAME.fullmatch(name) is not None


def is_environment_name(name: str) -> bool:
    """Whether an environment variable may be called so."""
    return len(name) <= ENVIRONMENT_NAME_MAX and _ENVIRONMENT_NAME.fullmatch(name) is not None


def check_group_name(name: str) -> None:
    """Refuse a container group name that Azure refuses.

    Raises:
        ArmError: 400 InvalidContainerGroupName.
    """
    if not is_name(name):
        raise ArmError(
            400,
            "InvalidContainerGroupName",
            f"The container group name '{name}' is invalid. A valid name has {_RULE}.",
        )


def check_container_name(group: str, name: str) -> None:
    """Refuse a container name that Azure refuses.

    Raises:
        ArmError: 400 InvalidContainerName.
    """
    if not is_name(name):
        raise ArmError(
            400,
            "InvalidContainerName",
            f"The container name '{name}' in container group '{group}' is invalid. A valid name has {_RULE}.",
        )


def check_environment_name(group: str, container: str, name: str) -> None:
    """Refuse the name of an environment variable that Azure refuses.

    Raises:
        ArmError: 400 InvalidEnvironmentVariableName.
    """
    if not is_environment_name(name):
        raise ArmError(
            400,
            "InvalidEnvironmentVariableName",
            f"The environment variable name '{name}' in container '{container}' of container group '{group}'"
            " is invalid. A valid environment variable name has 1 to"
            f" {ENVIRONMENT_NAME_MAX} alphanumeric characters or '_' and does not begin with a digit.",
        )
