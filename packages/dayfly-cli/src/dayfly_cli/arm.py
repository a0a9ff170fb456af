"""Azure Resource Manager, as much of it as the command uses, over plain HTTP: local or in Azure."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dayfly_cli.errors import AzureError

_AUDIENCE = "https://management.azure.com/"
_LOGIC = "2019-05-01"
_CONTAINERS = "2023-05-01"
_LIMIT_S = 30.0


@dataclass(frozen=True)
class Arm:
    """One resource group. Every method raises AzureError when ARM refuses."""

    client: httpx.AsyncClient
    #: `/subscriptions/…/resourceGroups/…`
    resource_group_id: str

    async def put_workflow(self, name: str, body: Mapping[str, Any]) -> None:
        """Create a workflow, or put a new definition in its place."""
        await self._send("PUT", self._workflow(name), _LOGIC, json=body)

    async def runs(self, workflow: str) -> list[dict[str, Any]]:
        """Return a workflow's runs, all pages of them."""
        return await self._pages(f"{self._workflow(workflow)}/runs", _LOGIC)

    async def action(self, workflow: str, run: str, action: str) -> Any:
        """Return the outputs of one action of a run; None = it has none, or they are secured."""
        path = f"{self._workflow(workflow)}/runs/{run}/actions/{action}"
        found = await self._send("GET", path, _LOGIC, missing_is_none=True)
        link = ((found or {}).get("properties") or {}).get("outputsLink") or {}
        if not link.get("uri"):
            return None
        # As on Azure the link carries its own permission: no token goes with it.
        answer = await self.client.get(link["uri"], auth=None)
        return answer.json() if answer.status_code == 200 else None

    async def container_groups(self) -> list[dict[str, Any]]:
        """Return the container groups, without their instance views."""
        return await self._pages(f"{self._containers()}/containerGroups", _CONTAINERS)

    async def put_container_group(self, name: str, body: Mapping[str, Any]) -> None:
        """Create a container group."""
        await self._send("PUT", f"{self._containers()}/containerGroups/{name}", _CONTAINERS, json=body)

    async def delete_container_group(self, name: str) -> None:
        """Delete a container group; one that is gone already is no error."""
        path = f"{self._containers()}/containerGroups/{name}"
        await self._send("DELETE", path, _CONTAINERS, missing_is_none=True)

    def _workflow(self, name: str) -> str:
        return f"{self.resource_group_id}/providers/Microsoft.Logic/workflows/{name}"

    def _containers(self) -> str:
        return f"{self.resource_group_id}/providers/Microsoft.ContainerInstance"

    async def _pages(self, path: str, version: str) -> list[dict[str, Any]]:
        page = await self._send("GET", path, version)
        found: list[dict[str, Any]] = list(page.get("value", []))
        while page.get("nextLink"):
            page = await self._send("GET", page["nextLink"], None)
            found += page.get("value", [])
        return found

    async def _send(
        self, method: str, path: str, version: str | None, *, json: Any = None, missing_is_none: bool = False
    ) -> Any:
        params = None if version is None else {"api-version": version}
        try:
            answer = await self.client.request(method, path, json=json, params=params)
        except httpx.TransportError as exc:
            raise AzureError(f"ARM at {self.client.base_url} does not answer: {exc}") from exc
        if missing_is_none and answer.status_code == 404:
            return None
        if answer.is_error:
            raise AzureError(f"ARM refused {method} {path}: {_reason(answer)}")
        return answer.json() if answer.content else None


@asynccontextmanager
async def open_arm(
    endpoint: str, ca: Path, identity_endpoint: str, identity_header: str, resource_group_id: str
) -> AsyncIterator[Arm]:
    """Open the ARM of a running localazure.

    Args:
        endpoint: its address.
        ca: the certificate of its authority.
        identity_endpoint: where its tokens come from.
        identity_header: the secret that the token endpoint asks for.
        resource_group_id: the group to work in.
    """
    trust = ssl.create_default_context(cafile=str(ca))
    transport = httpx.AsyncHTTPTransport(verify=trust)
    tokens = _ManagedIdentity(identity_endpoint, identity_header)
    async with httpx.AsyncClient(
        base_url=endpoint, auth=tokens, transport=transport, timeout=_LIMIT_S
    ) as client:
        yield Arm(client, resource_group_id)


class _ManagedIdentity(httpx.Auth):
    """Adds a managed identity's token to each request, asking for one when the last was refused."""

    def __init__(self, endpoint: str, header: str) -> None:
        self._endpoint = endpoint
        self._header = header
        self._token: str | None = None

    async def async_auth_flow(self, request: httpx.Request) -> AsyncIterator[httpx.Request]:  # type: ignore[override]  # httpx types it as a generator
        if self._token is None:
            await self._renew()
        request.headers["authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer is not None and answer.status_code == 401:
            await self._renew()
            request.headers["authorization"] = f"Bearer {self._token}"
            yield request

    async def _renew(self) -> None:
        query = {"resource": _AUDIENCE, "api-version": "2019-08-01"}
        # Plain http on this machine: nothing of the environment, such as a proxy, has a say.
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as client:
            try:
                answer = await client.get(
                    self._endpoint, params=query, headers={"X-IDENTITY-HEADER": self._header}
                )
            except httpx.TransportError as exc:
                raise AzureError(f"the token endpoint {self._endpoint} does not answer: {exc}") from exc
        if answer.is_error:
            raise AzureError(f"the token endpoint {self._endpoint} refused: {_reason(answer)}")
        self._token = answer.json()["access_token"]


def _reason(answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        return f"{answer.status_code} {error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:200]}".strip()
