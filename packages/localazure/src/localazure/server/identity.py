"""Managed identities: tokens, and the endpoint that gives them out over plain http, as inside Azure.

Two forms, both spoken by azure-identity: App Service's (`IDENTITY_ENDPOINT`, `IDENTITY_HEADER`) and the
instance metadata service's path, where the header `Metadata: true` is all that is asked for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from localazure.containers.definitions import identity_ids
from localazure.errors import ArmError
from localazure.server.dropping import drop_connection

#: How long a token of a managed identity is good for; Azure's are good for 24 hours.
TOKEN_S = 24 * 3600

APP_SERVICE_PATH = "/msi/token"
METADATA_PATH = "/metadata/identity/oauth2/token"

#: Host names of ARM in Azure.
ARM_HOSTS = {"management.azure.com", "management.core.windows.net"}


@dataclass(frozen=True)
class Token:
    """A bearer token."""

    access_token: str
    client_id: str
    not_before: datetime
    expires_on: datetime


class TokenIssuer:
    """Makes tokens and knows its own again.

    Args:
        key: Secret that signs them.
        now: Tells the time.
        tenant_id: Directory they come from.
        arm_hosts: Names of our own ARM door, `host:port`, for which tokens may be meant too.
    """

    def __init__(
        self, key: bytes, now: Callable[[], datetime], *, tenant_id: str, arm_hosts: set[str] | None = None
    ) -> None:
        self._key = key
        self._now = now
        self.tenant_id = tenant_id
        self.arm_hosts = ARM_HOSTS | (arm_hosts or set())

    def issue(self, resource: str, *, identity: str | None = None, client_id: str | None = None) -> Token:
        """Make a token.

        Args:
            resource: What it is for, as the client wrote it: its audience.
            identity: Resource id of a user-assigned identity.
            client_id: Client id of one. Neither means the system-assigned identity.
        """
        if identity is not None:
            ids = identity_ids(identity)
        else:
            own = client_id or str(uuid5(NAMESPACE_URL, "system-assigned"))
            ids = {"clientId": own, "principalId": str(uuid5(NAMESPACE_URL, f"principal/{own}"))}
        now = self._now().replace(microsecond=0)
        until = now + timedelta(seconds=TOKEN_S)
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int(until.timestamp()),
            "appid": ids["clientId"],
            "oid": ids["principalId"],
            "sub": ids["principalId"],
            "tid": self.tenant_id,
            "idtyp": "app",
            "uti": secrets.token_urlsafe(16),
        }
        if identity is not None:
            claims["xms_mirid"] = identity
        head = _encode(b'{"alg":"HS256","typ":"JWT"}') + "." + _encode(json.dumps(claims).encode("utf-8"))
        return Token(f"{head}.{_encode(self._signature(head))}", ids["clientId"], now, until)

    async def token(self, audience: str, identity: str | None) -> str:
        """Return a token's text: the port through which workflows ask (`localazure.outbound.TokenSource`)."""
        return self.issue(audience, identity=identity).access_token

    def verify(self, authorization: str | None) -> Mapping[str, Any]:
        """Return the claims of a token that ARM is to accept.

        Args:
            authorization: The `Authorization` header, None if there is none.

        Raises:
            ArmError: 401 with Azure's code for what is wrong with it.
        """
        if not authorization:
            raise self._refused("AuthenticationFailed", "the 'Authorization' header is missing.")
        scheme, _, token = authorization.partition(" ")
        head, _, signature = token.strip().rpartition(".")
        good = scheme.lower() == "bearer" and hmac.compare_digest(signature, _encode(self._signature(head)))
        if not good:
            raise self._refused(
                "InvalidAuthenticationToken", "the access token is not one of this localazure."
            )
        claims: dict[str, Any] = json.loads(_decode(head.partition(".")[2]))
        now = self._now()
        if claims["exp"] <= now.timestamp():
            raise self._refused(
                "ExpiredAuthenticationToken", f"it is {now.isoformat()} and the token has expired."
            )
        host = str(claims["aud"]).partition("://")[2].rstrip("/").lower()
        if host not in self.arm_hosts:
            raise self._refused(
                "InvalidAuthenticationTokenAudience",
                f"the access token is for '{claims['aud']}'; it should be for https://management.azure.com/.",
            )
        return claims

    def _signature(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode("ascii", errors="replace"), hashlib.sha256).digest()

    def _refused(self, code: str, why: str) -> ArmError:
        challenge = (
            f'Bearer authorization_uri="https://login.windows.net/{self.tenant_id}", error="invalid_token"'
        )
        return ArmError(401, code, f"Authentication failed: {why}", headers={"WWW-Authenticate": challenge})


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class IdentityEndpoint:
    """The token endpoint.

    Args:
        issuer: Makes the tokens.
        header: Secret that App Service's form asks for.
        now: Tells the time.
        ready_at: Until then connections are dropped, as when the endpoint is not up yet; None = ready.
    """

    def __init__(
        self, issuer: TokenIssuer, header: str, now: Callable[[], datetime], ready_at: datetime | None = None
    ) -> None:
        self._issuer = issuer
        self._header = header
        self._now = now
        self.ready_at = ready_at
        self.app = Router(
            [
                Route(APP_SERVICE_PATH, self._guarded(self._app_service)),
                Route(METADATA_PATH, self._guarded(self._metadata)),
            ]
        )

    def _guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if self.ready_at is not None and self._now() < self.ready_at:
                await drop_connection(request)
            return answer(request)

        return endpoint

    def _app_service(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("x-identity-header", ""), self._header):
            return _error(401, "invalid_client", "X-IDENTITY-HEADER is missing or wrong")
        token = self._issue(request)
        if isinstance(token, Response):
            return token
        return JSONResponse(
            {
                "access_token": token.access_token,
                "client_id": token.client_id,
                "expires_on": str(int(token.expires_on.timestamp())),
                "not_before": str(int(token.not_before.timestamp())),
                "resource": request.query_params["resource"],
                "token_type": "Bearer",
            }
        )

    def _metadata(self, request: Request) -> Response:
        if request.headers.get("metadata", "").lower() != "true":
            return _error(400, "invalid_request", "Required metadata header not specified")
        if "x-forwarded-for" in request.headers:
            return _error(400, "invalid_request", "Requests must not be forwarded")
        token = self._issue(request)
        if isinstance(token, Response):
            return token
        left_s = str(int((token.expires_on - self._now()).total_seconds()))
        return JSONResponse(
            {
                "access_token": token.access_token,
                "client_id": token.client_id,
                "expires_in": left_s,
                "ext_expires_in": left_s,
                "expires_on": str(int(token.expires_on.timestamp())),
                "not_before": str(int(token.not_before.timestamp())),
                "resource": request.query_params["resource"],
                "token_type": "Bearer",
            }
        )

    def _issue(self, request: Request) -> Token | Response:
        query = request.query_params
        if not query.get("api-version"):
            return _error(400, "invalid_request", "Required query variable 'api-version' is missing")
        if not query.get("resource"):
            return _error(400, "invalid_request", "Required query variable 'resource' is missing")
        identity = query.get("mi_res_id") or query.get("msi_res_id")
        return self._issuer.issue(query["resource"], identity=identity, client_id=query.get("client_id"))


def _error(status: int, error: str, description: str) -> Response:
    return JSONResponse(
        {"error": error, "error_description": description, "correlation_id": str(uuid4())}, status_code=status
    )
