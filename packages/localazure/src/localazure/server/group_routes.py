"""ARM's operations on container groups, api-version 2023-05-01."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from localazure.containers.groups import ContainerGroups
from localazure.errors import ArmError
from localazure.server.arm import arm_route, read_json

_PROVIDER = "/providers/Microsoft.ContainerInstance"
_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUPS = f"{_SUBSCRIPTION}/resourceGroups/{{resource_group}}{_PROVIDER}/containerGroups"
_GROUP = f"{_GROUPS}/{{name}}"
_CONTAINER = f"{_GROUP}/containers/{{container}}"
_LOCATION = f"{_SUBSCRIPTION}{_PROVIDER}/locations/{{location}}"

#: How long a client is told to wait before it asks again how an operation stands.
_RETRY_AFTER_S = "1"


def group_routes(groups: ContainerGroups) -> list[BaseRoute]:
    """Return the routes over a service of container groups."""
    endpoints = _Endpoints(groups)
    return [
        arm_route(f"{_SUBSCRIPTION}{_PROVIDER}/containerGroups", endpoints.list_all, methods=["GET"]),
        arm_route(_GROUPS, endpoints.list_all, methods=["GET"]),
        arm_route(_GROUP, endpoints.put, methods=["PUT"]),
        arm_route(_GROUP, endpoints.get, methods=["GET"]),
        arm_route(_GROUP, endpoints.patch, methods=["PATCH"]),
        arm_route(_GROUP, endpoints.delete, methods=["DELETE"]),
        arm_route(f"{_GROUP}/start", endpoints.start, methods=["POST"]),
        arm_route(f"{_GROUP}/stop", endpoints.stop, methods=["POST"]),
        arm_route(f"{_GROUP}/restart", endpoints.restart, methods=["POST"]),
        arm_route(f"{_CONTAINER}/logs", endpoints.logs, methods=["GET"]),
        arm_route(f"{_LOCATION}/usages", endpoints.usages, methods=["GET"]),
        arm_route(f"{_LOCATION}/operationresults/{{operation}}", endpoints.operation, methods=["GET"]),
    ]


class _Endpoints:
    def __init__(self, groups: ContainerGroups) -> None:
        self._groups = groups

    async def list_all(self, request: Request) -> Response:
        path = request.path_params
        return JSONResponse({"value": self._groups.list(path["subscription"], path.get("resource_group"))})

    async def put(self, request: Request) -> Response:
        answer = self._groups.create_or_update(*_scope(request), await read_json(request))
        return JSONResponse(answer.body, status_code=201 if answer.status == "created" else 200)

    async def get(self, request: Request) -> Response:
        return JSONResponse(self._groups.get(*_scope(request)))

    async def patch(self, request: Request) -> Response:
        return JSONResponse(self._groups.update_tags(*_scope(request), await read_json(request)))

    async def delete(self, request: Request) -> Response:
        answer = await self._groups.delete(*_scope(request))
        match answer.status:
            case "absent":
                return Response(status_code=204)
            case "started":
                return JSONResponse(answer.body, status_code=202, headers=_poll(request, answer.uid))
            case _:
                return JSONResponse(answer.body)

    async def start(self, request: Request) -> Response:
        answer = self._groups.start(*_scope(request))
        if answer.status == "absent":
            return Response(status_code=204)
        return Response(status_code=202, headers=_poll(request, answer.uid))

    async def stop(self, request: Request) -> Response:
        await self._groups.stop(*_scope(request))
        return Response(status_code=204)

    async def restart(self, request: Request) -> Response:
        answer = self._groups.restart(*_scope(request))
        return Response(status_code=204, headers=_poll(request, answer.uid))

    async def logs(self, request: Request) -> Response:
        query = request.query_params
        tail = query.get("tail")
        if tail is not None and not tail.isdecimal():
            raise ArmError(400, "InvalidRequestContent", f"'tail' must be a number of lines, not '{tail}'.")
        content = self._groups.logs(
            *_scope(request),
            request.path_params["container"],
            tail=None if tail is None else int(tail),
            timestamps=query.get("timestamps", "").lower() == "true",
        )
        return JSONResponse({"content": content})

    async def usages(self, request: Request) -> Response:
        return JSONResponse({"value": self._groups.quotas.usages(request.path_params["location"])})

    async def operation(self, request: Request) -> Response:
        operation = request.path_params["operation"]
        if self._groups.operation_done(operation):
            return Response(status_code=204)
        return Response(status_code=202, headers=_poll(request, operation))


def _scope(request: Request) -> tuple[str, str, str]:
    path = request.path_params
    return path["subscription"], path["resource_group"], path["name"]


def _poll(request: Request, operation: str) -> Mapping[str, str]:
    """Return the headers that say where to ask how an operation stands."""
    location = request.path_params.get("location", "global")
    url = request.url.replace(
        path=f"/subscriptions/{request.path_params['subscription']}{_PROVIDER}/locations/{location}"
        f"/operationresults/{operation}",
        query=f"api-version={request.query_params['api-version']}",
    )
    return {"Location": str(url), "Retry-After": _RETRY_AFTER_S}
