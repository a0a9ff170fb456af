"""Everything a server consists of, put together; no socket yet."""

from __future__ import annotations

from collections.abc import Sequence
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
from localazure.server.admin import admin_routes
from localazure.server.arm import ArmDoor, Scopes
from localazure.server.group_routes import group_routes
from localazure.server.identity import IdentityEndpoint, TokenIssuer
from localazure.server.settings import ServerSettings
from localazure.server.state import secret


@dataclass(frozen=True)
class ControlPlane:
    """A server's parts.

    Attributes:
        store: Database of the container groups.
        groups: The container groups.
        issuer: Makes and knows tokens.
        identity: The token endpoint.
        identity_header: The secret App Service's form of it asks for.
    """

    store: GroupStore
    groups: ContainerGroups
    issuer: TokenIssuer
    identity: IdentityEndpoint
    identity_header: str


def build_control_plane(settings: ServerSettings, folder: Path, clock: Clock) -> ControlPlane:
    """Put the parts together over a state folder.

    Args:
        settings: What the server was told.
        folder: The state folder, ours.
        clock: The source of time.
    """
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
    return ControlPlane(
        store=store,
        groups=groups,
        issuer=issuer,
        identity=IdentityEndpoint(issuer, header, clock.now, ready_at),
        identity_header=header,
    )


def build_arm(
    parts: ControlPlane, settings: ServerSettings, clock: Clock, more: Sequence[BaseRoute] = ()
) -> ArmDoor:
    """Return the application behind the https port.

    Args:
        parts: What it stands before.
        settings: What the server was told.
        clock: The source of time.
        more: Routes of other resource providers.
    """
    routes = [
        *group_routes(parts.groups),
        *admin_routes(parts.groups, parts.identity, clock, settings.location),
        *more,
    ]
    return ArmDoor(
        routes,
        issuer=parts.issuer,
        faults=parts.groups.faults,
        clock=clock,
        scopes=Scopes(settings.subscription_id, settings.resource_groups, settings.location),
    )
