"""What all of Azure Resource Manager has in common: tokens, versions, scopes, headers, errors, faults."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localazure.clock import Clock
from localazure.containers.faults import FaultBook, refusal
from localazure.errors import ArmError
from localazure.server.dropping import ConnectionDroppedError, drop_connection
from localazure.server.identity import TokenIssuer

logger = logging.getLogger(__name__)

#: Versions that are implemented, by resource provider.
API_VERSIONS = {"microsoft.containerinstance": ("2023-05-01",), "microsoft.logic": ("2019-05-01",)}

ADMIN_PREFIX = "/_admin"

_SCOPE = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)(?:/resourcegroups/(?P<group>[^/]+))?", re.IGNORECASE
)
_PROVIDER = re.compile(r"/providers/(?P<provider>[^/]+)/(?P<type>[^/]+)(?:/(?P<name>[^/]+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Scopes:
    """What there is to be found.

    Attributes:
        subscription_id: The one subscription.
        resource_groups: Its resource groups; they need not be made.
        location: Its one region.
    """

    subscription_id: str
    resource_groups: tuple[str, ...]
    location: str


def arm_route(path: str, endpoint: Callable[[Request], Any], *, methods: list[str]) -> Route:
    """Return a route of ARM: its fixed parts are compared without case."""
    route = Route(path, endpoint, methods=methods)
    without_case(route)
    return route


def without_case(route: BaseRoute) -> BaseRoute:
    """Have a route compared without case."""
    if isinstance(route, Route):
        route.path_regex = re.compile(route.path_regex.pattern, re.IGNORECASE)
    return route


async def read_json(request: Request) -> Any:
    """Return the body of a request.

    Raises:
        ArmError: 400 InvalidRequestContent if it is no JSON.
    """
    try:
        return json.loads(await request.body())
    except ValueError as exc:
        raise ArmError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{exc}'.",
        ) from None


def error_response(error: ArmError) -> Response:
    """Return an error as ARM sends it."""
    return JSONResponse(
        error.to_json(),
        status_code=error.status,
        headers={"x-ms-failure-cause": "service", **error.headers},
    )


class ArmDoor:
    """The application behind the https port.

    Args:
        routes: Everything that is implemented: ARM's operations, the admin API, callbacks of workflows.
        issuer: Knows the tokens that may come in.
        faults: What has been ordered.
        clock: The source of time.
        scopes: The subscription and its resource groups.
    """

    def __init__(
        self,
        routes: list[BaseRoute],
        *,
        issuer: TokenIssuer,
        faults: FaultBook,
        clock: Clock,
        scopes: Scopes,
    ) -> None:
        self._router = Router([without_case(route) for route in routes], default=_unknown)
        self._issuer = issuer
        self._faults = faults
        self._clock = clock
        self._scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        scope["app"] = self  # has the router raise what it refuses, instead of sending it as plain text
        request = Request(scope, receive)
        send = _with_headers(request, send)
        try:
            await self._answer(request, send)
        except ConnectionDroppedError:
            return
        except ArmError as exc:
            await error_response(exc)(scope, receive, send)
        except HTTPException as exc:
            error = ArmError(exc.status_code, exc.detail.replace(" ", ""), _refused(request, exc.detail))
            await error_response(error)(scope, receive, send)
        except Exception as exc:
            logger.exception("%s %s failed", request.method, request.url.path)
            error = ArmError(500, "InternalServerError", f"localazure failed: {type(exc).__name__}: {exc}")
            await error_response(error)(scope, receive, send)

    async def _answer(self, request: Request, send: Send) -> None:
        path = request.url.path
        of_arm = path.lower().startswith("/subscriptions")
        if of_arm or path.startswith(ADMIN_PREFIX):
            self._issuer.verify(request.headers.get("authorization"))
        if not of_arm:  # callback addresses of workflows carry a signature of their own
            await self._router(request.scope, request.receive, send)
            return
        self._check_version(request)
        self._check_scope(path)
        faults = {each.kind: each for each in self._faults.for_request(request.method, _name(path))}
        if "delay" in faults:
            wait = timedelta(seconds=faults["delay"].seconds or 0)
            await self._clock.sleep_until(self._clock.now() + wait)
        for fault in faults.values():
            error = refusal(fault, location=self._scopes.location)
            if error is not None:
                raise error
        if "lost-answer" in faults:
            await _run_unheard(self._router, request)
            await drop_connection(request)
        await self._router(request.scope, request.receive, send)

    def _check_version(self, request: Request) -> None:
        version = request.query_params.get("api-version")
        if not version:
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        found = _PROVIDER.search(request.url.path)
        known = API_VERSIONS.get(found["provider"].lower()) if found else None
        if found and known and version not in known:
            raise ArmError(
                400,
                "NoRegisteredProviderFound",
                f"No registered resource provider found for location '{self._scopes.location}' and API"
                f" version '{version}' for type '{found['type']}'. The supported api-versions are"
                f" '{', '.join(known)}'."
                f" The supported locations are '{self._scopes.location}'.",
            )

    def _check_scope(self, path: str) -> None:
        found = _SCOPE.match(path)
        if found is None:
            return
        if found["subscription"].lower() != self._scopes.subscription_id.lower():
            raise ArmError(
                404, "SubscriptionNotFound", f"The subscription '{found['subscription']}' could not be found."
            )
        group = found["group"]
        if group and group.lower() not in {each.lower() for each in self._scopes.resource_groups}:
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def _name(path: str) -> str:
    """Return the name of the resource a path leads to, "" if it leads to none."""
    found = _PROVIDER.search(path)
    return (found["name"] or "") if found and found["type"].lower() != "locations" else ""


async def _run_unheard(app: ASGIApp, request: Request) -> None:
    async def nowhere(_: Message) -> None:
        return

    await app(request.scope, request.receive, nowhere)


def _with_headers(request: Request, send: Send) -> Send:
    request_id = str(uuid4())
    extra = {
        "cache-control": "no-cache",
        "x-ms-request-id": request_id,
        "x-ms-correlation-request-id": request.headers.get("x-ms-correlation-request-id", request_id),
        "strict-transport-security": "max-age=31536000; includeSubDomains",
    }
    if request.headers.get("x-ms-client-request-id"):
        extra["x-ms-client-request-id"] = request.headers["x-ms-client-request-id"]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode("ascii"), value.encode("latin-1"))
                    for name, value in extra.items()
                    if name.encode("ascii") not in there
                ),
            ]
        await send(message)

    return sending


def _refused(request: Request, detail: str) -> str:
    return f"{detail}: {request.method} {request.url.path}"


async def _unknown(scope: Scope, _receive: Receive, _send: Send) -> None:
    """Refuse what no route takes: by name where it is ARM's, as not found otherwise."""
    path = scope["path"]
    found = _PROVIDER.search(path)
    if found:
        what = f"{scope['method']} on '{found['provider']}/{found['type']}' ({path})"
        raise ArmError(501, "NotImplemented", f"localazure does not implement {what}.")
    if path.lower().startswith("/subscriptions"):
        raise ArmError(501, "NotImplemented", f"localazure does not implement {scope['method']} {path}.")
    raise ArmError(404, "NotFound", f"There is nothing at {path}.")
