"""What a container group is to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from localazure.containers.backend import RunSpec


@dataclass(frozen=True)
class GroupDefinition:
    """A container group as asked for.

    Attributes:
        location: Azure region.
        tags: Tags.
        identity: The `identity` object with the ids Azure adds, None without identity.
        properties: `osType`, `restartPolicy`, `sku`, `priority`, `containers`, and where given
            `imageRegistryCredentials` and `diagnostics`. Holds secrets.
    """

    location: str
    tags: Mapping[str, str]
    identity: Mapping[str, Any] | None
    properties: Mapping[str, Any]

    @property
    def restart_policy(self) -> str:
        """`Always`, `OnFailure` or `Never`."""
        return str(self.properties["restartPolicy"])

    @property
    def cores(self) -> float:
        """Cores asked for by all containers."""
        return sum(
            float(each["properties"]["resources"]["requests"]["cpu"])
            for each in self.properties["containers"]
        )

    @property
    def containers(self) -> list[str]:
        """The containers' names, in order."""
        return [str(each["name"]) for each in self.properties["containers"]]

    def run_spec(self, container: str, given: Mapping[str, str]) -> RunSpec:
        """Return what to execute for a container; the group's own variables win over `given`."""
        properties = next(
            each["properties"] for each in self.properties["containers"] if each["name"] == container
        )
        requests = properties["resources"]["requests"]
        own = {
            each["name"]: str(each["value"] if "value" in each else each["secureValue"])
            for each in properties["environmentVariables"]
        }
        return RunSpec(
            image=properties["image"],
            command=tuple(properties["command"]),
            environment={**given, **own},
            cpu=float(requests["cpu"]),
            memory_gb=float(requests["memoryInGB"]),
        )

    def with_tags(self, tags: Mapping[str, str]) -> GroupDefinition:
        """Return the same with other tags."""
        return replace(self, tags=dict(tags))

    def fixed(self) -> dict[str, Any]:
        """Return what cannot be changed while the group runs, by Azure's words for it."""
        return {
            "OsType": self.properties["osType"],
            "RestartPolicy": self.properties["restartPolicy"],
            "Containers": sorted(
                (
                    each["name"],
                    *(each["properties"]["resources"]["requests"][key] for key in ("cpu", "memoryInGB")),
                )
                for each in self.properties["containers"]
            ),
        }

    def to_json(self) -> dict[str, Any]:
        """Return it whole, secrets included, to be kept."""
        return {
            "location": self.location,
            "tags": dict(self.tags),
            "identity": self.identity,
            "properties": dict(self.properties),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GroupDefinition:
        """Read what `to_json` wrote."""
        return cls(value["location"], value["tags"], value["identity"], value["properties"])


def identity_ids(resource_id: str) -> dict[str, str]:
    """Return the client and principal id that stand for a user-assigned identity here, always the same."""
    lowered = resource_id.lower()
    return {
        "principalId": str(uuid5(NAMESPACE_URL, f"principal{lowered}")),
        "clientId": str(uuid5(NAMESPACE_URL, f"client{lowered}")),
    }
