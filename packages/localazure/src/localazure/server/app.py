"""Everything a server consists of, put together; no socket yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from starlette.routing import BaseRoute

from localazure.clock import Clock
from localazure.containers.groups import ContainerGroups
from localazure.containers.images import Images
from localazure.containers.lifecycle import Timing
from localazure.containers.process import ProcessBackend
from localazure.containers.store import GroupStore
from localazure.errors import UsageError
from localazure.outbound import HostMapping, Outbound
from localazure.server.admin import admin_routes
from localazure.server.arm import ArmDoor, Scopes
from localazure.server.group_routes import group_routes
from localazure.server.identity import ARM_HOSTS, IdentityEndpoint, TokenIssuer
from localazure.server.settings import ServerSettings
from localazure.server.state import secret
from localazure.server.workflow_routes import workflow_routes
from localazure.storage_signing import StorageAccount
from localazure.workflows.service import WorkflowService


@dataclass(frozen=True)
class ControlPlane:
    """A server's parts.

    Attributes:
        store: Database of the container groups.
        groups: The container groups.
        issuer: Makes and knows tokens.
        identity: The token endpoint.
        identity_header: The secret App Service's form of it asks for.
        outbound: The client for every request of a workflow.
        workflows: The workflows.
    """

    store: GroupStore
    groups: ContainerGroups
    issuer: TokenIssuer
    identity: IdentityEndpoint
    identity_header: str
    outbound: Outbound
    workflows: WorkflowService


def build_control_plane(
    settings: ServerSettings, folder: Path, clock: Clock, *, arm_url: str, authority: Path
) -> ControlPlane:
    """Put the parts together over a state folder.

    Args:
        settings: What the server was told.
        folder: The state folder, ours.
        clock: The source of time.
        arm_url: Where our own ARM door is going to be.
        authority: Certificate of the authority that signs for it.

    Raises:
        UsageError: A connection string or a host mapping cannot be read.
    """
    outbound_hosts = _hosts(settings, arm_url, authority)
    accounts = _accounts(settings)
    store = GroupStore(folder / "containers.db")
    groups = ContainerGroups(
        store,
        ProcessBackend(folder / "containers", Images(settings.images)),
        clock,
        location=settings.location,
        timing=Timing(pull_s=settings.start_s),
    )
    issuer = TokenIssuer(
        bytes.fromhex(secret(folder / "token.key")),
        clock.now,
        tenant_id=str(uuid5(NAMESPACE_URL, f"tenant/{settings.subscription_id}")),
    )
    header = secret(folder / "identity.header", 16)
    ready_at = clock.now() + timedelta(seconds=settings.identity_not_ready_s)
    outbound = Outbound(hosts=outbound_hosts, storage=accounts, tokens=issuer)
    return ControlPlane(
        store=store,
        groups=groups,
        issuer=issuer,
        identity=IdentityEndpoint(issuer, header, clock.now, ready_at),
        identity_header=header,
        outbound=outbound,
        workflows=WorkflowService(folder, clock, outbound, minimum_poll_s=settings.minimum_poll_s),
    )


def _hosts(settings: ServerSettings, arm_url: str, authority: Path) -> list[HostMapping]:
    """Return what workflows find behind Azure's host names: ARM is here, unless it was put elsewhere."""
    hosts = [HostMapping(name, arm_url, authority) for name in sorted(ARM_HOSTS)]
    for text in settings.hosts:
        try:
            hosts.append(HostMapping.parse(text))
        except ValueError as exc:
            raise UsageError(f"--host: {exc}") from None
    return hosts


def _accounts(settings: ServerSettings) -> list[StorageAccount]:
    try:
        return [StorageAccount.from_connection_string(text) for text in settings.storage]
    except ValueError as exc:
        raise UsageError(f"--storage, or LOCALAZURE_STORAGE: {exc}") from None


def build_arm(parts: ControlPlane, settings: ServerSettings, clock: Clock) -> ArmDoor:
    """Return the application behind the https port.

    Args:
        parts: What it stands before.
        settings: What the server was told.
        clock: The source of time.
    """
    routes: list[BaseRoute] = [
        *group_routes(parts.groups),
        *admin_routes(parts.groups, parts.identity, clock, settings.location),
        *workflow_routes(parts.workflows),
    ]
    return ArmDoor(
        routes,
        issuer=parts.issuer,
        faults=parts.groups.faults,
        clock=clock,
        scopes=Scopes(settings.subscription_id, settings.resource_groups, settings.location),
    )
