"""What `localazure serve` is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from localazure.containers.images import ImageMapping

DEFAULT_SUBSCRIPTION_ID = "00000000-0000-0000-0000-000000000001"
DEFAULT_RESOURCE_GROUP = "localazure"
DEFAULT_LOCATION = "westeurope"


@dataclass(frozen=True)
class ServerSettings:
    """Everything a server is started with.

    Attributes:
        state: Folder for all that lasts: databases, keys, certificates, containers.
        host_name: Address to listen on.
        port: Port of ARM; 0 takes the one of last time, or any free one.
        identity_port: Port of the token endpoint; 0 as above.
        images: Which command stands for which image.
        storage: Connection strings of the storage accounts that workflows may use. Secret.
        hosts: `NAME=URL`: which of Azure's host names is where, for requests of workflows.
        minimum_poll_s: Shortest interval of polling connector triggers, in seconds.
        subscription_id: The one subscription there is.
        resource_groups: The resource groups there are, the first one being the one announced.
        location: The one region there is.
        start_s: How long provisioning a container group takes at least, in seconds.
        identity_not_ready_s: For so long the token endpoint drops connections after the start, in seconds.
        ready_file: Where to write what is printed when everything is up; None = nowhere.
        stop_containers: Whether containers end with the server.
    """

    state: Path
    host_name: str = "127.0.0.1"
    port: int = 0
    identity_port: int = 0
    images: tuple[ImageMapping, ...] = ()
    storage: tuple[str, ...] = field(default=(), repr=False)
    hosts: tuple[str, ...] = ()
    minimum_poll_s: float = 60.0
    subscription_id: str = DEFAULT_SUBSCRIPTION_ID
    resource_groups: tuple[str, ...] = (DEFAULT_RESOURCE_GROUP,)
    location: str = DEFAULT_LOCATION
    start_s: float = 0.1
    identity_not_ready_s: float = 0.0
    ready_file: Path | None = None
    stop_containers: bool = False
