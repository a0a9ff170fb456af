"""The admin API: what a test, or a person who wants to see things go wrong, may order.

    GET    /_admin/faults            {"faults": [order, …]}, spent ones and what they hit included
    PUT    /_admin/faults            {"faults": [order, …]} takes the place of all orders
    DELETE /_admin/faults            takes all orders back
    PUT    /_admin/faults/NAME       adds or replaces one order
    DELETE /_admin/faults/NAME       takes it back
    GET    /_admin/quotas            {"limits": {…}, "usages": […]}
    PUT    /_admin/quotas            changes the limits it names, for good
    DELETE /_admin/quotas            Azure's limits again
    GET    /_admin/identity          {"ready": bool}
    PUT    /_admin/identity          {"not_ready_s": n}: the token endpoint is away for so long

An order: {"kind", "times": 1, "method": null, "prefix": "", …}. It is met by the next `times` requests (null:
by all) of that method (null: any) on resources whose names begin with `prefix`, or by the next groups that
are deployed under such a name. Kinds and what else they take:

Of requests:

    throttled            429, `retry_after_s` (5)
    capacity             409 of a region that is full; PUT
    quota                409 of a quota that is used up; PUT
    unavailable          503, `retry_after_s` (null: no header)
    lost-answer          the request is carried out and the connection cut; PUT
    delay                the answer comes `seconds` (1) later

Of groups:

    slow-start           the first container starts `seconds` (60) later
    failed-pull          pulls fail for `seconds` (null: for ever)
    provisioning-failed  provisioningState Failed after `seconds` (0); starts all the same after
                         `late_start_s` (null: never)
    lost-instance        the machine below is lost `seconds` (1) after the start: `exit_code` (7147), and run
                         again, if `restart` (true)
    restart              run again once, `seconds` (0) after a non-zero exit, whatever the restart policy says
    stale-running        the group's state stays Running when its container is Terminated
"""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localazure.clock import Clock
from localazure.containers.groups import ContainerGroups
from localazure.containers.quotas import Quotas
from localazure.errors import ArmError
from localazure.server.arm import ADMIN_PREFIX, read_json
from localazure.server.identity import IdentityEndpoint


def admin_routes(
    groups: ContainerGroups, identity: IdentityEndpoint, clock: Clock, location: str
) -> list[BaseRoute]:
    """Return the routes of the admin API."""
    endpoints = _Endpoints(groups, identity, clock, location)
    return [
        Route(f"{ADMIN_PREFIX}/faults", endpoints.faults, methods=["GET", "PUT", "DELETE"]),
        Route(f"{ADMIN_PREFIX}/faults/{{name}}", endpoints.fault, methods=["PUT", "DELETE"]),
        Route(f"{ADMIN_PREFIX}/quotas", endpoints.quotas, methods=["GET", "PUT", "DELETE"]),
        Route(f"{ADMIN_PREFIX}/identity", endpoints.identity, methods=["GET", "PUT"]),
    ]


class _Endpoints:
    def __init__(
        self, groups: ContainerGroups, identity: IdentityEndpoint, clock: Clock, location: str
    ) -> None:
        self._groups = groups
        self._identity = identity
        self._clock = clock
        self._location = location

    async def faults(self, request: Request) -> Response:
        book = self._groups.faults
        if request.method == "PUT":
            body = await read_json(request)
            book.replace_all(body.get("faults") if isinstance(body, dict) else body)
        elif request.method == "DELETE":
            book.remove(None)
        return JSONResponse({"faults": book.to_json()})

    async def fault(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "PUT":
            return JSONResponse(self._groups.faults.put(name, await read_json(request)).to_json())
        if not self._groups.faults.remove(name):
            raise ArmError(404, "FaultNotFound", f"There is no fault named '{name}'.")
        return Response(status_code=204)

    async def quotas(self, request: Request) -> Response:
        keeper = self._groups.quotas
        if request.method == "PUT":
            keeper.set_limits(keeper.limits.changed(await read_json(request)))
        elif request.method == "DELETE":
            keeper.set_limits(Quotas())
        return JSONResponse({"limits": keeper.limits.to_json(), "usages": keeper.usages(self._location)})

    async def identity(self, request: Request) -> Response:
        now = self._clock.now()
        if request.method == "PUT":
            body = await read_json(request)
            away_s = body.get("not_ready_s") if isinstance(body, dict) else None
            if not isinstance(away_s, int | float) or away_s < 0:
                raise ArmError(400, "InvalidIdentity", "'not_ready_s' must be a number of seconds.")
            self._identity.ready_at = now + timedelta(seconds=away_s)
        ready_at = self._identity.ready_at
        return JSONResponse({"ready": ready_at is None or ready_at <= now})
